/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOOK_H
#define VNETD_HOOK_H
/*
 * The other end of libvirt's hook (cli/hook.c): a guest that starts gets the NICs that
 * its XML names, one that ended has them taken back. See docs/hooks.md for what libvirt
 * calls when. Nothing here calls libvirt: it holds the guest's lock meanwhile.
 */
#include "daemon/reply.h"

/* Less than the hook waits (HOOK_TIMEOUT_SEC of cli/hook.c), so that it gets our reason. */
#define HOOK_PREPARE_SEC 110

struct manager;

/* As libvirt gives it: https://libvirt.org/hooks.html */
struct hook_call {
	const char *object;    /* "qemu", "network" */
	const char *operation; /* "prepare", "release", ... */
	const char *xml;
};

/* Answers {} when all is done, or with the reason why the guest must not start. A release,
 * and operations that vnetd has nothing to do for, never fail. */
void hook_run(struct manager *m, const struct hook_call *c, reply_fn reply, void *user);
#endif
