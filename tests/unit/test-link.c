/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rtnetlink messages as the kernel sends them, byte by byte. */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/host/backend.h"
#include "daemon/host/link.h"

/* One message under construction; room for a VF list beyond 64 KiB. */
static struct {
	union {
		struct nlmsghdr h;
		char bytes[256 * 1024];
	};
} m;

static struct pci_addr pf = { .bus = 1, .set = true };

static void begin(uint16_t type, const void *header, size_t size)
{
	memset(&m, 0, sizeof(m));
	m.h.nlmsg_type = type;
	memcpy(m.bytes + NLMSG_HDRLEN, header, size);
	m.h.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + NLMSG_ALIGN(size));
}

static struct nlattr *put(uint16_t type, const void *data, size_t size)
{
	struct nlattr *a = (struct nlattr *)(void *)(m.bytes + m.h.nlmsg_len);

	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + size);
	if (size)
		memcpy((char *)a + NLA_HDRLEN, data, size);
	m.h.nlmsg_len += (uint32_t)NLA_ALIGN(NLA_HDRLEN + size);
	return a;
}

static struct nlattr *nest(uint16_t type)
{
	return put(type, NULL, 0);
}

/* As the kernel's nla_nest_end(): the length is cut to 16 bits without a word. */
static void end(struct nlattr *a)
{
	a->nla_len = (uint16_t)(m.bytes + m.h.nlmsg_len - (char *)a);
}

static void put_u32(uint16_t type, uint32_t v)
{
	put(type, &v, sizeof(v));
}

static void begin_link(int ifindex, unsigned flags)
{
	struct ifinfomsg ifi = { .ifi_index = ifindex, .ifi_flags = flags };

	begin(RTM_NEWLINK, &ifi, sizeof(ifi));
}

static void test_link(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct nlattr *info, *data;
	uint8_t one = 1;
	struct link l;

	(void)state;
	begin_link(7, IFF_UP | 1u << 16);
	put(IFLA_IFNAME, "eth\033", 5);
	put(IFLA_ADDRESS, mac, sizeof(mac));
	put(IFLA_PERM_ADDRESS, mac, sizeof(mac));
	put_u32(IFLA_MTU, 9000);
	put_u32(IFLA_MASTER, 3);
	put_u32(IFLA_LINK, 4);
	info = nest(IFLA_LINKINFO);
	put(IFLA_INFO_KIND, "tun", 4);
	data = nest(IFLA_INFO_DATA);
	put(IFLA_TUN_PERSIST, &one, 1);
	end(data);
	end(info);
	put(IFLA_PARENT_DEV_NAME, "0000:65:00.1", 13);
	put(IFLA_PARENT_DEV_BUS_NAME, "pci", 4);
	assert_int_equal(link_parse(&m.h, &l), 0);
	assert_int_equal(l.ifindex, 7);
	assert_true(l.up && l.carrier && l.has_mac && l.has_perm_mac && l.tap_persistent);
	assert_string_equal(l.name, "eth?");
	assert_string_equal(l.kind, "tun");
	assert_int_equal(l.mtu, 9000);
	assert_int_equal(l.master, 3);
	assert_int_equal(l.lower, 4);
	assert_int_equal(l.pci.bus, 0x65);

	put_u32(IFLA_LINK_NETNSID, 0);
	assert_int_equal(link_parse(&m.h, &l), 0);
	assert_int_equal(l.lower, 0); /* an index of another namespace */

	begin_link(8, 0);
	put(IFLA_ADDRESS, "12345678901234567890", 20); /* InfiniBand */
	put(IFLA_PARENT_DEV_NAME, "virtio0", 8);
	put(IFLA_PARENT_DEV_BUS_NAME, "virtio", 7);
	assert_int_equal(link_parse(&m.h, &l), 0);
	assert_false(l.has_mac || l.pci.set || l.up || l.carrier);
	m.h.nlmsg_len = NLMSG_HDRLEN + 4;
	assert_int_equal(link_parse(&m.h, &l), -EBADMSG);
}

