/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mode tap: a tap in a bridge, whose packets QEMU itself moves. Slow, but it needs
 * nothing of the guest: also one that has no virtio driver gets a NIC that it knows.
 */
#include "kit-bridge.h"

#include <errno.h>
#include <string.h>

#define SCORE 20
#define QUEUES_MAX 256 /* of a tap */

static const char *const models[] = { "virtio", "e1000", "e1000e", "vmxnet3", NULL };

struct tap_ask {
	struct bridge_ask b;
	const char *model;
};

static void tap_read(struct tap_ask *t, const struct vnet_plugin_host *host,
		     const struct vnet_plugin_nic *nic, const struct vnet_plugin_request *request)
{
	char text[KIT_VALUE_MAX];
	struct ask *a = &t->b.ask;

	bridge_read(&t->b, host, nic, request, QUEUES_MAX);
	t->model = ask_word(a, "model", models);
	if (strcmp(t->model, "virtio") == 0)
		return;
	ask_text(a, "queues", text);
	if (strcmp(text, "auto") == 0)
		a->queues = 1;
	if (a->queues > 1)
		ask_wrong(a, "queues=%d: %s has one queue: more has model=virtio alone", a->queues,
			  t->model);
	if (a->mtu)
		ask_wrong(a, "mtu=%d: %s cannot tell it to the guest: model=virtio can", a->mtu,
			  t->model);
}

static int tap_probe(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		     const struct vnet_plugin_request *request, struct vnet_plugin_verdict *ret)
{
	char text[KIT_TEXT_MAX];
	struct tap_ask t;

	tap_read(&t, host, nic, request);
	if (!bridge_serves(&t.b, ret))
		return 0;
	bridge_describe(&t.b, text);
	host->verdict(ret, SCORE, "%s; %s by QEMU itself", text, t.model);
	return 0;
}

static int tap_plan(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		    const struct vnet_plugin_request *request, struct vnet_plugin_plan *ret)
{
	struct tap_ask t;

	tap_read(&t, host, nic, request);
	return bridge_plan(&t.b, ret);
}

static int tap_deliver(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		       const struct vnet_plugin_request *request, struct vnet_plugin_delivery *ret)
{
	char how[KIT_TEXT_MAX] = "";
	struct tap_ask t;

	tap_read(&t, host, nic, request);
	if (t.b.ask.wrong[0])
		return -EINVAL;
	kit_add(how, "model=%s queues=%d vhost=off", t.model, t.b.ask.queues);
	if (t.b.ask.mtu)
		kit_add(how, " mtu=%d", t.b.ask.mtu);
	return host->deliver(ret, VNET_DELIVERY_LINK, nic->claim, how);
}

static int tap_fds(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		   const struct vnet_plugin_request *request, struct vnet_plugin_fds *ret)
{
	struct tap_ask t;

	tap_read(&t, host, nic, request);
	if (t.b.ask.wrong[0])
		return -EINVAL;
	return host->open(ret, "tap", VNET_OPEN_TAP, nic->claim, t.b.ask.queues);
}

static const struct vnet_plugin_option options[] = {
	BRIDGE_OPTIONS,
	{ "model", "virtio, e1000, e1000e or vmxnet3", "the guest's device; default virtio" },
	{ NULL, NULL, NULL },
};

VNET_PLUGIN(.name = "tap", .summary = "tap in a bridge, moved by QEMU; also for e1000 and vmxnet3",
	    .candidates = VNET_CANDIDATE_LINK, .probe = tap_probe, .plan = tap_plan,
	    .deliver = tap_deliver, .options = options, .fds = tap_fds);
