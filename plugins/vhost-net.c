/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mode vhost-net: a tap in a bridge, whose packets the kernel itself moves between guest
 * and bridge. The fastest way for a guest on a bridge; QEMU is not asked for each packet.
 */
#include "kit-bridge.h"

#include <errno.h>
#include <stdio.h>

#define SCORE 40
#define SCORE_NO_KVM 25 /* works, but as mode tap does */
#define QUEUES_MAX 256	/* of a tap */

static int vhost_probe(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		       const struct vnet_plugin_request *request, struct vnet_plugin_verdict *ret)
{
	struct bridge_ask b;
	char text[KIT_TEXT_MAX];

	bridge_read(&b, host, nic, request, QUEUES_MAX);
	if (!bridge_serves(&b, ret))
		return 0;
	if (!nic->has_vhost_net) {
		host->verdict(ret, 0,
			      "%s: the kernel moves no guest's packets: modprobe vhost_net, or use "
			      "mode tap",
			      nic->link);
		return 0;
	}
	bridge_describe(&b, text);
	if (nic->guest_kvm == 0)
		host->verdict(ret, SCORE_NO_KVM,
			      "%s; guest %s has no KVM, so QEMU itself moves its packets", text,
			      request->guest);
	else
		host->verdict(ret, SCORE, "%s", text);
	return 0;
}

static int vhost_plan(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		      const struct vnet_plugin_request *request, struct vnet_plugin_plan *ret)
{
	struct bridge_ask b;

	bridge_read(&b, host, nic, request, QUEUES_MAX);
	return bridge_plan(&b, ret);
}

static int vhost_deliver(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
			 const struct vnet_plugin_request *request,
			 struct vnet_plugin_delivery *ret)
{
	char how[KIT_TEXT_MAX] = "";
	struct bridge_ask b;

	bridge_read(&b, host, nic, request, QUEUES_MAX);
	if (b.ask.wrong[0])
		return -EINVAL;
	kit_add(how, "model=virtio queues=%d vhost=on", b.ask.queues);
	if (b.ask.mtu)
		kit_add(how, " mtu=%d", b.ask.mtu);
	return host->deliver(ret, VNET_DELIVERY_LINK, nic->claim, how);
}

static int vhost_fds(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		     const struct vnet_plugin_request *request, struct vnet_plugin_fds *ret)
{
	struct bridge_ask b;
	int r;

	bridge_read(&b, host, nic, request, QUEUES_MAX);
	if (b.ask.wrong[0])
		return -EINVAL;
	r = host->open(ret, "tap", VNET_OPEN_TAP, nic->claim, b.ask.queues);
	return r < 0 ? r : host->open(ret, "vhost", VNET_OPEN_VHOST, "", b.ask.queues);
}

static const struct vnet_plugin_option options[] = { BRIDGE_OPTIONS, { NULL, NULL, NULL } };

VNET_PLUGIN(.name = "vhost-net", .summary = "tap in a bridge, moved by the kernel's vhost-net",
	    .candidates = VNET_CANDIDATE_LINK, .probe = vhost_probe, .plan = vhost_plan,
	    .deliver = vhost_deliver, .options = options, .fds = vhost_fds);
