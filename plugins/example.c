/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A mode to begin from: a tap in a Linux bridge and nothing more. It works; plugins/README.md
 * says how to build and try it. It is not installed, and needs only the installed header.
 */
#include <vnet-plugin.h>

#include <stdio.h>

/* Can this candidate serve? Cheap, from the arguments alone, and always with a reason. */
static int probe(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		 const struct vnet_plugin_request *request, struct vnet_plugin_verdict *ret)
{
	/* VNET_CANDIDATE_LINK is more than bridges, and may become more still. */
	if (nic->uplink_kind != VNET_UPLINK_BRIDGE)
		host->verdict(ret, 0, "%s is no Linux bridge", nic->uplink);
	else if (!nic->has_tun)
		host->verdict(ret, 0, "%s: there can be no tap: modprobe tun", nic->link);
	else if (!nic->link_up)
		host->verdict(ret, 0, "%s is down: ip link set %s up", nic->link, nic->link);
	else if (request->vlan[0] != '0') /* what is asked and can't be done is a no */
		host->verdict(ret, 0, "%s: mode example knows no VLANs", nic->link);
	else
		host->verdict(ret, 10, "%s takes a tap", nic->link);
	return 0;
}

/* Which knobs, in which order? vnetd turns them, and turns them back. nic->claim is a
 * name that is this attachment's alone. */
static int plan(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		const struct vnet_plugin_request *request, struct vnet_plugin_plan *ret)
{
	char mac[32];
	int r;

	/* The tap's own MAC: the guest's, told from it by its first byte. */
	snprintf(mac, sizeof(mac), "fe%s", request->mac + 2);
	r = host->want(ret, "tap", nic->claim, "queues 1");
	if (r == 0)
		r = host->want(ret, "net-mac", nic->claim, mac);
	if (r == 0)
		r = host->want(ret, "bridge-port", nic->claim, nic->link);
	return r < 0 ? r : host->want(ret, "net-up", nic->claim, "up");
}

/* All is set: how does it reach QEMU? */
static int deliver(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		   const struct vnet_plugin_request *request, struct vnet_plugin_delivery *ret)
{
	(void)request;
	return host->deliver(ret, VNET_DELIVERY_LINK, nic->claim,
			     "model=virtio queues=1 vhost=off");
}

/* And by which descriptors a QEMU that libvirt does not run? */
static int fds(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
	       const struct vnet_plugin_request *request, struct vnet_plugin_fds *ret)
{
	(void)request;
	return host->open(ret, "tap", VNET_OPEN_TAP, nic->claim, 1);
}

VNET_PLUGIN(.name = "example", .summary = "tap in a Linux bridge, and nothing more",
	    .candidates = VNET_CANDIDATE_LINK, .probe = probe, .plan = plan, .deliver = deliver,
	    .fds = fds);
