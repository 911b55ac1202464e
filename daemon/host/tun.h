/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_TUN_H
#define VNETD_HOST_TUN_H
/* /dev/net/tun, below the root of a kernel. */
#include "daemon/host/host.h"

/* A persistent tap without a queue; its descriptor is closed. Never takes one over
 * that is there: -EEXIST. */
int tun_make_tap(struct kernel *k, const char *name, bool multi_queue, struct vnet_err *err);
/* Keep others from tap @d: with its one queue taken, or -EBUSY. A multi-queue tap has
 * room for others: there it is only looked whether it has a queue. */
int tun_fence(struct kernel *k, const struct netdev *d, int *ret_fd, struct vnet_err *err);
#endif
