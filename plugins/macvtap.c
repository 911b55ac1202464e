/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mode macvtap: an interface on top of another, which has no bridge. The kernel gives
 * it what is addressed to the guest's MAC. One receiver has an interface, so nothing can
 * be on top of one that is in a bridge or bond.
 */
#include "kit-ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SCORE 30
#define QUEUES_MAX 256 /* MAX_TAP_QUEUES of the kernel */

/* As the kernel calls them. */
static const char *const forwards[] = { "bridge", "private", "vepa", "passthru", NULL };

static const char *macvtap_read(struct ask *a, const struct vnet_plugin_host *host,
				const struct vnet_plugin_nic *nic,
				const struct vnet_plugin_request *request)
{
	ask_begin(a, host, nic, request);
	ask_queues(a, QUEUES_MAX, 1);
	ask_mtu(a);
	return ask_word(a, "forward", forwards);
}

/* What can be known to be in the way. */
static void check_link(struct ask *a, const char *forward)
{
	const struct vnet_plugin_nic *nic = a->nic;

	if (nic->in_use[0])
		ask_wrong(a, "%s is in use: %s", nic->link, nic->in_use);
	if (nic->master[0])
		ask_wrong(a,
			  "%s is in %s, which takes all that it receives: put the guest on %s "
			  "(where that is a bridge, by mode vhost-net)",
			  nic->link, nic->master, nic->master);
	if (!nic->link_up)
		ask_wrong(a, "%s is down: ip link set %s up", nic->link, nic->link);
	if (a->vlan)
		ask_wrong(a,
			  "vlan %s: a macvtap on %s puts nothing into a VLAN: make an interface of "
			  "that VLAN (ip link add link %s name vlan%d type vlan id %d) and put the "
			  "guest on it",
			  a->request->vlan, nic->link, nic->link, a->vlan, a->vlan);
	if (strcmp(forward, "passthru") == 0 && nic->host_use[0])
		ask_wrong(a,
			  "forward=passthru takes all that %s receives and gives it the guest's "
			  "MAC, but it is used already: %s",
			  nic->link, nic->host_use);
}

static int macvtap_probe(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
			 const struct vnet_plugin_request *request, struct vnet_plugin_verdict *ret)
{
	struct ask a;
	const char *forward = macvtap_read(&a, host, nic, request);

	switch (nic->uplink_kind) {
	case VNET_UPLINK_PF:
	case VNET_UPLINK_NIC:
	case VNET_UPLINK_LINK:
		break;
	default:
		host->verdict(
			ret, 0,
			"%s is a bridge: mode vhost-net or tap puts guests in it, macvtap on a "
			"NIC, bond or VLAN",
			nic->uplink);
		return 0;
	}
	if (!nic->link[0]) {
		host->verdict(ret, 0,
			      "%s has no interface here (driver %s): bind it to its network driver",
			      nic->uplink, nic->pf_driver[0] ? nic->pf_driver : "none");
		return 0;
	}
	check_link(&a, forward);
	if (ask_refused(&a, ret))
		return 0;
	host->verdict(ret, SCORE, "%s takes a macvtap (%s, %d queue%s)%s%s", nic->link, forward,
		      a.queues, a.queues == 1 ? "" : "s",
		      nic->link_carrier ? "" : "; it detects no link",
		      nic->has_vhost_net ? ""
					 : "; without vhost_net QEMU itself moves the packets");
	return 0;
}

static int macvtap_plan(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
			const struct vnet_plugin_request *request, struct vnet_plugin_plan *ret)
{
	struct ask a;
	const char *forward = macvtap_read(&a, host, nic, request);
	char value[64], mtu[16];
	int r;

	if (a.wrong[0])
		return -EINVAL;
	snprintf(value, sizeof(value), "on %s mode %s", nic->link, forward);
	snprintf(mtu, sizeof(mtu), "%d", a.mtu);
	if ((r = host->want(ret, "macvtap", nic->claim, value)) < 0 ||
	    (r = host->want(ret, "net-mac", nic->claim, request->mac)) < 0)
		return r;
	/* Without, it has that of what it is on. */
	if (a.mtu && (r = host->want(ret, "net-mtu", nic->claim, mtu)) < 0)
		return r;
	return host->want(ret, "net-up", nic->claim, "up");
}

static int macvtap_deliver(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
			   const struct vnet_plugin_request *request,
			   struct vnet_plugin_delivery *ret)
{
	char how[KIT_TEXT_MAX] = "";
	struct ask a;

	macvtap_read(&a, host, nic, request);
	if (a.wrong[0])
		return -EINVAL;
	kit_add(how, "model=virtio queues=%d vhost=%s", a.queues,
		nic->has_vhost_net ? "on" : "off");
	if (a.mtu)
		kit_add(how, " mtu=%d", a.mtu);
	return host->deliver(ret, VNET_DELIVERY_LINK, nic->claim, how);
}

static int macvtap_fds(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		       const struct vnet_plugin_request *request, struct vnet_plugin_fds *ret)
{
	struct ask a;
	int r;

	macvtap_read(&a, host, nic, request);
	if (a.wrong[0])
		return -EINVAL;
	r = host->open(ret, "tap", VNET_OPEN_MACVTAP, nic->claim, a.queues);
	if (r < 0 || !nic->has_vhost_net)
		return r;
	return host->open(ret, "vhost", VNET_OPEN_VHOST, "", a.queues);
}

static const struct vnet_plugin_option options[] = {
	{ "forward", "bridge, private, vepa or passthru",
	  "between guests on the same interface; default bridge" },
	{ "mtu", "68 to 65535", "of the guest's NIC; not above the interface's" },
	{ "queues", "1 to 256 or auto", "queue pairs, up to one a vCPU; default 1" },
	{ NULL, NULL, NULL },
};

VNET_PLUGIN(.name = "macvtap", .summary = "macvtap on a NIC, bond or VLAN, without a bridge",
	    .candidates = VNET_CANDIDATE_LINK, .probe = macvtap_probe, .plan = macvtap_plan,
	    .deliver = macvtap_deliver, .options = options, .fds = macvtap_fds);
