/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kit-pf.h"

#include <stdio.h>

int pf_configures(const struct vnet_plugin_nic *nic, char ret[KIT_WRONG_MAX])
{
	if (nic->link[0])
		return 1;
	snprintf(ret, KIT_WRONG_MAX,
		 "the PF %s has no network interface here (driver %s), so its VFs cannot be "
		 "configured: bind it to its network driver",
		 nic->pf, nic->pf_driver[0] ? nic->pf_driver : "none");
	return 0;
}

int pf_plan(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
	    struct vnet_plugin_plan *ret)
{
	char count[16];
	int r;

	if (nic->num_vfs == 0) {
		snprintf(count, sizeof(count), "%d", nic->wanted_vfs);
		/* Host drivers probing new VFs cost seconds and race with our binding. */
		if ((r = host->want(ret, "autoprobe", nic->pf, "0")) < 0 ||
		    (r = host->want(ret, "numvfs", nic->pf, count)) < 0)
			return r;
	}
	/* libvirt refuses a VF whose PF is down: "PF is not online". */
	return host->want(ret, "link-up", nic->pf, "up");
}
