/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why something is no pool: what was asked for by name, or the PF of a reserved VF. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/attach.h"
#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "daemon/pool.h"

void pool_why_none(const struct nic *nic, char *ret, size_t size)
{
	char addr[PCI_ADDR_STR], pf[PCI_ADDR_STR];

	pci_addr_str(&nic->addr, addr);
	if (!nic->network)
		snprintf(ret, size, "%s is no network card", addr);
	else if (nic->kind == NIC_VF)
		snprintf(ret, size, "%s is itself a VF: name its PF, %s", addr,
			 pci_addr_str(&nic->pf, pf));
	else if (nic->kind != NIC_PF)
		snprintf(ret, size, "%s (driver %s) has no SR-IOV", addr,
			 nic->driver[0] ? nic->driver : "none");
	else if (!nic->driver[0])
		snprintf(ret, size,
			 "%s (%04x:%04x%s%s) has no driver, and gives VFs only with its network "
			 "driver: load that, then write %s to the PCI bus's drivers_probe%s%s",
			 addr, nic->vendor, nic->device, nic->device_name ? ", " : "",
			 nic->device_name ? nic->device_name : "", addr,
			 nic->driver_override[0] ? "; now driver_override binds it to " : "",
			 nic->driver_override);
	else if (nic->total_vfs <= 0)
		snprintf(ret, size, "%s (driver %s) allows no VFs: see its firmware's settings",
			 addr, nic->driver);
	else
		snprintf(ret, size,
			 "%s has no network interface here (driver %s): it is in another network "
			 "namespace, or needs its network driver",
			 addr, nic->driver);
}

int pools_none(struct manager *m, const char *name, struct vnet_err *err)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	const struct nic *nic = NULL;
	char why[REASON_MAX];
	struct pci_addr addr;

	if (pci_addr_parse(name, &addr) == 0)
		nic = host_scan_nic(s, &addr);
	for (size_t i = 0; i < s->n_links && !nic; i++) {
		if (strcmp(s->links[i].name, name) == 0 && s->links[i].pci.set)
			nic = host_scan_nic(s, &s->links[i].pci);
	}
	if (!nic)
		return vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND,
				    "there is no pool %s: `vnetctl pool list` shows those there "
				    "are",
				    name);
	pool_why_none(nic, why, sizeof(why));
	return vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND, "there is no pool %s: %s", name, why);
}
