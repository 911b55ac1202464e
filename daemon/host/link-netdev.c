/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One interface by rtnetlink: read, made, changed, taken away. */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <stdio.h>
#include <string.h>

#include "daemon/host/link-priv.h"
#include "daemon/host/link.h"

static const struct {
	uint32_t number;
	const char *name;
} modes[] = {
	{ MACVLAN_MODE_PRIVATE, "private" },
	{ MACVLAN_MODE_VEPA, "vepa" },
	{ MACVLAN_MODE_BRIDGE, "bridge" },
	{ MACVLAN_MODE_PASSTHRU, "passthru" },
};

static void mode_str(uint32_t number, char *ret, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (modes[i].number == number)
			snprintf(ret, size, "%s", modes[i].name);
	}
}

static uint32_t mode_from(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (!strcmp(modes[i].name, name))
			return modes[i].number;
	}
	return 0;
}

/* ---- reading ---- */

/* Numbers of 1, 2 and 4 octets. */
static uint32_t attr_number(const struct nlattr *a)
{
	if (nla_len(a) >= 4)
		return nla_get_u32(a);
	if (nla_len(a) >= 2)
		return nla_get_u16(a);
	return nla_len(a) ? nla_get_u8(a) : 0;
}

static void parse_data_attr(struct netdev *d, const struct nlattr *a)
{
	int type = nla_type(a);

	if (!strcmp(d->link.kind, "tun")) {
		if (type == IFLA_TUN_TYPE)
			d->ip = attr_number(a) != IFF_TAP;
		else if (type == IFLA_TUN_MULTI_QUEUE)
			d->multi_queue = attr_number(a);
		else if (type == IFLA_TUN_NUM_QUEUES || type == IFLA_TUN_NUM_DISABLED_QUEUES)
			d->queues += (int)attr_number(a);
	} else if (!strcmp(d->link.kind, "macvtap")) {
		if (type == IFLA_MACVLAN_MODE)
			mode_str(attr_number(a), d->mode, sizeof(d->mode));
	} else if (!strcmp(d->link.kind, "bridge")) {
		if (type == IFLA_BR_VLAN_DEFAULT_PVID)
			d->default_pvid = (uint16_t)attr_number(a);
	}
}

int link_parse_netdev(const struct nlmsghdr *h, struct netdev *ret)
{
	const struct nlattr *info, *a;
	struct netdev d = { 0 };
	int rem, r = link_parse(h, &d.link);

	if (r < 0)
		return r;
	info = nlmsg_find_attr((struct nlmsghdr *)h, sizeof(struct ifinfomsg), IFLA_LINKINFO);
	info = info ? nla_find(nla_data(info), nla_len(info), IFLA_INFO_DATA) : NULL;
	if (info) {
		nla_for_each_nested(a, info, rem)
		{
			parse_data_attr(&d, a);
		}
	}
	*ret = d;
	return 0;
}

static int take_netdev(const struct nlmsghdr *h, void *user)
{
	return link_parse_netdev(h, user);
}

int link_get(struct nl_sock *nl, const char *name, int ifindex, struct netdev *ret,
	     struct vnet_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex };
	_cleanup_msg_ struct nl_msg *msg = link_request(RTM_GETLINK, 0, &ifi, sizeof(ifi));
	struct netdev d = { 0 };
	char extack[EXTACK_MAX], what[64];
	int r;

	if (ifindex)
		snprintf(what, sizeof(what), "read interface %d", ifindex);
	else
		snprintf(what, sizeof(what), "read interface %s", name);
	if (!msg || nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) < 0 ||
	    (!ifindex && nla_put_string(msg, IFLA_IFNAME, name) < 0))
		return vnet_err_errno(err, -ENOMEM, "%s", what);
	r = link_exchange(nl, msg, take_netdev, &d, extack, sizeof(extack));
	if (r == -ENODEV)
		return r;
	if (r == 0 && !d.link.ifindex)
		r = -EBADMSG;
	if (r < 0)
		return link_fail(err, r, extack, what);
	*ret = d;
	return 0;
}

/* ---- writing ---- */