static void put_u8(uint16_t type, uint8_t v)
{
	put(type, &v, sizeof(v));
}

static void begin_kind(int ifindex, const char *kind, struct nlattr **ret_info,
		       struct nlattr **ret_data)
{
	begin_link(ifindex, 0);
	*ret_info = nest(IFLA_LINKINFO);
	put(IFLA_INFO_KIND, kind, strlen(kind) + 1);
	*ret_data = nest(IFLA_INFO_DATA | NLA_F_NESTED);
}

static int parse_netdev(struct nlattr *info, struct nlattr *data, struct netdev *ret)
{
	end(data);
	end(info);
	return link_parse_netdev(&m.h, ret);
}

static void test_netdev(void **state)
{
	struct nlattr *info, *data;
	uint16_t pvid = 7;
	struct netdev d;

	(void)state;
	begin_kind(7, "tun", &info, &data);
	put_u8(IFLA_TUN_TYPE, 2); /* IFF_TAP */
	put_u8(IFLA_TUN_PERSIST, 1);
	put_u8(IFLA_TUN_MULTI_QUEUE, 1);
	put_u32(IFLA_TUN_NUM_QUEUES, 3);
	put_u32(IFLA_TUN_NUM_DISABLED_QUEUES, 1);
	assert_int_equal(parse_netdev(info, data, &d), 0);
	assert_true(d.link.tap_persistent && d.multi_queue && !d.ip);
	assert_int_equal(d.queues, 4);

	begin_kind(8, "tun", &info, &data);
	put_u8(IFLA_TUN_TYPE, 1); /* IFF_TUN */
	put(IFLA_TUN_PERSIST, NULL, 0);
	assert_int_equal(parse_netdev(info, data, &d), 0);
	assert_true(d.ip && !d.multi_queue && !d.link.tap_persistent);

	begin_kind(9, "macvtap", &info, &data);
	put_u32(IFLA_MACVLAN_MODE, MACVLAN_MODE_PASSTHRU);
	assert_int_equal(parse_netdev(info, data, &d), 0);
	assert_string_equal(d.mode, "passthru");

	begin_kind(10, "bridge", &info, &data);
	put_u8(IFLA_BR_VLAN_FILTERING, 1);
	put(IFLA_BR_VLAN_DEFAULT_PVID, &pvid, sizeof(pvid));
	assert_int_equal(parse_netdev(info, data, &d), 0);
	assert_true(d.link.vlan_filtering);
	assert_int_equal(d.default_pvid, 7);

	begin_kind(11, "dummy", &info, &data);
	put_u8(IFLA_BR_VLAN_FILTERING, 1); /* the number means something else there */
	assert_int_equal(parse_netdev(info, data, &d), 0);
	assert_false(d.link.vlan_filtering);
}

static void put_vlan(uint16_t vid, uint16_t flags)
{
	struct bridge_vlan_info v = { .flags = flags, .vid = vid };

	put(IFLA_BRIDGE_VLAN_INFO, &v, sizeof(v));
}

static struct nlattr *begin_port(bool of_bridge)
{
	struct ifinfomsg ifi = { .ifi_family = AF_BRIDGE, .ifi_index = 7 };
	struct nlattr *info;

	begin(RTM_NEWLINK, &ifi, sizeof(ifi));
	info = nest(IFLA_PROTINFO | NLA_F_NESTED);
	if (of_bridge) {
		put_u8(IFLA_BRPORT_STATE, 3);
		put_u8(IFLA_BRPORT_ISOLATED, 1);
	} else {
		put_u8(IFLA_BRPORT_LEARNING, 1);
	}
	end(info);
	return nest(IFLA_AF_SPEC | NLA_F_NESTED);
}

