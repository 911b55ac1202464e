/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_RELOAD_H
#define VNETD_RELOAD_H
/*
 * The configuration read anew, on SIGHUP or io.vnetd.Reload. What changed is applied to
 * what will be given out; what is in use is left as it is, and told: for what and whom
 * the change waits. A file that cannot be read at all leaves everything as it was.
 */
#include "daemon/reply.h"

struct manager;
struct reload;

int reload_new(struct reload **ret, struct manager *m, struct vnet_err *err);
struct reload *reload_free(struct reload *rl);
/* {changed: [text], waiting: [text], problems: [{file, line, pool, text}]} */
void reload_run(struct manager *m, reply_fn reply, void *user);
/* The same with its answer in the log; later, where one runs. */
void reload_signalled(struct manager *m);
/* The start's pass is over: what was signalled meanwhile may begin. */
void reload_when_ready(struct manager *m);
#endif
