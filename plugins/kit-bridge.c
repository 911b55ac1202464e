/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The order of the plan: MAC and MTU before the bridge has the tap, for a bridge may take
 * the least MAC of its ports for its own, and always takes their least MTU. So the tap
 * has the bridge's MTU whatever the guest is told, or one guest would shrink the bridge
 * of all. Up comes last: no packet passes before the VLAN is set.
 */
#include "kit-bridge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VLAN_MAX 4094
#define TRUNK_PARTS_MAX 32 /* that knob bridge-port sets */
#define KNOB_VALUE 192
#define USUAL_MTU 1500 /* that a new tap has */

/* A VLAN of a list, and *@s behind it; -1 it is none. */
static int take_vlan(const char **s)
{
	int n = 0;

	if (**s < '1' || **s > '9')
		return -1;
	for (; **s >= '0' && **s <= '9'; (*s)++) {
		n = n * 10 + (**s - '0');
		if (n > VLAN_MAX)
			return -1;
	}
	return n;
}

static int is_trunk(const char *s)
{
	for (;; s++) {
		int first = take_vlan(&s), last = first;

		if (first > 0 && *s == '-') {
			s++;
			last = take_vlan(&s);
		}
		if (first < 0 || last < first)
			return 0;
		if (*s != ',')
			return *s == '\0';
	}
}

void bridge_read(struct bridge_ask *b, const struct vnet_plugin_host *host,
		 const struct vnet_plugin_nic *nic, const struct vnet_plugin_request *request,
		 int max_queues)
{
	static const char *const off_on[] = { "off", "on", NULL };

	ask_begin(&b->ask, host, nic, request);
	ask_queues(&b->ask, max_queues, 1);
	ask_mtu(&b->ask);
	b->isolated = strcmp(ask_word(&b->ask, "isolated", off_on), "on") == 0;
	ask_text(&b->ask, "trunk", b->trunk);
	if (b->trunk[0] && !is_trunk(b->trunk))
		ask_wrong(&b->ask,
			  "trunk=%s is not possible: VLANs from 1 to %d and ranges of them are, as "
			  "in 10,20-30",
			  b->trunk, VLAN_MAX);
}

static int is_ovs(const struct bridge_ask *b)
{
	return b->ask.nic->uplink_kind == VNET_UPLINK_OVS;
}

static int trunk_parts(const char *trunk)
{
	int n = trunk[0] != '\0';

	for (; *trunk; trunk++)
		n += *trunk == ',';
	return n;
}

/* What the bridge cannot do of what is asked. */
static void check_asked(struct bridge_ask *b)
{
	const struct vnet_plugin_nic *nic = b->ask.nic;

	if (b->ask.vlan_more)
		ask_wrong(&b->ask,
			  "vlan %s: a port of bridge %s has no QoS and no 802.1ad: ask for vlan %d "
			  "alone, or for mode vf",
			  b->ask.request->vlan, nic->link, b->ask.vlan);
	if (b->ask.vlan && b->trunk[0])
		ask_wrong(&b->ask,
			  "both vlan %d and trunk=%s are asked for on %s: a guest is in one VLAN "
			  "without tags, or in several with them (a VLAN may also be the pool's "
			  "own)",
			  b->ask.vlan, b->trunk, nic->link);
	if (b->isolated && is_ovs(b))
		ask_wrong(&b->ask,
			  "isolated=on: %s is an Open vSwitch bridge, which has no isolated ports: "
			  "it has flows for that (ovs-ofctl)",
			  nic->link);
	if ((b->ask.vlan || b->trunk[0]) && !is_ovs(b) && !nic->vlan_filtering)
		ask_wrong(&b->ask,
			  "bridge %s does not filter VLANs, so it cannot hold a guest in one: ip "
			  "link set %s type bridge vlan_filtering 1 (its other ports are then in "
			  "VLAN 1)",
			  nic->link, nic->link);
	if (!is_ovs(b) && trunk_parts(b->trunk) > TRUNK_PARTS_MAX)
		ask_wrong(&b->ask,
			  "trunk=%s: a port of bridge %s takes %d VLANs or ranges at most: write "
			  "neighbours as a range",
			  b->trunk, nic->link, TRUNK_PARTS_MAX);
	/* The bridge would take its packets for the host's own. */
	if (strncmp(b->ask.request->mac, "fe:", 3) == 0)
		ask_wrong(&b->ask,
			  "MAC address %s: the tap of a guest has the guest's with fe in front, so "
			  "the guest's must begin otherwise, as in 52:54:00",
			  b->ask.request->mac);
}