static void test_port(void **state)
{
	struct nlattr *spec;
	struct port p = { 0 };

	(void)state;
	spec = begin_port(true);
	put_vlan(5, BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED);
	put_vlan(10, 0);
	put_vlan(20, BRIDGE_VLAN_INFO_RANGE_BEGIN);
	put_vlan(30, BRIDGE_VLAN_INFO_RANGE_END);
	put(IFLA_BRIDGE_VLAN_INFO, "x", 1); /* too short */
	end(spec);
	assert_int_equal(link_parse_port(&m.h, 7, &p), 1);
	assert_true(p.isolated && !p.vlans.odd);
	assert_int_equal(p.vlans.pvid, 5);
	assert_int_equal(p.vlans.n, 2);
	assert_int_equal(p.vlans.range[0].last, 10);
	assert_int_equal(p.vlans.range[1].first, 20);
	assert_int_equal(p.vlans.range[1].last, 30);
	assert_int_equal(link_parse_port(&m.h, 8, &p), 0);

	/* Untagged, but not where untagged frames go. */
	spec = begin_port(true);
	put_vlan(5, BRIDGE_VLAN_INFO_UNTAGGED);
	end(spec);
	assert_int_equal(link_parse_port(&m.h, 7, &p), 1);
	assert_true(p.vlans.odd);
	spec = begin_port(true);
	for (uint16_t i = 0; i <= VLAN_RANGES_MAX; i++)
		put_vlan((uint16_t)(1 + 2 * i), 0);
	end(spec);
	assert_int_equal(link_parse_port(&m.h, 7, &p), 1);
	assert_true(p.vlans.odd);

	/* A NIC's own switch says something too. */
	end(begin_port(false));
	assert_int_equal(link_parse_port(&m.h, 7, &p), 0);
	m.h.nlmsg_len = NLMSG_HDRLEN + 4;
	assert_int_equal(link_parse_port(&m.h, 7, &p), -EBADMSG);
}

static void put_vf(uint32_t vf, bool full)
{
	struct ifla_vf_mac mac = { .vf = vf,
				   .mac = { 2, 0, 0, 0, (uint8_t)(vf >> 8), (uint8_t)vf } };
	struct ifla_vf_vlan vlan = { .vf = vf, .vlan = 100, .qos = 3 };
	struct ifla_vf_vlan_info tag = { .vf = vf, .vlan = 100, .qos = 3, .vlan_proto = 0xa888 };
	struct ifla_vf_rate rate = { .vf = vf, .max_tx_rate = 10 };
	struct ifla_vf_spoofchk spoofchk = { .vf = vf, .setting = 1 };
	struct ifla_vf_trust trust = { .vf = vf, .setting = UINT32_MAX };
	struct ifla_vf_link_state state = { .vf = vf, .link_state = 2 };
	struct nlattr *info = nest(IFLA_VF_INFO), *list;
	char pad[64] = "";

	put(IFLA_VF_MAC, &mac, sizeof(mac));
	if (full) {
		put(IFLA_VF_VLAN, &vlan, sizeof(vlan));
		put(IFLA_VF_RATE, &rate, sizeof(rate));
		put(IFLA_VF_SPOOFCHK, &spoofchk, sizeof(spoofchk));
		put(IFLA_VF_LINK_STATE, &state, sizeof(state));
		put(IFLA_VF_TRUST, &trust, sizeof(trust));
		list = nest(IFLA_VF_VLAN_LIST);
		put(IFLA_VF_VLAN_INFO, &tag, sizeof(tag));
		end(list);
	}
	put(IFLA_VF_BROADCAST, pad, sizeof(pad));
	put(200, pad, sizeof(pad)); /* what a newer kernel adds */
	end(info);
}

