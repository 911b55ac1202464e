/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_KIT_BRIDGE_H
#define VNET_KIT_BRIDGE_H
/*
 * A tap in a Linux or Open vSwitch bridge: what vhost-net and tap have in common. They
 * differ in who moves its packets, the kernel or QEMU, and so in what the guest's device
 * may be.
 */
#include "kit-ask.h"

struct bridge_ask {
	struct ask ask;
	char trunk[KIT_VALUE_MAX]; /* "" none */
	int isolated;
};

/* The options that both have, for their own lists. */
/* clang-format off */
#define BRIDGE_OPTIONS                                                                     \
	{ "isolated", "on or off",                                                         \
	  "on: other isolated ports of the Linux bridge are not reached; default off" },   \
	{ "mtu", "68 to 65535", "what the guest is told; not above the bridge's MTU" },    \
	{ "queues", "1 to 256 or auto", "queue pairs, up to one a vCPU; default 1" },      \
	{ "trunk", "10,20-30", "VLANs that the guest gets with their tags" }
/* clang-format on */

void bridge_read(struct bridge_ask *b, const struct vnet_plugin_host *host,
		 const struct vnet_plugin_nic *nic, const struct vnet_plugin_request *request,
		 int max_queues);
/* Can a tap serve here at all? 1 yes; 0: the verdict is given. */
int bridge_serves(struct bridge_ask *b, struct vnet_plugin_verdict *ret);
/* "br0 is a Linux bridge (vlan 100, 2 queues)" */
void bridge_describe(const struct bridge_ask *b, char ret[KIT_TEXT_MAX]);
int bridge_plan(const struct bridge_ask *b, struct vnet_plugin_plan *ret);
#endif
