/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_TESTS_DOMAINS_WATCH_H
#define VNETD_TESTS_DOMAINS_WATCH_H
/* A table of guests in an event loop, and a record of what it told. */
#include "daemon/domains.h"

struct watch {
	sd_event *event;
	struct domains *domains;
	char log[4096];	 /* "known changed:UUID removed:UUID:ALIAS stopped:UUID lost ..." */
	char past[4096]; /* what was in it when watch_until() ended */
	int calls;	 /* of watch_done */
	int r;
	struct vnet_err err;
};

struct watch *watch_new(const struct domains_backend *backend, const char *arg);
void watch_free(struct watch *w);
/* Runs the loop until @text is in the log, for at most 10 s; then empties the log. */
void watch_until(struct watch *w, const char *text);
/* Runs the loop for @msec. */
void watch_for(struct watch *w, unsigned msec);
/* To be given as done with the watch as user; and its end. Returns r. */
void watch_done(void *user, int r, struct vnet_err *err);
int watch_call(struct watch *w);
#endif
