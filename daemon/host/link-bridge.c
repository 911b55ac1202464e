/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ports of Linux bridges: rtnetlink's family AF_BRIDGE. Its RTM_GETLINK exists as a
 * dump only, of all ports of all bridges; and a NIC with a switch of its own answers
 * for itself too, in the same shape but without a port's state.
 */
#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/host/link-priv.h"
#include "daemon/host/link.h"

#define DUMP_TRIES 5

struct port_answer {
	int ifindex;
	bool found;
	struct port port;
};

/* ---- reading ---- */

/* False: this is not the bridge that speaks. */
static bool parse_state(const struct nlattr *info, struct port *p)
{
	const struct nlattr *a;
	bool is_port = false;
	int rem;

	nla_for_each_nested(a, info, rem)
	{
		if (nla_type(a) == IFLA_BRPORT_STATE)
			is_port = true;
		else if (nla_type(a) == IFLA_BRPORT_ISOLATED && nla_len(a) >= 1)
			p->isolated = nla_get_u8(a);
	}
	return is_port;
}

static void add_vlans(struct port_vlans *v, unsigned first, unsigned last, unsigned flags)
{
	bool pvid = flags & BRIDGE_VLAN_INFO_PVID, untagged = flags & BRIDGE_VLAN_INFO_UNTAGGED;

	if (pvid && untagged && first == last && !v->pvid)
		v->pvid = (uint16_t)first;
	else if (pvid || untagged || !port_vlans_add(v, first, last))
		v->odd = true;
}

static void parse_vlans(const struct nlattr *spec, struct port_vlans *v)
{
	struct bridge_vlan_info info;
	const struct nlattr *a;
	unsigned begin = 0;
	int rem;

	nla_for_each_nested(a, spec, rem)
	{
		if (nla_type(a) != IFLA_BRIDGE_VLAN_INFO || nla_len(a) < (int)sizeof(info))
			continue;
		memcpy(&info, nla_data(a), sizeof(info));
		if (info.flags & BRIDGE_VLAN_INFO_RANGE_BEGIN) {
			begin = info.vid;
			continue;
		}
		add_vlans(v, begin ? begin : info.vid, info.vid, info.flags);
		begin = 0;
	}
}

int link_parse_port(const struct nlmsghdr *h, int ifindex, struct port *ret)
{
	const struct nlattr *info, *spec;
	const struct ifinfomsg *ifi;
	struct port p = { 0 };

	if (h->nlmsg_type != RTM_NEWLINK || !nlmsg_valid_hdr(h, sizeof(*ifi)))
		return -EBADMSG;
	ifi = nlmsg_data(h);
	if (ifi->ifi_family != AF_BRIDGE || ifi->ifi_index != ifindex)
		return 0;
	info = nlmsg_find_attr((struct nlmsghdr *)h, sizeof(*ifi), IFLA_PROTINFO);
	if (!info || !parse_state(info, &p))
		return 0;
	spec = nlmsg_find_attr((struct nlmsghdr *)h, sizeof(*ifi), IFLA_AF_SPEC);
	if (spec)
		parse_vlans(spec, &p.vlans);
	*ret = p;
	return 1;
}

static int take_port(const struct nlmsghdr *h, void *user)
{
	struct port_answer *a = user;
	int r = link_parse_port(h, a->ifindex, &a->port);

	a->found |= r > 0;
	return r < 0 ? r : 0;
}

