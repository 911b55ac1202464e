/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Invariant: nothing here trusts a length further than the message reaches, and
 * attributes after a VF list are never read: where the list's 16 bit length has
 * wrapped, what follows is the rest of the list, and IFLA_VF_INFO has the number
 * of IFLA_ADDRESS.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "daemon/host/link.h"

#define LOWER_UP (1u << 16) /* IFF_LOWER_UP: linux/if.h does not go with net/if.h */

/* A copy of a plain value, zero-filled where the attribute is shorter. */
static void attr_copy(void *ret, size_t size, const struct nlattr *a)
{
	size_t n = (size_t)nla_len(a);

	memset(ret, 0, size);
	memcpy(ret, nla_data(a), n < size ? n : size);
}

static uint32_t attr_u32(const struct nlattr *a)
{
	uint32_t v;

	attr_copy(&v, sizeof(v), a);
	return v;
}

static void attr_text(char *ret, size_t size, const struct nlattr *a)
{
	attr_copy(ret, size, a);
	ret[size - 1] = '\0';
	clean_text(ret);
}

static bool attr_mac(struct mac *ret, const struct nlattr *a)
{
	if (nla_len(a) != (int)sizeof(ret->b)) /* InfiniBand has 20 octets */
		return false;
	memcpy(ret->b, nla_data(a), sizeof(ret->b));
	return true;
}

static void parse_info(struct link *l, const struct nlattr *info)
{
	const struct nlattr *a, *data = NULL;
	int rem;

	nla_for_each_nested(a, info, rem)
	{
		if (nla_type(a) == IFLA_INFO_KIND)
			attr_text(l->kind, sizeof(l->kind), a);
		else if (nla_type(a) == IFLA_INFO_DATA)
			data = a;
	}
	if (!data)
		return;
	nla_for_each_nested(a, data, rem)
	{
		if (nla_len(a) < 1)
			continue;
		if (!strcmp(l->kind, "tun") && nla_type(a) == IFLA_TUN_PERSIST)
			l->tap_persistent = *(const uint8_t *)nla_data(a) != 0;
		if (!strcmp(l->kind, "bridge") && nla_type(a) == IFLA_BR_VLAN_FILTERING)
			l->vlan_filtering = *(const uint8_t *)nla_data(a) != 0;
		if ((!strcmp(l->kind, "macvtap") || !strcmp(l->kind, "macvlan")) &&
		    nla_type(a) == IFLA_MACVLAN_MODE)
			l->passthru = attr_u32(a) == MACVLAN_MODE_PASSTHRU;
	}
}

static void parse_link_attr(struct link *l, const struct nlattr *a, char parent[static 32],
			    char bus[static 16])
{
	switch (nla_type(a)) {
	case IFLA_IFNAME:
		attr_text(l->name, sizeof(l->name), a);
		break;
	case IFLA_ADDRESS:
		l->has_mac = attr_mac(&l->mac, a);
		break;
	case IFLA_PERM_ADDRESS:
		l->has_perm_mac = attr_mac(&l->perm_mac, a);
		break;
	case IFLA_MTU:
		l->mtu = (int)attr_u32(a);
		break;
	case IFLA_MASTER:
		l->master = (int)attr_u32(a);
		break;
	case IFLA_LINK:
		l->lower = (int)attr_u32(a);
		break;
	case IFLA_LINKINFO:
		parse_info(l, a);
		break;
	case IFLA_PARENT_DEV_NAME:
		attr_text(parent, 32, a);
		break;
	case IFLA_PARENT_DEV_BUS_NAME:
		attr_text(bus, 16, a);
		break;
	default:
		break;
	}
}

int link_parse(const struct nlmsghdr *h, struct link *ret)
{
	char parent[32] = "", bus[16] = "";
	const struct ifinfomsg *ifi;
	bool lower_elsewhere = false;
	struct link l = { 0 };
	struct nlattr *a;
	int rem;

	if (h->nlmsg_type != RTM_NEWLINK || !nlmsg_valid_hdr(h, sizeof(*ifi)))
		return -EBADMSG;
	ifi = nlmsg_data(h);
	l.ifindex = ifi->ifi_index;
	l.up = ifi->ifi_flags & IFF_UP;
	l.carrier = ifi->ifi_flags & LOWER_UP;
	nlmsg_for_each_attr(a, h, sizeof(*ifi), rem)
	{
		if (nla_type(a) == IFLA_VFINFO_LIST)
			break;
		if (nla_type(a) == IFLA_LINK_NETNSID)
			lower_elsewhere = true;
		parse_link_attr(&l, a, parent, bus);
	}
	if (lower_elsewhere) /* an index of another namespace */
		l.lower = 0;
	if (!strcmp(bus, "pci") && pci_addr_parse(parent, &l.pci) < 0)
		l.pci.set = false;
	*ret = l;
	return 0;
}

