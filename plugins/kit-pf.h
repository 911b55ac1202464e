/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_KIT_PF_H
#define VNET_KIT_PF_H
/* What every mode that takes a VF needs of its PF. */
#include "vnet-plugin.h"

#define KIT_WRONG_MAX 256

/* Can VFs of it be configured? 1 yes; 0: @ret says why not. */
int pf_configures(const struct vnet_plugin_nic *nic, char ret[KIT_WRONG_MAX]);
/* Its VFs, where it has none yet, and the PF up. */
int pf_plan(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
	    struct vnet_plugin_plan *ret);
#endif
