/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_LINK_H
#define VNETD_HOST_LINK_H
/*
 * rtnetlink: interfaces, and VF attributes through their PF. Messages are built by
 * hand on libnl's core: its route caches can't leave out VF statistics, lose VLAN
 * protocols and misread long VF lists. The parsers work on one message each, so
 * that tests feed them bytes.
 */
#include <linux/netlink.h>

#include "daemon/host/host.h"

struct nl_sock;

/* A request socket with extended error texts and room for large answers. */
int link_open(struct nl_sock **ret, struct vnet_err *err);
struct nl_sock *link_close(struct nl_sock *nl);

/* Fill s->links, sorted, with addresses and routes counted. */
int link_dump(struct nl_sock *nl, struct host_scan *s, struct vnet_err *err);
/* What the driver of interface @ifindex reports for its VFs, sorted by index. A VF
 * that it says nothing about is left out. */
int link_get_vfs(struct nl_sock *nl, int ifindex, const struct pci_addr *pf, struct vf_attrs **ret,
		 size_t *ret_n, struct vnet_err *err);
/* -EBUSY and -EAGAIN (a VF that resets) are tried again for 3 s. */
int link_set_vf(struct nl_sock *nl, int ifindex, unsigned index, const struct vf_change *change,
		struct vnet_err *err);
int link_set_up(struct nl_sock *nl, int ifindex, bool up, struct vnet_err *err);

/* ---- link-netdev.c: what kernel_ops wants of one interface ---- */

int link_get(struct nl_sock *nl, const char *name, int ifindex, struct netdev *ret,
	     struct vnet_err *err);
int link_add_macvtap(struct nl_sock *nl, const struct netdev *d, struct vnet_err *err);
int link_del(struct nl_sock *nl, const struct netdev *d, struct vnet_err *err);
int link_set(struct nl_sock *nl, const struct netdev *d, const struct netdev_change *c,
	     struct vnet_err *err);
/* One RTM_NEWLINK; 0 or -EBADMSG. */
int link_parse_netdev(const struct nlmsghdr *h, struct netdev *ret);

/* ---- link-bridge.c ---- */

int link_get_port(struct nl_sock *nl, const struct netdev *d, struct port *ret,
		  struct vnet_err *err);
int link_set_port(struct nl_sock *nl, const struct netdev *d, enum port_attr which,
		  const struct port *p, struct vnet_err *err);
/* One RTM_NEWLINK of family AF_BRIDGE. 1: it is what the bridge says of port @ifindex;
 * 0: another's; -EBADMSG. */
int link_parse_port(const struct nlmsghdr *h, int ifindex, struct port *ret);

/* ---- link-parse.c ---- */

/* One RTM_NEWLINK; 0 or -EBADMSG. */
int link_parse(const struct nlmsghdr *h, struct link *ret);
/* Count one RTM_NEWADDR or RTM_NEWROUTE where it belongs in s->links (sorted). */
void link_count_address(const struct nlmsghdr *h, struct host_scan *s);
void link_count_route(const struct nlmsghdr *h, struct host_scan *s);
/* The VF list of one RTM_NEWLINK. The list's own length is 16 bits wide and wraps
 * at about 334 VFs: entries are followed as far as they go, up to IFLA_NUM_VF. */
int link_parse_vfs(const struct nlmsghdr *h, const struct pci_addr *pf, struct vf_attrs **ret,
		   size_t *ret_n);
/* The kernel's own words in an NLMSG_ERROR, "" when it has none. */
void link_parse_extack(const struct nlmsghdr *h, char *ret, size_t size);
#endif
