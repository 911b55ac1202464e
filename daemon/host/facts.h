/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_FACTS_H
#define VNETD_HOST_FACTS_H
/* What is true of the whole host: VFIO, interrupt remapping, vDPA devices. */
#include "daemon/host/host.h"

int facts_scan(struct kernel *k, struct host_scan *s, struct vnet_err *err);
/* The name of a vDPA device that hangs from this function; false: none does. */
bool facts_vdpa_of(struct kernel *k, const struct pci_addr *addr, char *ret, size_t size);
#endif
