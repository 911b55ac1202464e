/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_LINK_PRIV_H
#define VNETD_HOST_LINK_PRIV_H
/* What the files that speak rtnetlink (link.c, link-*.c) share. */
#include <linux/netlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "lib/cleanup.h"
#include "lib/err.h"

#define EXTACK_MAX 128

/* 0 to go on, or a negative errno to end with. */
typedef int (*link_reply_fn)(const struct nlmsghdr *h, void *user);

/* NULL: no memory. */
struct nl_msg *link_request(int type, int flags, const void *header, size_t size);
/* One request and its answer; -errno, and the kernel's words in @extack. */
int link_exchange(struct nl_sock *nl, struct nl_msg *msg, link_reply_fn reply, void *user,
		  char *extack, size_t extack_size);
/* "what (the kernel's words): errno" */
int link_fail(struct vnet_err *err, int code, const char *extack, const char *what);

static inline void cleanup_msg(struct nl_msg **m)
{
	nlmsg_free(*m);
}
#define _cleanup_msg_ _cleanup_(cleanup_msg)
#endif
