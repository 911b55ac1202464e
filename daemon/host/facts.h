/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_FACTS_H
#define VNETD_HOST_FACTS_H
/* What is true of the whole host: VFIO, interrupt remapping, vDPA devices. */
#include "daemon/host/host.h"

int facts_scan(struct kernel *k, struct host_scan *s, struct vnet_err *err);
/* The name of a vDPA device that hangs from this function; false: none does. */
bool facts_vdpa_of(struct kernel *k, const struct pci_addr *addr, char *ret, size_t size);
/* N of vhost-vdpa-N while a vDPA device is bound to vhost_vdpa, else -1. */
int facts_vhost_vdpa(struct kernel *k, const char *name);
/* The vDPA device that /dev/vhost-vdpa-@number is of; false: of none. */
bool facts_vdpa_at(struct kernel *k, int number, char ret[static VDPA_NAME_MAX]);
/* The management device of a vDPA device as sysfs shows it, "" unknown. */
void facts_vdpa_parent(struct kernel *k, const char *name, char ret[static VDPA_MGMTDEV_MAX]);
#endif