static bool is_link_local(int family, const struct nlattr *a)
{
	const uint8_t *b = nla_data(a);

	if (family == AF_INET && nla_len(a) == 4)
		return b[0] == 169 && b[1] == 254;
	if (family == AF_INET6 && nla_len(a) == 16) /* and multicast, as routes have it */
		return (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) || b[0] == 0xff;
	return false;
}

void link_count_address(const struct nlmsghdr *h, struct host_scan *s)
{
	const struct ifaddrmsg *ifa;
	struct link *l;
	struct nlattr *a;
	int rem;

	if (h->nlmsg_type != RTM_NEWADDR || !nlmsg_valid_hdr(h, sizeof(*ifa)))
		return;
	ifa = nlmsg_data(h);
	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return;
	nlmsg_for_each_attr(a, h, sizeof(*ifa), rem)
	{
		if (nla_type(a) == IFA_ADDRESS && is_link_local(ifa->ifa_family, a))
			return;
	}
	l = host_scan_link(s, (int)ifa->ifa_index);
	if (l)
		l->addresses++;
}

static void count_route_through(struct host_scan *s, int ifindex)
{
	struct link *l = host_scan_link(s, ifindex);

	if (l)
		l->routes++;
}

static void count_next_hops(struct host_scan *s, const struct nlattr *a)
{
	const struct rtnexthop *hop = nla_data(a);
	int rem = nla_len(a);

	while (RTNH_OK(hop, rem)) {
		count_route_through(s, hop->rtnh_ifindex);
		rem -= RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
}

void link_count_route(const struct nlmsghdr *h, struct host_scan *s)
{
	const struct nlattr *oif = NULL, *hops = NULL;
	const struct rtmsg *rtm;
	uint32_t table;
	struct nlattr *a;
	int rem;

	if (h->nlmsg_type != RTM_NEWROUTE || !nlmsg_valid_hdr(h, sizeof(*rtm)))
		return;
	rtm = nlmsg_data(h);
	/* RTPROT_KERNEL: what comes with an address, that is the interface's own subnet. */
	if (rtm->rtm_type != RTN_UNICAST || rtm->rtm_protocol == RTPROT_KERNEL ||
	    (rtm->rtm_flags & RTM_F_CLONED))
		return;
	table = rtm->rtm_table;
	nlmsg_for_each_attr(a, h, sizeof(*rtm), rem)
	{
		if (nla_type(a) == RTA_DST && is_link_local(rtm->rtm_family, a))
			return;
		if (nla_type(a) == RTA_TABLE)
			table = attr_u32(a);
		else if (nla_type(a) == RTA_OIF)
			oif = a;
		else if (nla_type(a) == RTA_MULTIPATH)
			hops = a;
	}
	if (table != RT_TABLE_MAIN)
		return;
	if (oif)
		count_route_through(s, (int)attr_u32(oif));
	else if (hops)
		count_next_hops(s, hops);
}

static void parse_vf_vlan_list(struct vf_attrs *v, const struct nlattr *list)
{
	struct ifla_vf_vlan_info info;
	const struct nlattr *a;
	int rem;

	nla_for_each_nested(a, list, rem)
	{
		if (nla_type(a) != IFLA_VF_VLAN_INFO)
			continue;
		attr_copy(&info, sizeof(info), a);
		v->vlan = (struct vlan){ (uint16_t)info.vlan, (uint8_t)info.qos,
					 ntohs(info.vlan_proto) };
		return;
	}
}

/* "The driver did not report it" is -1 on the wire: all bits set. */
static int reported(uint32_t setting)
{
	return setting > 1 ? -1 : (int)setting;
}

static void parse_vf_attr(struct vf_attrs *v, const struct nlattr *a)
{
	union {
		struct ifla_vf_mac mac;
		struct ifla_vf_vlan vlan;
		struct ifla_vf_rate rate;
		struct ifla_vf_trust trust;
		struct ifla_vf_spoofchk spoofchk;
		struct ifla_vf_link_state link_state;
	} u;

	attr_copy(&u, sizeof(u), a);
	switch (nla_type(a)) {
	case IFLA_VF_MAC:
		v->index = (int)u.mac.vf;
		memcpy(v->mac.b, u.mac.mac, sizeof(v->mac.b));
		break;
	case IFLA_VF_VLAN:
		if (!v->vlan.id) /* IFLA_VF_VLAN_LIST says it better */
			v->vlan = (struct vlan){ (uint16_t)u.vlan.vlan, (uint8_t)u.vlan.qos,
						 ETH_P_8021Q };
		break;
	case IFLA_VF_VLAN_LIST:
		parse_vf_vlan_list(v, a);
		break;
	case IFLA_VF_RATE:
		v->min_tx_mbps = (int)u.rate.min_tx_rate;
		v->max_tx_mbps = (int)u.rate.max_tx_rate;
		break;
	case IFLA_VF_TRUST:
		v->trust = reported(u.trust.setting);
		break;
	case IFLA_VF_SPOOFCHK:
		v->spoofchk = reported(u.spoofchk.setting);
		break;
	case IFLA_VF_LINK_STATE:
		v->link_state = u.link_state.link_state > 2 ? -1 : (int)u.link_state.link_state;
		break;
	default:
		break;
	}
}

/* False: no VF entry, the list ends before it. */
static bool parse_vf(struct vf_attrs *ret, const struct nlattr *entry, const struct pci_addr *pf)
{
	struct vf_attrs v = {
		.index = -1, .trust = -1, .spoofchk = -1, .link_state = -1, .pf = *pf
	};
	const struct nlattr *a;
	int rem;

	if (nla_type(entry) != IFLA_VF_INFO)
		return false;
	nla_for_each_nested(a, entry, rem)
	{
		parse_vf_attr(&v, a);
	}
	if (v.index < 0)
		return false;
	if (!v.vlan.id)
		v.vlan = (struct vlan){ 0 };
	*ret = v;
	return true;
}

static int cmp_index(const void *a, const void *b)
{
	const struct vf_attrs *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

int link_parse_vfs(const struct nlmsghdr *h, const struct pci_addr *pf, struct vf_attrs **ret,
		   size_t *ret_n)
{
	const struct nlattr *a, *end;
	struct vf_attrs *vfs = NULL;
	uint32_t num = 0;
	size_t n = 0;
	int rem;

	if (h->nlmsg_type != RTM_NEWLINK || !nlmsg_valid_hdr(h, sizeof(struct ifinfomsg)))
		return -EBADMSG;
	nlmsg_for_each_attr(a, (struct nlmsghdr *)h, sizeof(struct ifinfomsg), rem)
	{
		if (nla_type(a) == IFLA_NUM_VF)
			num = attr_u32(a);
		if (nla_type(a) == IFLA_VFINFO_LIST)
			break;
	}
	if (num > UINT16_MAX)
		return -EBADMSG;
	/* Not nla_ok(): a length that has wrapped may be anything. */
	if (rem >= NLA_HDRLEN && nla_type(a) == IFLA_VFINFO_LIST && num) {
		vfs = calloc(num, sizeof(*vfs));
		if (!vfs)
			return -ENOMEM;
		/* From the list's first entry to the end of the message, see above. */
		end = nla_data(a);
		rem -= NLA_HDRLEN;
		while (n < num && nla_ok(end, rem) && parse_vf(&vfs[n], end, pf)) {
			end = nla_next(end, &rem);
			n++;
		}
		qsort(vfs, n, sizeof(*vfs), cmp_index);
	}
	*ret = vfs;
	*ret_n = n;
	return 0;
}

void link_parse_extack(const struct nlmsghdr *h, char *ret, size_t size)
{
	const struct nlmsgerr *e = nlmsg_data(h);
	const struct nlattr *a;
	size_t skip = sizeof(*e);
	int rem;

	*ret = '\0';
	if (h->nlmsg_type != NLMSG_ERROR || !nlmsg_valid_hdr(h, sizeof(*e)) ||
	    !(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	/* Unless capped, the request is repeated in between. */
	if (!(h->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len > NLMSG_HDRLEN)
		skip += NLMSG_ALIGN(e->msg.nlmsg_len - NLMSG_HDRLEN);
	if (skip > (size_t)nlmsg_datalen(h))
		return;
	a = (const struct nlattr *)((const char *)e + skip);
	rem = nlmsg_datalen(h) - (int)skip;
	for (; nla_ok(a, rem); a = nla_next(a, &rem)) {
		if (nla_type(a) == NLMSGERR_ATTR_MSG)
			attr_text(ret, size, a);
	}
}
