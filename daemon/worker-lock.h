/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_WORKER_LOCK_H
#define VNETD_WORKER_LOCK_H
/*
 * Each worker holds RUNTIME/workers.lock shared while it lives, a new file for each
 * vnetd: so that the next one knows when a write that it did not ask for may still be
 * under way.
 */
#include <stdbool.h>

#include "lib/err.h"

#define WORKERS_LOCK "workers.lock"

struct worker_locks;

/* To be called once by each vnetd, before its first worker. */
int worker_locks_new(struct worker_locks **ret, const char *runtime, struct vnet_err *err);
struct worker_locks *worker_locks_free(struct worker_locks *l);
/* Does a worker of any earlier vnetd still live? */
bool worker_locks_held(struct worker_locks *l);
/* The worker's side: held until the descriptor closes. */
int worker_lock_take(const char *runtime);
#endif
