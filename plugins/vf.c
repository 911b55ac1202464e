/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mode vf: a virtual function of an SR-IOV NIC, passed through with VFIO.
 *
 * Everything is set through the PF while the VF is on vfio-pci and nobody has it:
 * libvirt then only repeats the MAC. The VLAN is never libvirt's to write (it would
 * zero QoS and protocol). The driver comes first, so that on the way back the
 * attributes are home again before a host driver sees the VF.
 */
#include "kit-pf.h"
#include "kit-vfio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NATIVE_OK 70	 /* bound to its host driver, interface unused */
#define UNBOUND_OK 100	 /* nothing to take away */
#define TO_BE_MADE_OK 60 /* its PF must first be given VFs */

static int vf_probe(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		    const struct vnet_plugin_request *request, struct vnet_plugin_verdict *ret)
{
	const char *what = nic->vf[0] ? nic->vf : nic->vf_object;
	char wrong[KIT_WRONG_MAX];
	const char *unsafe = nic->intr_remap == 0 ? "; unsafe: no interrupt remapping" : "";

	(void)request;
	if (nic->in_use[0]) {
		host->verdict(ret, 0, "%s is in use: %s", what, nic->in_use);
		return 0;
	}
	if (!pf_configures(nic, wrong)) {
		host->verdict(ret, 0, "%s", wrong);
		return 0;
	}
	if (!vfio_isolates(host, nic, what, ret))
		return 0;
	if (!nic->vf_present)
		host->verdict(ret, TO_BE_MADE_OK, "%s will be made with %d VFs of %s%s", what,
			      nic->wanted_vfs, nic->link, unsafe);
	else if (nic->vf_driver[0] && strncmp(nic->vf_driver, "vfio", 4) != 0)
		host->verdict(ret, NATIVE_OK, "%s is free (on %s, unused)%s", what, nic->vf_driver,
			      unsafe);
	else
		host->verdict(ret, UNBOUND_OK, "%s is free%s", what, unsafe);
	return 0;
}

static int vf_plan(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		   const struct vnet_plugin_request *request, struct vnet_plugin_plan *ret)
{
	int r;

	if ((r = pf_plan(host, nic, ret)) < 0 ||
	    (r = host->want(ret, "driver", nic->vf_object, "vfio-pci override=vfio-pci")) < 0 ||
	    (r = host->want(ret, "vf-vlan", nic->vf_object, request->vlan)) < 0 ||
	    (r = host->want(ret, "vf-trust", nic->vf_object, "off")) < 0 ||
	    (r = host->want(ret, "vf-spoofchk", nic->vf_object, "on")) < 0 ||
	    (r = host->want(ret, "vf-mac", nic->vf_object, request->mac)) < 0)
		return r;
	return vfio_let_open(host, nic, nic->vf_object, ret);
}

static int vf_deliver(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		      const struct vnet_plugin_request *request, struct vnet_plugin_delivery *ret)
{
	(void)request;
	if (!nic->vf[0])
		return -ENODEV;
	return host->deliver(ret, VNET_DELIVERY_HOSTDEV, nic->vf, "");
}

static int vf_fds(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		  const struct vnet_plugin_request *request, struct vnet_plugin_fds *ret)
{
	(void)request;
	return vfio_fds(host, nic, nic->vf, ret);
}

VNET_PLUGIN(.name = "vf", .summary = "virtual function of an SR-IOV NIC, through VFIO",
	    .candidates = VNET_CANDIDATE_VF, .probe = vf_probe, .plan = vf_plan,
	    .deliver = vf_deliver, .fds = vf_fds);
