/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_WORKER_H
#define VNETD_WORKER_H
/*
 * Everything that may block in the kernel is done by workers: our own binary,
 * spawned as `vnetd --worker` with nothing but a socketpair. Calls of one lane
 * run one after the other in one worker; lanes run in parallel. Lanes: a PF's
 * address, "host" (VF counts, which the kernel serialises anyway), "ovs" (Open
 * vSwitch's database), "scan".
 * address, "host" (VF counts, which the kernel serialises anyway), "vdpa" (the same for
 * vDPA), "scan".
 *
 * A worker past its deadline is left behind (it may be in D state): the call
 * fails with VNET_E_STUCK, so do all calls of that lane until the worker comes
 * back or dies; then the lane gets a fresh one. Idle workers end after a while.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "lib/err.h"
#include "lib/fds.h"

#define WORKERS_MAX 64	      /* processes at once, left-behind ones included */
#define WORKER_QUEUE_MAX 4096 /* calls waiting in all */
#define WORKER_IDLE_SEC 30

struct workers;
struct worker_call;

/* r < 0: err says why, result NULL. result is borrowed. Called once per call, never
 * from within workers_call itself. */
typedef void (*worker_done_fn)(void *user, int r, const json_t *result, struct vnet_err *err);

/* The same with the descriptors that came: it may take some, what is left is closed when
 * it returns. Empty where r < 0. */
typedef void (*worker_fds_fn)(void *user, int r, const json_t *result, struct vnet_fds *fds,
			      struct vnet_err *err);

/* @exe: this binary; @root, @runtime: what it gets as --root and --runtime. */
int workers_new(struct workers **ret, sd_event *event, const char *exe, const char *root,
		const char *runtime, struct vnet_err *err);
struct workers *workers_free(struct workers *w); /* kills idle ones, leaves stuck ones */

/* @args is taken over. Ops and their args/results: worker-main.c. */
int workers_call(struct workers *w, const char *lane, const char *op, json_t *args,
		 unsigned deadline_ms, worker_done_fn done, void *user, struct vnet_err *err);
/* For an op that answers with descriptors. Those of an answer that comes too late, or that
 * nobody waits for any more, are closed at once. */
int workers_call_fds(struct workers *w, const char *lane, const char *op, json_t *args,
		     unsigned deadline_ms, worker_fds_fn done, void *user, struct vnet_err *err);
/* Forget @user: its done will not be called; the work itself goes on. */
void workers_forget(struct workers *w, void *user);
/* How often "set" was called so far; *ret_now: so many of them have not come back. */
unsigned workers_sets(const struct workers *w, unsigned *ret_now);
/* NULL, or in words what the lane's worker has been doing for how long. */
const char *workers_stuck(struct workers *w, const char *lane);

/* True while a worker of an earlier vnetd lives: killed, it left a write that the worker
 * is finishing (worker-lock.h). */
bool workers_of_old(const struct workers *w);

/* The child: serves requests on @fd until it closes. Returns an exit code. */
int worker_main(int fd, const char *root, const char *runtime);
#endif