static void test_vfs(void **state)
{
	struct vf_attrs *vfs = NULL;
	struct nlattr *list;
	size_t n = 0;

	(void)state;
	begin_link(7, 0);
	put_u32(IFLA_NUM_VF, 4);
	list = nest(IFLA_VFINFO_LIST);
	put_vf(3, true); /* in any order, and VF 1 and 2 not reported */
	put_vf(0, false);
	end(list);
	put_u32(IFLA_MTU, 1);
	assert_int_equal(link_parse_vfs(&m.h, &pf, &vfs, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(vfs[0].index, 0);
	assert_int_equal(vfs[0].trust, -1);
	assert_int_equal(vfs[0].spoofchk, -1);
	assert_int_equal(vfs[0].link_state, -1);
	assert_int_equal(vfs[1].index, 3);
	assert_int_equal(vfs[1].mac.b[5], 3);
	assert_int_equal(vfs[1].vlan.id, 100);
	assert_int_equal(vfs[1].vlan.proto, 0x88a8);
	assert_int_equal(vfs[1].trust, -1);
	assert_int_equal(vfs[1].spoofchk, 1);
	assert_int_equal(vfs[1].link_state, 2);
	assert_int_equal(vfs[1].max_tx_mbps, 10);
	assert_true(pci_addr_eq(&vfs[1].pf, &pf));
	free(vfs);

	begin_link(7, 0);
	assert_int_equal(link_parse_vfs(&m.h, &pf, &vfs, &n), 0);
	assert_int_equal(n, 0);
	assert_null(vfs);
}

/* 400 VFs: the list's length has wrapped, its rest looks like attributes of the
 * interface, and IFLA_VF_INFO has the number of IFLA_ADDRESS. */
static void test_wrapped_list(void **state)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
	struct vf_attrs *vfs = NULL;
	struct nlattr *list;
	struct link l;
	size_t n = 0;

	(void)state;
	begin_link(7, 0);
	put(IFLA_ADDRESS, mac, sizeof(mac));
	put_u32(IFLA_NUM_VF, 400);
	list = nest(IFLA_VFINFO_LIST);
	for (uint32_t i = 0; i < 400; i++)
		put_vf(i, true);
	end(list);
	assert_true(m.h.nlmsg_len > 65536 + 100u && list->nla_len < 65000);
	assert_int_equal(link_parse_vfs(&m.h, &pf, &vfs, &n), 0);
	assert_int_equal(n, 400);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(vfs[i].index, (int)i);
		assert_int_equal(vfs[i].mac.b[5], i & 0xff);
	}
	free(vfs);
	assert_int_equal(link_parse(&m.h, &l), 0);
	assert_memory_equal(l.mac.b, mac, sizeof(mac));
	/* A message that was cut: as far as it goes. */
	m.h.nlmsg_len = 40000;
	assert_int_equal(link_parse_vfs(&m.h, &pf, &vfs, &n), 0);
	assert_in_range(n, 50, 300);
	free(vfs);
}

static struct link links[2];
static struct host_scan s = { .links = links, .n_links = 2 };

static void address(int ifindex, int family, const void *bytes, size_t size)
{
	struct ifaddrmsg ifa = { .ifa_family = (uint8_t)family, .ifa_index = (uint32_t)ifindex };

	begin(RTM_NEWADDR, &ifa, sizeof(ifa));
	put(IFA_ADDRESS, bytes, size);
	link_count_address(&m.h, &s);
}