static int put_info(struct nl_msg *msg, const struct netdev *d)
{
	struct nlattr *info = nla_nest_start(msg, IFLA_LINKINFO), *data;

	if (!info || nla_put_string(msg, IFLA_INFO_KIND, d->link.kind) < 0)
		return -ENOMEM;
	data = nla_nest_start(msg, IFLA_INFO_DATA);
	if (!data || nla_put_u32(msg, IFLA_MACVLAN_MODE, mode_from(d->mode)) < 0)
		return -ENOMEM;
	nla_nest_end(msg, data);
	return nla_nest_end(msg, info);
}

int link_add_macvtap(struct nl_sock *nl, const struct netdev *d, struct vnet_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
	_cleanup_msg_ struct nl_msg *msg =
		link_request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi));
	char extack[EXTACK_MAX], what[64];
	int r;

	snprintf(what, sizeof(what), "make macvtap %s", d->link.name);
	if (!msg || nla_put_string(msg, IFLA_IFNAME, d->link.name) < 0 ||
	    nla_put_u32(msg, IFLA_LINK, (uint32_t)d->link.lower) < 0 || put_info(msg, d) < 0)
		return vnet_err_errno(err, -ENOMEM, "%s", what);
	r = link_exchange(nl, msg, NULL, NULL, extack, sizeof(extack));
	if (r == -EBUSY && !*extack)
		strcpy(extack, "what is below it is a port of a bridge, bond or switch");
	else if (r == -EINVAL && !*extack)
		strcpy(extack, "passthru wants what is below it for itself alone");
	return r < 0 ? link_fail(err, r, extack, what) : 0;
}

int link_del(struct nl_sock *nl, const struct netdev *d, struct vnet_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = d->link.ifindex };
	_cleanup_msg_ struct nl_msg *msg = link_request(RTM_DELLINK, 0, &ifi, sizeof(ifi));
	char extack[EXTACK_MAX], what[64];
	struct netdev now = { 0 };
	int r;

	snprintf(what, sizeof(what), "delete interface %s", d->link.name);
	if (!msg)
		return vnet_err_errno(err, -ENOMEM, "%s", what);
	/* By its number: the name may be another's by now. And it is what it was. */
	r = link_get(nl, NULL, d->link.ifindex, &now, err);
	if (r == -ENODEV)
		return 0;
	if (r < 0)
		return r;
	if (strcmp(now.link.name, d->link.name) != 0 || strcmp(now.link.kind, d->link.kind) != 0)
		return vnet_err_set(err, -ESTALE, VNET_E_FAILED,
				    "%s: it was renamed or replaced meanwhile, and is left alone",
				    what);
	r = link_exchange(nl, msg, NULL, NULL, extack, sizeof(extack));
	if (r == -ENODEV)
		return 0;
	return r < 0 ? link_fail(err, r, extack, what) : 0;
}

static int put_change(struct nl_msg *msg, const struct netdev_change *c)
{
	switch (c->which) {
	case NETDEV_MAC:
		return nla_put(msg, IFLA_ADDRESS, sizeof(c->mac.b), c->mac.b);
	case NETDEV_MTU:
		return nla_put_u32(msg, IFLA_MTU, (uint32_t)c->number);
	case NETDEV_MASTER:
		return nla_put_u32(msg, IFLA_MASTER, (uint32_t)c->number);
	case NETDEV_ATTR_MAX:
		break;
	}
	return -EINVAL;
}

int link_set(struct nl_sock *nl, const struct netdev *d, const struct netdev_change *c,
	     struct vnet_err *err)
{
	static const char *const words[NETDEV_ATTR_MAX] = { "MAC", "MTU", "master" };
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = d->link.ifindex };
	_cleanup_msg_ struct nl_msg *msg = link_request(RTM_SETLINK, 0, &ifi, sizeof(ifi));
	char extack[EXTACK_MAX], what[64];
	int r;

	snprintf(what, sizeof(what), "set %s of interface %s", words[c->which], d->link.name);
	if (!msg || put_change(msg, c) < 0)
		return vnet_err_errno(err, -ENOMEM, "%s", what);
	r = link_exchange(nl, msg, NULL, NULL, extack, sizeof(extack));
	return r < 0 ? link_fail(err, r, extack, what) : 0;
}
