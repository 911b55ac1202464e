/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_TXN_H
#define VNETD_TXN_H
/*
 * Runs a plan, and walks back what a journal says: journal, then act. It is the
 * one way in which vnetd writes to the kernel. Each step is a chain of worker
 * calls; nothing here blocks.
 */
#include "daemon/journal.h"
#include "daemon/plugin.h"
#include "daemon/timing.h"
#include "daemon/worker.h"
#include "lib/err.h"

struct txn;

typedef void (*txn_done_fn)(void *user, int r, struct vnet_err *err);
/* One thing that could not be put back. foreign: somebody else had changed it, so it
 * was left alone on purpose; otherwise it failed, and trying again may help. */
typedef void (*txn_residue_fn)(void *user, bool foreign, const struct vnet_err *err);

/* @journal is borrowed. */
int txn_new(struct txn **ret, struct workers *workers, struct journal *journal,
	    struct vnet_err *err);
/* Its waiting for workers counts as the kernel's time in @timing (borrowed). */
void txn_time(struct txn *t, struct timing *timing);
/* Calls back no more; what a worker does now it finishes. */
struct txn *txn_free(struct txn *t);

/* Turn @plan's steps from @first on (copied), in order, stopping before the first
 * step of another owner than @owner; *ret_next: the step to go on with, plan->n at
 * the end. Knobs that have their value already are not written. @idle: on the way
 * back the knobs get their idle value, not what was found. Done with the first
 * error; nothing is walked back by itself. */
void txn_forward(struct txn *t, const struct plan *plan, size_t first, enum knob_owner owner,
		 bool idle, size_t *ret_next, txn_done_fn done, void *user);
/* Once more, after somebody else (libvirt) had its hand on them: those knobs of @plan
 * that may be set while a guest has the VF. They are in the journal already. */
void txn_confirm(struct txn *t, const struct plan *plan, txn_done_fn done, void *user);

/* Walk the journal's attachment-owned effects back, last first, going on past a
 * refusal. Done with 0 whatever was left; residue() was called for each before.
 * @pool: the pool-owned ones too, as long as no VF was made: an attach that failed
 * there leaves the PF as it was. */
void txn_back(struct txn *t, bool pool, txn_residue_fn residue, txn_done_fn done, void *user);

/* After txn_back() with @pool: no VF was made, the PF is as it was. */
bool txn_made_no_vfs(const struct txn *t);

/* The worker lane that a knob's object belongs to. */
const char *txn_lane(const struct knob *knob, const char *object, char buf[static PCI_ADDR_STR]);
#endif
