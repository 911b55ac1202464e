/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One NIC of a guest that starts. What libvirt passes through is the device of the XML: its
 * address and MAC count, and our metadata must tell of that very VF, or the guest would
 * run with one that was never made ready.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/attachment.h"
#include "daemon/pool.h"
#include "daemon/select.h"

/* ---- what the XML says ---- */

const struct guest_hostdev *hook_device(const struct guest *g, const struct guest_nic *nic)
{
	return guest_device(g, nic->name, IN_LIVE) ?: guest_device(g, nic->name, IN_CONFIG);
}

int hook_devices_check(const struct guest *g, struct vnet_err *err)
{
	const size_t prefix = strlen(VNETD_ALIAS_PREFIX);

	for (size_t i = 0; i < g->n_hostdevs; i++) {
		const char *alias = g->hostdevs[i].alias;
		size_t k = 0;

		if (strncmp(alias, VNETD_ALIAS_PREFIX, prefix) != 0)
			continue;
		while (k < g->n_nics && strcmp(g->nics[k].name, alias + prefix) != 0)
			k++;
		if (k == g->n_nics)
			return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
					    "it has a device %s that vnetd's metadata does not "
					    "tell of, or not so that it can be read: take it out "
					    "(virsh edit %s), then vnetctl attach",
					    alias, g->name);
	}
	return 0;
}

int hook_nic_check(const struct attachment *a, const struct pci_addr *vf, struct vnet_err *err)
{
	char is[PCI_ADDR_STR], named[PCI_ADDR_STR], pf[PCI_ADDR_STR];

	if (pci_addr_eq(vf, &a->named))
		return 0;
	return vnet_err_set(
		err, -ESTALE, VNET_E_FAILED,
		"VF %d of %s is at %s now and the guest's XML names %s: the card or its "
		"VF count was changed: vnetctl detach %s %s --config, then attach it "
		"again",
		a->v.vf_index, pci_addr_str(&a->v.pf, pf), pci_addr_str(vf, is),
		pci_addr_str(&a->named, named), a->v.asked.guest, a->v.name);
}

/* ---- what the host has ---- */

static const struct nic *find_pf(const struct host_scan *s, const struct guest_nic *nic)
{
	if (mac_is_zero(&nic->pf_mac))
		return host_scan_nic(s, &nic->pf);
	for (size_t i = 0; i < s->n_nics; i++) {
		const struct nic *pf = &s->nics[i];
		const struct link *l = pf->kind == NIC_PF ? host_scan_nic_link(s, pf) : NULL;

		if (l && mac_eq(l->has_perm_mac ? &l->perm_mac : &l->mac, &nic->pf_mac))
			return pf;
	}
	return NULL;
}

const struct pool *hook_nic_pool(const struct manager *m, const struct guest_nic *nic)
{
	const struct nic *pf = find_pf(inventory_scan(m->inventory), nic);

	return pf ? pools_by_pf(m->pools, &pf->addr) : NULL;
}

static int check_index(const struct guest *g, const struct guest_nic *nic, const struct nic *pf,
		       const struct pool *pool, struct vnet_err *err)
{
	int count = pf->num_vfs ? pf->num_vfs : pool->count;
	char addr[PCI_ADDR_STR];

	if (nic->vf_index < 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "%s: the guest's metadata does not say which VF of %s it is: "
				    "vnetctl detach %s %s --config, then attach it again",
				    nic->name, pci_addr_str(&pf->addr, addr), g->name, nic->name);
	if (nic->vf_index >= count)
		return vnet_err_set(err, -ENODEV, VNET_E_NOT_FOUND,
				    "%s: there is no VF %d of %s, which has %d: vnetctl detach %s "
				    "%s --config, then attach it again",
				    nic->name, nic->vf_index, pci_addr_str(&pf->addr, addr), count,
				    g->name, nic->name);
	return 0;
}

