/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mode vdpa: a device that a vDPA management device makes, whose queues the guest's
 * virtio driver shares with the hardware. QEMU opens its vhost-vdpa node.
 *
 * The guest's XML names a link that is this attachment's alone: the node's own number is
 * another at each start.
 */
#include "kit-ask.h"
#include "kit-pf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SCORE 60
#define SCORE_OTHER_MAC 50 /* the guest does not get the MAC that was asked for */
#define SCORE_TO_BE_MADE 40
#define QUEUES_MAX 256

static int is_vf(const struct vnet_plugin_nic *nic)
{
	return nic->candidate == VNET_CANDIDATE_VF;
}

/* In words, and to the kernel. */
static const char *name_of(const struct vnet_plugin_nic *nic)
{
	return !is_vf(nic) ? nic->uplink : nic->vf[0] ? nic->vf : nic->vf_object;
}

static const char *mgmtdev_of(const struct vnet_plugin_nic *nic)
{
	return is_vf(nic) ? nic->vf_mgmtdev : nic->uplink;
}

static void vdpa_read(struct ask *a, const struct vnet_plugin_host *host,
		      const struct vnet_plugin_nic *nic, const struct vnet_plugin_request *request)
{
	int most = nic->mgmtdev_max_pairs;
	char queues[KIT_VALUE_MAX];

	ask_begin(a, host, nic, request);
	ask_queues(a, most > 0 && most < QUEUES_MAX ? most : QUEUES_MAX, 0);
	ask_mtu(a);
	ask_text(a, "queues", queues);
	/* How many it may have is not known before a VF has become one. */
	if ((!nic->mgmtdev_mq || most <= 0) && strcmp(queues, "auto") == 0)
		a->queues = 0;
	if (!nic->mgmtdev_mq && a->queues)
		ask_wrong(a, "queues=%s: %s does not let them be chosen: ask for none", queues,
			  name_of(nic));
	if (a->mtu && !nic->mgmtdev_mtu)
		ask_wrong(a, "mtu=%d: %s does not let it be chosen: ask for none", a->mtu,
			  name_of(nic));
}

static int vdpa_probe(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		      const struct vnet_plugin_request *request, struct vnet_plugin_verdict *ret)
{
	char wrong[KIT_WRONG_MAX];
	struct ask a;

	vdpa_read(&a, host, nic, request);
	if (!nic->has_vhost_vdpa)
		ask_wrong(&a, "%s: the driver vhost_vdpa is not loaded: modprobe vhost_vdpa",
			  name_of(nic));
	if (nic->in_use[0])
		ask_wrong(&a, "%s is in use: %s", name_of(nic), nic->in_use);
	if (nic->mgmtdev_devices > 0 && !nic->mgmtdev_many)
		ask_wrong(&a,
			  "%s is in use: it makes one vDPA device, and that is there already (vdpa "
			  "dev show)",
			  name_of(nic));
	if (a.vlan)
		ask_wrong(&a, "vlan %s: a vDPA device of %s is in no VLAN of its own: use mode vf",
			  request->vlan, name_of(nic));
	if (!nic->claim_path[0])
		ask_wrong(&a,
			  "%s: the path of vnetd's runtime folder is too long to be named to a "
			  "guest: shorten vnetd's --runtime",
			  name_of(nic));
	if (is_vf(nic) && !pf_configures(nic, wrong))
		ask_wrong(&a, "%s", wrong);
	if (ask_refused(&a, ret))
		return 0;
	if (is_vf(nic) && !nic->vf_present) {
		host->verdict(ret, SCORE_TO_BE_MADE,
			      "%s will be made with %d VFs of %s, and a vDPA device of it",
			      nic->vf_object, nic->wanted_vfs, nic->link);
		return 0;
	}
	host->verdict(ret, nic->mgmtdev_mac ? SCORE : SCORE_OTHER_MAC,
		      "%s can make a vDPA device%s", name_of(nic),
		      nic->mgmtdev_mac
			      ? ""
			      : "; it takes no MAC address, so the guest sees the device's own");
	return 0;
}

/* Its MAC is the PF's to set, and before the driver asks for it. */
static int plan_vf(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		   const struct vnet_plugin_request *request, struct vnet_plugin_plan *ret)
{
	int r;

	if ((r = pf_plan(host, nic, ret)) < 0 ||
	    (r = host->want(ret, "vf-mac", nic->vf_object, request->mac)) < 0)
		return r;
	return host->want(ret, "driver", nic->vf_object, nic->vf_vdpa_driver);
}

static int vdpa_plan(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		     const struct vnet_plugin_request *request, struct vnet_plugin_plan *ret)
{
	char value[KIT_TEXT_MAX] = "";
	struct ask a;
	int r;

	vdpa_read(&a, host, nic, request);
	if (a.wrong[0])
		return -EINVAL;
	kit_add(value, "%s", mgmtdev_of(nic));
	if (nic->mgmtdev_mac)
		kit_add(value, " mac %s", request->mac);
	if (a.mtu)
		kit_add(value, " mtu %d", a.mtu);
	if (a.queues)
		kit_add(value, " max_vqp %d", a.queues);
	if (is_vf(nic) && (r = plan_vf(host, nic, request, ret)) < 0)
		return r;
	if ((r = host->want(ret, "vdpa", nic->claim, value)) < 0 ||
	    (r = host->want(ret, "vdpa-driver", nic->claim, "vhost_vdpa")) < 0 ||
	    (r = host->want(ret, "vdpa-path", nic->claim_id, nic->claim)) < 0)
		return r;
	return 0;
}

static int vdpa_deliver(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
			const struct vnet_plugin_request *request, struct vnet_plugin_delivery *ret)
{
	char how[32] = "";
	struct ask a;

	vdpa_read(&a, host, nic, request);
	if (a.wrong[0])
		return -EINVAL;
	if (a.queues)
		snprintf(how, sizeof(how), "queues=%d", a.queues);
	return host->deliver(ret, VNET_DELIVERY_CHARDEV, nic->claim_path, how);
}

static int vdpa_fds(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		    const struct vnet_plugin_request *request, struct vnet_plugin_fds *ret)
{
	(void)request;
	return host->open(ret, "vdpa", VNET_OPEN_VDPA, nic->claim, 1);
}

static const struct vnet_plugin_option options[] = {
	{ "mtu", "68 to 65535", "of the device, where its management device takes it" },
	{ "queues", "1 to 256 or auto", "queue pairs, where its management device takes them" },
	{ NULL, NULL, NULL },
};

VNET_PLUGIN(.name = "vdpa", .summary = "vDPA device, through vhost-vdpa",
	    .candidates = VNET_CANDIDATE_MGMTDEV | VNET_CANDIDATE_VF, .probe = vdpa_probe,
	    .plan = vdpa_plan, .deliver = vdpa_deliver, .options = options, .fds = vdpa_fds);
