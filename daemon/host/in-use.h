/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_IN_USE_H
#define VNETD_HOST_IN_USE_H
/*
 * May a driver be taken off a function? The kernel does not ask: an unbind under a
 * VFIO or vDPA user never returns, one under a host interface tears it out. All
 * return 0, or -EBUSY (VNET_E_IN_USE) with who uses it.
 */
#include "daemon/host/host.h"

/* Also opens the group as a fence into *ret_fd (-1: there is no node): while it is
 * open nobody else can open the group. */
int check_vfio_free(struct kernel *k, const struct pci_addr *addr, int *ret_fd,
		    struct vnet_err *err);
int check_native_free(struct kernel *k, const struct pci_addr *addr, struct vnet_err *err);
/* A vDPA device: nobody has its node open, no interface of it is in use. */
int check_vdpa_free(struct kernel *k, const char *name, struct vnet_err *err);
/* Another member of its IOMMU group with a driver of the host: VFIO would refuse it. */
int check_group_free(struct kernel *k, const char *bdf, struct vnet_err *err);
#endif