/* Neither its VF nor its name may be another attachment's. */
static int check_ledger(struct attachments *as, const struct guest *g, const struct guest_nic *nic,
			const struct nic *pf, struct vnet_err *err)
{
	const struct vnet_attachment *has = attachments_holder(as, &pf->addr, nic->vf_index);
	const struct attachment *same = attachment_find(as, g->uuid, nic->name);
	char id[ATTACHMENT_ID_MAX], addr[PCI_ADDR_STR];

	if (same && same->v.state == AT_STUCK)
		return vnet_err_set(err, -EBUSY, VNET_E_IN_USE,
				    "%s: what it had before is not taken back (stuck: vnetctl show "
				    "%s): vnetctl detach %s %s --live tries again",
				    nic->name, attachment_id(same, id), g->name, nic->name);
	if (has)
		return vnet_err_set(
			err, -EBUSY, VNET_E_IN_USE,
			"%s: VF %d of %s: %s has it (%s): detach that, or this: vnetctl "
			"detach %s %s --config",
			nic->name, nic->vf_index, pci_addr_str(&pf->addr, addr),
			model_attachment_id(has, id), attachment_state_str(has->state), g->name,
			nic->name);
	if (same)
		return vnet_err_set(
			err, -EEXIST, VNET_E_EXISTS,
			"%s: the guest has a NIC of that name twice (virsh edit %s), or "
			"is given it just now: vnetctl list",
			nic->name, g->name);
	return 0;
}

static int check(struct attachments *as, const struct guest *g, const struct guest_nic *nic,
		 struct vnet_err *err)
{
	const struct nic *pf = find_pf(inventory_scan(as->m->inventory), nic);
	const struct pool *pool = pf ? pools_by_pf(as->m->pools, &pf->addr) : NULL;
	char addr[PCI_ADDR_STR], mac[MAC_STR];

	if (!pf)
		return vnet_err_set(err, -ENODEV, VNET_E_NOT_FOUND,
				    "%s: its PF (%s, permanent MAC %s) is not on this host: see "
				    "`vnetctl inventory`",
				    nic->name, pci_addr_str(&nic->pf, addr) ?: "address unknown",
				    mac_str(&nic->pf_mac, mac));
	if (!pool)
		return vnet_err_set(err, -ENODEV, VNET_E_FAILED,
				    "%s: its PF %s gives no VFs: it needs its network driver (now: "
				    "%s)",
				    nic->name, pci_addr_str(&pf->addr, addr),
				    pf->driver[0] ? pf->driver : "none");
	if (check_index(g, nic, pf, pool, err) < 0)
		return err->code;
	return check_ledger(as, g, nic, pf, err);
}

static int probe(struct attachment *a, struct vnet_err *err)
{
	struct manager *m = a->owner->m;
	const struct nic *vf =
		host_scan_vf(inventory_scan(m->inventory), &a->v.pf, (unsigned)a->v.vf_index);
	struct verdict verdict;
	int r = vf ? hook_nic_check(a, &vf->addr, err) : 0;

	if (r == 0 && vf)
		a->v.vf = vf->addr;
	else
		a->v.vf = (struct pci_addr){ 0 };
	if (r == 0)
		r = select_probe(m, &a->v, NULL, &verdict, err);
	if (r == 0 && verdict.score == 0)
		r = vnet_err_set(err, -EBUSY, VNET_E_NOTHING_SERVES, "%s", verdict.reason);
	return r < 0 ? vnet_err_wrap(err, "%s", a->v.name) : 0;
}

int hook_nic_new(struct attachments *as, const struct guest *g, const struct guest_nic *nic,
		 struct attachment **ret, struct vnet_err *err)
{
	const struct pool *pool;
	struct attachment *a;
	int r = check(as, g, nic, err);

	if (r < 0)
		return r;
	pool = hook_nic_pool(as->m, nic);
	a = attachment_new(as, err);
	if (!a)
		return err->code;
	attachment_of_config(g, nic, &a->v);
	a->v.state = AT_PREPARING;
	snprintf(a->v.pool, sizeof(a->v.pool), "%s", pool->name);
	snprintf(a->v.why, sizeof(a->v.why), "the guest's configuration names it");
	a->v.pf = pool->pf;
	a->named = hook_device(g, nic)->addr;
	a->where = IN_LIVE;
	a->idle_back = pool->created;
	a->by_hook = true;
	r = probe(a, err);
	if (r < 0)
		attachment_drop(a);
	else
		*ret = a;
	return r;
}
