/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mode passthrough: a whole PCI NIC, passed through with VFIO. The guest then is the only
 * one that has it, and sets MAC and VLANs itself: nothing of them can be held from here.
 */
#include "kit-vfio.h"

#include <stdio.h>
#include <string.h>

#define SCORE 50
#define SCORE_UNBOUND 60 /* nothing to take away */

/* Does the host, or do its guests, have something of it? 1 no; 0: the verdict is given. */
static int is_free(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		   struct vnet_plugin_verdict *ret)
{
	if (nic->in_use[0])
		host->verdict(ret, 0, "%s is in use: %s", nic->pf, nic->in_use);
	else if (nic->host_use[0])
		host->verdict(ret, 0, "the host itself uses %s: %s", nic->pf, nic->host_use);
	else if (nic->num_vfs > 0)
		host->verdict(ret, 0,
			      "%s has %d VFs, which would go with it: give them back first, then "
			      "write 0 to its sriov_numvfs",
			      nic->pf, nic->num_vfs);
	else if (nic->link[0] && nic->link_up)
		host->verdict(
			ret, 0,
			"%s has the interface %s, which is up: if nothing needs it, ip link set "
			"%s down",
			nic->pf, nic->link, nic->link);
	else
		return 1;
	return 0;
}

static int whole_probe(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		       const struct vnet_plugin_request *request, struct vnet_plugin_verdict *ret)
{
	char gone[96] = "";
	int bound = nic->pf_driver[0] && strncmp(nic->pf_driver, "vfio", 4) != 0;

	if (!is_free(host, nic, ret))
		return 0;
	if (strcmp(request->vlan, "0") != 0) {
		host->verdict(ret, 0,
			      "vlan %s: the guest gets all of %s, and nothing on the host can hold "
			      "it in a VLAN: set it on the switch port, or use mode vf",
			      request->vlan, nic->pf);
		return 0;
	}
	if (!vfio_isolates(host, nic, nic->pf, ret))
		return 0;
	if (nic->link[0])
		snprintf(gone, sizeof(gone),
			 "; the host has no interface %s meanwhile, whatever configures it",
			 nic->link);
	host->verdict(ret, bound ? SCORE : SCORE_UNBOUND,
		      "%s is free%s%s%s%s; the guest sees its own MAC address%s", nic->pf,
		      bound ? " (on " : "", bound ? nic->pf_driver : "", bound ? ")" : "", gone,
		      nic->intr_remap == 0 ? "; unsafe: no interrupt remapping" : "");
	return 0;
}

static int whole_plan(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		      const struct vnet_plugin_request *request, struct vnet_plugin_plan *ret)
{
	int r = host->want(ret, "driver", nic->pf, "vfio-pci override=vfio-pci");

	(void)request;
	return r < 0 ? r : vfio_let_open(host, nic, nic->pf, ret);
}

static int whole_deliver(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
			 const struct vnet_plugin_request *request,
			 struct vnet_plugin_delivery *ret)
{
	(void)request;
	return host->deliver(ret, VNET_DELIVERY_PCI, nic->pf, "");
}

static int whole_fds(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		     const struct vnet_plugin_request *request, struct vnet_plugin_fds *ret)
{
	(void)request;
	return vfio_fds(host, nic, nic->pf, ret);
}

VNET_PLUGIN(.name = "passthrough", .summary = "whole PCI NIC, through VFIO",
	    .candidates = VNET_CANDIDATE_NIC, .probe = whole_probe, .plan = whole_plan,
	    .deliver = whole_deliver, .fds = whole_fds);
