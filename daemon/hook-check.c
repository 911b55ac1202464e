/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Is what a starting guest's XML says of our NICs all that is needed to make them? The XML
 * was written by us, but anybody may have edited it since. What the ledger and state files
 * could not hold, or what would give the guest another VF, another wire or no address of its
 * own, is refused before anything is touched.
 */
#include <errno.h>
#include <string.h>

#include "daemon/attachment.h"
#include "daemon/pool.h"

static int spoilt(struct vnet_err *err, const char *name, const char *what, const char *guest)
{
	return vnet_err_set(
		err, -EINVAL, VNET_E_FAILED,
		"%s: vnetd's metadata in the guest's XML %s: take the device out (virsh "
		"detach-device-alias %s " VNETD_ALIAS_PREFIX "%s --config) and attach "
		"it again",
		name, what, guest, name);
}

static const struct guest_nic *find_nic(const struct guest *g, const char *name)
{
	for (size_t i = 0; i < g->n_nics; i++) {
		if (strcmp(g->nics[i].name, name) == 0)
			return &g->nics[i];
	}
	return NULL;
}

static int check_nic(const struct guest *g, const struct guest_hostdev *dev,
		     const struct guest_nic *nic, struct vnet_err *err)
{
	if (mac_is_zero(&nic->mac))
		return spoilt(err, nic->name, "has no MAC for it", g->name);
	if ((dev->kind == DL_HOSTDEV || nic->vf_index >= 0) && mac_is_zero(&nic->pf_mac) &&
	    !nic->pf.set)
		return spoilt(err, nic->name, "does not say which PF it is of", g->name);
	if (dev->kind == DL_HOSTDEV && nic->vf_index < 0)
		return spoilt(err, nic->name, "does not say which VF it is", g->name);
	if (dev->kind != DL_HOSTDEV && dev->kind != DL_SOCKET && !nic->uplink[0])
		return spoilt(err, nic->name, "does not say what it is taken from", g->name);
	if (!nic->mode[0])
		return spoilt(err, nic->name, "does not say its mode", g->name);
	return 0;
}

int hook_check_guest(const struct guest *g, struct vnet_err *err)
{
	const size_t prefix = strlen(VNETD_ALIAS_PREFIX);
	int r = model_check_guest_name(g->name, err);

	for (size_t i = 0; r == 0 && i < g->n_hostdevs; i++) {
		const char *alias = g->hostdevs[i].alias;
		const struct guest_nic *nic;

		if (strncmp(alias, VNETD_ALIAS_PREFIX, prefix) != 0)
			continue;
		nic = find_nic(g, alias + prefix);
		r = nic ? check_nic(g, &g->hostdevs[i], nic, err)
			: spoilt(err, alias + prefix, "cannot be read or has no entry for it",
				 g->name);
	}
	return r;
}

void hook_no_pf(struct manager *m, const struct guest_nic *nic, const struct nic *pf,
		struct vnet_err *err)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	char why[REASON_MAX], addr[PCI_ADDR_STR], mac[MAC_STR];

	/* Its permanent MAC shows only while its driver has it. */
	if (!pf && nic->pf.set)
		pf = host_scan_nic(s, &nic->pf);
	if (pf && pf->kind == NIC_PF &&
	    (!pools_by_pf(m->pools, &pf->addr) || !host_scan_nic_link(s, pf))) {
		pool_why_none(pf, why, sizeof(why));
		vnet_err_set(err, -ENODEV, VNET_E_FAILED, "%s: its PF gives no VFs: %s", nic->name,
			     why);
		return;
	}
	vnet_err_set(
		err, -ENODEV, VNET_E_NOT_FOUND,
		"%s: its PF (%s, permanent MAC %s) is not on this host: see `vnetctl inventory`",
		nic->name, pci_addr_str(&nic->pf, addr) ?: "address unknown",
		mac_str(&nic->pf_mac, mac));
}

int hook_check_index(const struct guest_nic *nic, const struct pci_addr *pf, int count,
		     struct vnet_err *err)
{
	char addr[PCI_ADDR_STR];

	if (nic->vf_index < count)
		return 0;
	return vnet_err_set(err, -ENODEV, VNET_E_NOT_FOUND,
			    "%s: the guest's XML names VF %d of %s, which has %d (0 to %d): the "
			    "card or its VF count was changed: detach it with --config, then "
			    "attach it again",
			    nic->name, nic->vf_index, pci_addr_str(pf, addr), count, count - 1);
}