static void test_addresses(void **state)
{
	(void)state;
	links[0] = (struct link){ .ifindex = 2 };
	links[1] = (struct link){ .ifindex = 5 };
	address(5, AF_INET, "\x0a\x00\x00\x01", 4);
	address(5, AF_INET, "\xa9\xfe\x00\x01", 4);
	address(5, AF_INET6, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	address(5, AF_INET6, "\xfd\x00\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	address(9, AF_INET, "\x0a\x00\x00\x01", 4);
	assert_int_equal(links[0].addresses, 0);
	assert_int_equal(links[1].addresses, 2);
}

static void route(uint8_t protocol, uint32_t table, const char *dst, int oif)
{
	struct rtmsg rtm = { .rtm_family = AF_INET,
			     .rtm_type = RTN_UNICAST,
			     .rtm_protocol = protocol,
			     .rtm_table = RT_TABLE_MAIN };

	begin(RTM_NEWROUTE, &rtm, sizeof(rtm));
	put_u32(RTA_TABLE, table);
	if (dst)
		put(RTA_DST, dst, 4);
	if (oif)
		put_u32(RTA_OIF, (uint32_t)oif);
}

static void test_routes(void **state)
{
	struct rtnexthop hops[2] = { { .rtnh_len = sizeof(hops[0]), .rtnh_ifindex = 2 },
				     { .rtnh_len = sizeof(hops[0]), .rtnh_ifindex = 5 } };

	(void)state;
	links[0] = (struct link){ .ifindex = 2 };
	links[1] = (struct link){ .ifindex = 5 };
	route(RTPROT_BOOT, RT_TABLE_MAIN, NULL, 5);
	link_count_route(&m.h, &s);
	route(RTPROT_KERNEL, RT_TABLE_MAIN, "\x0a\0\0\0", 5); /* its own subnet */
	link_count_route(&m.h, &s);
	route(RTPROT_BOOT, 1000, NULL, 5); /* another table */
	link_count_route(&m.h, &s);
	route(RTPROT_BOOT, RT_TABLE_MAIN, "\xa9\xfe\0\0", 5); /* link-local */
	link_count_route(&m.h, &s);
	route(RTPROT_BOOT, RT_TABLE_MAIN, "\x0b\0\0\0", 0);
	put(RTA_MULTIPATH, hops, sizeof(hops));
	link_count_route(&m.h, &s);
	assert_int_equal(links[0].routes, 1);
	assert_int_equal(links[1].routes, 2);
}

static void test_extack(void **state)
{
	struct nlmsgerr e = { .error = -EBUSY, .msg.nlmsg_len = NLMSG_HDRLEN + 8 };
	char text[16];

	(void)state;
	begin(NLMSG_ERROR, &e, sizeof(e));
	link_parse_extack(&m.h, text, sizeof(text));
	assert_string_equal(text, "");
	m.h.nlmsg_flags = NLM_F_ACK_TLVS | NLM_F_CAPPED;
	put(NLMSGERR_ATTR_MSG, "no\nway", 7);
	link_parse_extack(&m.h, text, sizeof(text));
	assert_string_equal(text, "no?way");
	/* Not capped: the request's payload of 8 bytes comes first. */
	begin(NLMSG_ERROR, &e, sizeof(e));
	m.h.nlmsg_flags = NLM_F_ACK_TLVS;
	m.h.nlmsg_len += 8;
	put(NLMSGERR_ATTR_MSG, "longer than there is room", 26);
	link_parse_extack(&m.h, text, sizeof(text));
	assert_string_equal(text, "longer than the");
	m.h.nlmsg_len = NLMSG_HDRLEN + sizeof(e);
	link_parse_extack(&m.h, text, sizeof(text));
	assert_string_equal(text, "");
}

/* Looking at this machine's own interfaces takes no privilege. */
static void test_real_dump(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct host_scan real = { 0 };
	struct nl_sock *nl = NULL;

	(void)state;
	assert_int_equal(link_open(&nl, &err), 0);
	assert_int_equal(link_dump(nl, &real, &err), 0);
	assert_true(real.n_links >= 1);
	assert_string_equal(real.links[0].name, "lo");
	assert_int_equal(link_get_vfs(nl, INT32_MAX, &pf, &real.vfs, &real.n_vfs, &err), -ENODEV);
	assert_non_null(strstr(err.text, "read VFs of PF 0000:01:00.0"));
	assert_null(real.vfs);
	host_scan_done(&real);
	link_close(nl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link),	     cmocka_unit_test(test_vfs),
		cmocka_unit_test(test_netdev),	     cmocka_unit_test(test_port),
		cmocka_unit_test(test_wrapped_list), cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_routes),	     cmocka_unit_test(test_extack),
		cmocka_unit_test(test_real_dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
