/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_HOLDERS_H
#define VNETD_HOST_HOLDERS_H
/* Who has a VFIO, UIO or vDPA device open, or a queue of a tap, from /proc/PID: no node
 * is opened. */
#include "daemon/host/host.h"

int holders_scan(struct kernel *k, struct host_scan *s, struct vnet_err *err);
/* QEMU's guest name out of @len bytes of a /proc/PID/cmdline; "" without one. */
void holders_guest_name(const char *cmdline, size_t len, char ret[static GUEST_NAME_MAX]);
/* Which device a /proc/PID/fd link is: true, and h's node and numbers filled. */
bool holders_parse_node(const char *target, struct holder *h);
/* Fill h's comm and guest from its /proc/PID. */
void holders_describe(int procfd, struct holder *h);

/* ---- queue-holders.c ---- */

/* 1: *ret has a queue of that tap or macvtap; 0: nobody that can be seen. */
int holders_of_queue(struct kernel *k, const struct netdev *d, struct holder *ret,
		     struct vnet_err *err);
/* May a /proc/PID/fd link be to a queue of it? Of a tap: its fdinfo says. */
bool holders_is_queue(const char *target, const struct netdev *d);
bool holders_fdinfo_is_of(const char *fdinfo, const char *name);

/* ---- queue-users.c ---- */

/* All processes' queues of all of them; *ret is malloced. */
int holders_queue_users(struct kernel *k, struct queue_user **ret, size_t *ret_n,
			struct vnet_err *err);
/* What a /proc/PID/fd link is to; of a macvtap's node *ret_ifindex is set. */
enum queue_node { QUEUE_NODE_OTHER, QUEUE_NODE_TUN, QUEUE_NODE_MACVTAP, QUEUE_NODE_VHOST };
enum queue_node holders_queue_node(const char *target, int *ret_ifindex);
/* The tap that a queue's fdinfo names; false: none (yet). */
bool holders_fdinfo_name(const char *fdinfo, char ret[static IF_NAMESIZE]);
/* Another worker of this daemon? */
bool holders_is_sibling(int procfd);

/* "qemu-system-x86 (pid 812, guest vm1)" */
#define HOLDER_STR 256
const char *holder_str(const struct holder *h, char buf[static HOLDER_STR]);
#endif
