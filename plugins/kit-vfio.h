/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_KIT_VFIO_H
#define VNET_KIT_VFIO_H
/* What every function that VFIO passes through needs of the host. */
#include "vnet-plugin.h"

/* Can VFIO take @what safely? 1 yes; 0: the verdict is given. */
int vfio_isolates(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		  const char *what, struct vnet_plugin_verdict *ret);
/* The last of a plan, of knob object @object: a QEMU without libvirt that gets no descriptor
 * opens its group by itself, and may have to be let. */
int vfio_let_open(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		  const char *object, struct vnet_plugin_plan *ret);
/* The descriptors of the function @address, for a QEMU without libvirt. */
int vfio_fds(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
	     const char *address, struct vnet_plugin_fds *ret);
#endif
