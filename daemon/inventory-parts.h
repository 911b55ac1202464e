/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_INVENTORY_PARTS_H
#define VNETD_INVENTORY_PARTS_H
/*
 * The parts of a scan that are asked on lanes of their own, because who answers for them
 * may be stuck while nobody else is: a PF's VFs, vDPA's management devices. What does
 * not answer stays in the new scan as it was in the old one.
 */
#include <stdbool.h>

#include "daemon/host/nic.h"

/* Is this a PF whose VFs have attributes to be asked? */
bool part_is_pf(const struct nic *n);
/* Does the kernel announce whatever is set for VFs of *s? */
bool parts_announced(const struct host_scan *s);
void part_keep_vfs(const struct host_scan *old, const struct pci_addr *pf, struct host_scan *fresh);
void part_keep_mgmtdevs(const struct host_scan *old, struct host_scan *fresh);
#endif