int bridge_serves(struct bridge_ask *b, struct vnet_plugin_verdict *ret)
{
	const struct vnet_plugin_nic *nic = b->ask.nic;
	const struct vnet_plugin_host *host = b->ask.host;

	if (nic->uplink_kind != VNET_UPLINK_BRIDGE && !is_ovs(b)) {
		host->verdict(
			ret, 0,
			"%s is no bridge, and a tap is of use in one alone: mode macvtap puts "
			"guests on an interface directly",
			nic->link[0] ? nic->link : nic->uplink);
	} else if (nic->in_use[0]) {
		host->verdict(ret, 0, "%s is in use: %s", nic->uplink, nic->in_use);
	} else if (!nic->link[0]) {
		host->verdict(ret, 0, "bridge %s is not there", nic->uplink);
	} else if (!nic->has_tun) {
		host->verdict(ret, 0, "%s: there can be no tap: modprobe tun", nic->link);
	} else if (!is_ovs(b) && !nic->link_up) {
		/* An Open vSwitch bridge switches whatever its own port is. */
		host->verdict(ret, 0,
			      "bridge %s is down, so it passes nothing on: ip link set %s up",
			      nic->link, nic->link);
	} else {
		check_asked(b);
		return !ask_refused(&b->ask, ret);
	}
	return 0;
}

void bridge_describe(const struct bridge_ask *b, char ret[KIT_TEXT_MAX])
{
	ret[0] = '\0';
	kit_add(ret, "%s is %s bridge (", b->ask.nic->link,
		is_ovs(b) ? "an Open vSwitch" : "a Linux");
	if (b->ask.vlan)
		kit_add(ret, "vlan %d, ", b->ask.vlan);
	if (b->trunk[0])
		kit_add(ret, "VLANs %s, ", b->trunk);
	if (b->isolated)
		kit_add(ret, "isolated, ");
	kit_add(ret, "%d queue%s)", b->ask.queues, b->ask.queues == 1 ? "" : "s");
}

static int plan_port(const struct bridge_ask *b, struct vnet_plugin_plan *ret)
{
	const struct vnet_plugin_nic *nic = b->ask.nic;
	char value[KNOB_VALUE], vlans[KIT_VALUE_MAX + 16] = "";

	if (b->ask.vlan)
		snprintf(vlans, sizeof(vlans), " %s %d", is_ovs(b) ? "tag" : "vlan", b->ask.vlan);
	else if (b->trunk[0])
		snprintf(vlans, sizeof(vlans), " %s %s", is_ovs(b) ? "trunks" : "trunk", b->trunk);
	if (is_ovs(b)) {
		snprintf(value, sizeof(value), "%s%s id %s", nic->link, vlans, nic->claim_id);
		return b->ask.host->want(ret, "ovs-port", nic->claim, value);
	}
	snprintf(value, sizeof(value), "%s%s%s", nic->link, vlans, b->isolated ? " isolated" : "");
	return b->ask.host->want(ret, "bridge-port", nic->claim, value);
}

int bridge_plan(const struct bridge_ask *b, struct vnet_plugin_plan *ret)
{
	const struct vnet_plugin_nic *nic = b->ask.nic;
	const struct vnet_plugin_host *host = b->ask.host;
	char queues[32], mac[32], mtu[16];
	int r;

	if (b->ask.wrong[0])
		return -EINVAL;
	snprintf(queues, sizeof(queues), "queues %d", b->ask.queues);
	/* The guest's own would make the bridge keep the guest's packets to itself. */
	snprintf(mac, sizeof(mac), "fe%s", b->ask.request->mac + 2);
	snprintf(mtu, sizeof(mtu), "%d", nic->link_mtu);
	if ((r = host->want(ret, "tap", nic->claim, queues)) < 0 ||
	    (r = host->want(ret, "net-mac", nic->claim, mac)) < 0)
		return r;
	if (nic->link_mtu > 0 && nic->link_mtu != USUAL_MTU &&
	    (r = host->want(ret, "net-mtu", nic->claim, mtu)) < 0)
		return r;
	r = plan_port(b, ret);
	return r < 0 ? r : host->want(ret, "net-up", nic->claim, "up");
}