int link_get_port(struct nl_sock *nl, const struct netdev *d, struct port *ret,
		  struct vnet_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_BRIDGE };
	struct port_answer answer = { 0 };
	char extack[EXTACK_MAX] = "", what[64];
	int r = -EINTR;

	snprintf(what, sizeof(what), "read VLANs of bridge port %s", d->link.name);
	/* Disturbed: the port itself may have been passed over. */
	for (int i = 0; r == -EINTR && i < DUMP_TRIES; i++) {
		_cleanup_msg_ struct nl_msg *msg =
			link_request(RTM_GETLINK, NLM_F_DUMP, &ifi, sizeof(ifi));

		if (!msg ||
		    nla_put_u32(msg, IFLA_EXT_MASK,
				RTEXT_FILTER_BRVLAN_COMPRESSED | RTEXT_FILTER_SKIP_STATS) < 0)
			return vnet_err_errno(err, -ENOMEM, "%s", what);
		answer = (struct port_answer){ .ifindex = d->link.ifindex };
		r = link_exchange(nl, msg, take_port, &answer, extack, sizeof(extack));
	}
	if (r == -EINTR && answer.found) /* something else changed */
		r = 0;
	if (r == 0 && !answer.found)
		r = -ENOENT;
	if (r < 0)
		return link_fail(err, r, extack, what);
	*ret = answer.port;
	return 0;
}

/* ---- writing ---- */

static int put_vlan(struct nl_msg *msg, unsigned flags, unsigned vid)
{
	struct bridge_vlan_info info = { .flags = (uint16_t)flags, .vid = (uint16_t)vid };

	return nla_put(msg, IFLA_BRIDGE_VLAN_INFO, sizeof(info), &info);
}

static int put_range(struct nl_msg *msg, unsigned first, unsigned last)
{
	int r;

	if (first == last)
		return put_vlan(msg, 0, first);
	r = put_vlan(msg, BRIDGE_VLAN_INFO_RANGE_BEGIN, first);
	return r < 0 ? r : put_vlan(msg, BRIDGE_VLAN_INFO_RANGE_END, last);
}

static int put_vlans(struct nl_msg *msg, const struct port_vlans *v)
{
	struct nlattr *spec = nla_nest_start(msg, IFLA_AF_SPEC | NLA_F_NESTED);
	int r = spec ? 0 : -ENOMEM;

	if (r == 0 && v->pvid)
		r = put_vlan(msg, BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED, v->pvid);
	for (unsigned i = 0; r == 0 && i < v->n; i++)
		r = put_range(msg, v->range[i].first, v->range[i].last);
	return r < 0 ? r : nla_nest_end(msg, spec);
}

static int put_isolated(struct nl_msg *msg, bool on)
{
	struct nlattr *info = nla_nest_start(msg, IFLA_PROTINFO | NLA_F_NESTED);

	if (!info || nla_put_u8(msg, IFLA_BRPORT_ISOLATED, on) < 0)
		return -ENOMEM;
	return nla_nest_end(msg, info);
}

static int send_port(struct nl_sock *nl, const struct netdev *d, int type,
		     const struct port_vlans *vlans, bool isolated, struct vnet_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_BRIDGE, .ifi_index = d->link.ifindex };
	_cleanup_msg_ struct nl_msg *msg = link_request(type, 0, &ifi, sizeof(ifi));
	char extack[EXTACK_MAX], what[64];
	int r = -ENOMEM;

	snprintf(what, sizeof(what), "set %s of bridge port %s", vlans ? "VLANs" : "isolation",
		 d->link.name);
	if (msg)
		r = vlans ? put_vlans(msg, vlans) : put_isolated(msg, isolated);
	if (r < 0)
		return vnet_err_errno(err, -ENOMEM, "%s", what);
	r = link_exchange(nl, msg, NULL, NULL, extack, sizeof(extack));
	return r < 0 ? link_fail(err, r, extack, what) : 0;
}

int link_set_port(struct nl_sock *nl, const struct netdev *d, enum port_attr which,
		  const struct port *p, struct vnet_err *err)
{
	static const struct port_vlans all = { .range = { { 1, VLAN_MAX } }, .n = 1 };
	int r;

	if (which == PORT_ISOLATED)
		return send_port(nl, d, RTM_SETLINK, NULL, p->isolated, err);
	/* What it has not it may be asked to lose. */
	r = send_port(nl, d, RTM_DELLINK, &all, false, err);
	if (r < 0 || (!p->vlans.pvid && !p->vlans.n))
		return r;
	return send_port(nl, d, RTM_SETLINK, &p->vlans, false, err);
}
