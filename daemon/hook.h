/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOOK_H
#define VNETD_HOOK_H
/*
 * The other end of libvirt's hook (cli/hook.c): a guest that starts gets the NICs that
 * its XML names, one that ended has them taken back. See docs/hooks.md for what libvirt
 * calls when. Nothing here calls libvirt: it holds the guest's lock meanwhile.
 */
#include "daemon/reply.h"

#define HOOK_TIMEOUT_SEC 120 /* that the hook waits, where it is not told otherwise */
#define HOOK_TIMEOUT_FILE "hook-timeout-sec" /* in the runtime directory: tells it */

struct manager;

/* As libvirt gives it: https://libvirt.org/hooks.html */
struct hook_call {
	const char *object;    /* "qemu", "network" */
	const char *operation; /* "prepare", "release", ... */
	const char *xml;
};

/* A little less than the hook waits, so that it gets our reason. */
unsigned hook_deadline_sec(const struct manager *m);
/* The configuration was read: tell the hook. */
void hook_set_timeout(const struct manager *m);
/* Answers {} when all is done, or with the reason why the guest (or network) must not
 * start. A release, and operations that vnetd has nothing to do for, never fail. */
void hook_run(struct manager *m, const struct hook_call *c, reply_fn reply, void *user);
#endif
