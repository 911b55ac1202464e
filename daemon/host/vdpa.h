/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_VDPA_H
#define VNETD_HOST_VDPA_H
/*
 * The kernel's generic netlink family "vdpa", as of Linux 6.1: one request and its
 * answer. All of it is serialised in the kernel, and stuck as a whole while the
 * deletion of a device waits for somebody who has it open: worker lane "vdpa".
 */
#include <linux/netlink.h>

#include "daemon/host/host.h"

struct nl_msg;
struct nl_sock;

/* Opened, and the family looked up, when first needed. */
struct vdpa {
	struct nl_sock *nl;
	int family;
};

void vdpa_done(struct vdpa *v);
/* As the members of the same names of struct kernel_ops. */
int vdpa_mgmtdevs(struct vdpa *v, struct host_scan *s, struct vnet_err *err);
int vdpa_get(struct vdpa *v, const char *name, struct vdpa_config *ret, struct vnet_err *err);
int vdpa_new(struct vdpa *v, const char *name, const struct vdpa_config *c, struct vnet_err *err);
int vdpa_del(struct vdpa *v, const char *name, struct vnet_err *err);

/* ---- the messages themselves ---- */

/* 1: a management device for network devices; 0: for other ones; or -EBADMSG. */
int vdpa_parse_mgmtdev(const struct nlmsghdr *h, struct vdpa_mgmtdev *ret);
/* Name and management device of a device. 0 or -EBADMSG. */
int vdpa_parse_dev(const struct nlmsghdr *h, struct vdpa_dev *ret);
/* What is said of a network device's configuration; the rest of *ret stays. */
int vdpa_parse_config(const struct nlmsghdr *h, struct vdpa_config *ret);
/* A request; NULL: no memory. @c may be NULL. */
struct nl_msg *vdpa_request(int family, int cmd, int flags, const char *name,
			    const struct vdpa_config *c);

/* ---- vdpa-value.c: the knob's spelling ---- */

int vdpa_config_parse(const char *s, struct vdpa_config *ret); /* or -EINVAL */
const char *vdpa_config_str(const struct vdpa_config *c, char ret[static KNOB_VALUE_MAX]);

/* ---- vdpa-path.c ---- */

/* RUNTIME/vdpa, made where it is absent and @make. -ENOENT without err: it is. */
int vdpa_runtime(struct kernel *k, bool make, int *ret_fd, struct vnet_err *err);
#endif
