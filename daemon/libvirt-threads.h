/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_LIBVIRT_THREADS_H
#define VNETD_LIBVIRT_THREADS_H
/*
 * The threads of libvirt.c, without libvirt: calls that may block for ever are made
 * by a bounded set of threads, one call per guest at a time and in order; results
 * and events come back over an eventfd to the main thread, in one queue.
 *
 * What libvirt does not answer is answered here when its time is over; the thread is
 * left behind and, when it comes back after all, the guest is reported as changed.
 */
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "daemon/domains.h"

#define CALL_THREADS 8	    /* that work */
#define CALL_THREADS_MAX 32 /* with those left behind */
#define THREADS_CLOSE_SEC 1 /* that a closing daemon waits for them */

struct threads;
struct report;

/* A request, as the thread that serves it sees it. */
struct call {
	enum domains_op op;
	char uuid[UUID_STR];
	enum domains_where where;
	struct guest_nic nic;
	int r;
	struct vnet_err err;
	struct guest *guests;
	size_t n_guests;
	/* of libvirt-threads.c: */
	struct domains_request *req; /* main thread; NULL: answered already */
	bool running;		     /* under the lock */
	uint64_t deadline;	     /* main thread */
	struct call *next, *next_waiting;
	struct report *report; /* made beforehand: a result must not be lost */
};

struct threads_ops {
	unsigned read_sec;   /* until a read is given up ... */
	unsigned change_sec; /* ... an attach, detach, forget */
	/* In a call thread: do what c->op says, all but reading the guest; sets c->r. */
	void (*act)(void *user, struct call *c);
	/* In a call thread: add the guest as it is now to *c, for all but DOM_READ_ALL.
	 * May come again when an event came in between. */
	void (*read)(void *user, struct call *c);
	/* The last thread has ended, and threads_close() was called. */
	void (*destroy)(void *user);
};

enum report_kind {
	REPORT_CALL, /* internal */
	REPORT_CONNECTED,
	REPORT_DISCONNECTED, /* text: why */
	REPORT_ABSENT,	     /* the same: nobody listens */
	REPORT_CHANGED,
	REPORT_REMOVED, /* text: alias, also of the next one */
	REPORT_REMOVAL_FAILED,
	REPORT_STOPPED,
};

int threads_new(struct threads **ret, sd_event *event, const struct domains_sink *sink,
		const struct threads_ops *ops, void *user, struct vnet_err *err);
/* Main thread: takes over @req until the sink's finished(). */
void threads_submit(struct threads *t, struct domains_request *req);
/* Any thread. */
void threads_report(struct threads *t, enum report_kind kind, const char *uuid, const char *text);
/* Another thread, that runs fn(user) of threads_new() and is waited for like the others. */
int threads_start(struct threads *t, void (*fn)(void *user), struct vnet_err *err);
/* No call is begun and nothing reported any more; waits for the threads, not for long. */
void threads_close(struct threads *t);
#endif
