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

int hook_nic_check(const struct attachment *a, const struct pci_addr *vf, struct vnet_err *err)
{
	char is[PCI_ADDR_STR], pf[PCI_ADDR_STR];

	/* The node of a vDPA device has a name that is the attachment's alone. */
	if (a->named_kind != DL_HOSTDEV || strcmp(pci_addr_str(vf, is), a->named) == 0)
		return 0;
	return vnet_err_set(
		err, -ESTALE, VNET_E_FAILED,
		"VF %d of %s is at %s now and the guest's XML names %s: the card or its "
		"VF count was changed: vnetctl detach %s %s --config, then attach it "
		"again",
		a->v.vf_index, pci_addr_str(&a->v.pf, pf), is, a->named, a->v.asked.guest,
		a->v.name);
}

int hook_nic_check_device(const struct attachment *a, struct vnet_err *err)
{
	if (a->v.kind == a->named_kind && strcmp(a->v.device, a->named) == 0)
		return 0;
	return vnet_err_set(err, -ESTALE, VNET_E_FAILED,
			    "the guest's XML names %s %s, and what is made for it is %s %s: the "
			    "XML was copied from another guest, or edited: vnetctl detach %s %s "
			    "--config, then attach it again",
			    delivery_kind_str(a->named_kind), a->named,
			    delivery_kind_str(a->v.kind), a->v.device, a->v.asked.guest, a->v.name);
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

/* As an uplink that does; without its driver a PF is one of another kind. */
static const struct uplink *gives_vfs(const struct manager *m, const struct nic *pf)
{
	const struct uplink *u = pools_uplink(m->pools, &pf->addr);

	return u && u->kind == VNET_UPLINK_PF ? u : NULL;
}

bool hook_nic_is_here(const struct manager *m, const struct guest_nic *nic)
{
	const struct nic *pf;

	if (nic->vf_index < 0)
		return !nic->uplink[0] || pools_by_key(m->pools, nic->uplink, NULL);
	pf = find_pf(inventory_scan(m->inventory), nic);
	return pf && gives_vfs(m, pf);
}

/* Neither its VF nor its name may be another attachment's. */
static int check_ledger(struct attachments *as, const struct guest *g, const struct guest_nic *nic,
			const struct nic *pf, struct vnet_err *err)
{
	const struct vnet_attachment *has = pf ? attachments_holder(as, &pf->addr, nic->vf_index)
					       : NULL;
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

static int check_vf(struct attachments *as, const struct guest *g, const struct guest_nic *nic,
		    struct vnet_err *err)
{
	const struct nic *pf = find_pf(inventory_scan(as->m->inventory), nic);
	const struct uplink *u = pf ? gives_vfs(as->m, pf) : NULL;

	if (!u) {
		hook_no_pf(as->m, nic, pf, err);
		return err->code;
	}
	if (hook_check_index(nic, &pf->addr, u->vfs > 0 ? u->vfs : u->count, err) < 0)
		return err->code;
	return check_ledger(as, g, nic, pf, err);
}

static int check(struct attachments *as, const struct guest *g, const struct guest_nic *nic,
		 struct vnet_err *err)
{
	if (nic->vf_index >= 0)
		return check_vf(as, g, nic, err);
	if (!hook_nic_is_here(as->m, nic))
		return vnet_err_set(err, -ENODEV, VNET_E_NOT_FOUND,
				    "%s: %s, which it is taken from, is not on this host, or in no "
				    "pool: see `vnetctl pool list`",
				    nic->name, nic->uplink);
	return check_ledger(as, g, nic, NULL, err);
}

static int probe(struct attachment *a, struct vnet_err *err)
{
	struct manager *m = a->owner->m;
	const struct nic *vf = a->v.vf_index < 0 ? NULL
						 : host_scan_vf(inventory_scan(m->inventory),
								&a->v.pf, (unsigned)a->v.vf_index);
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

/* What it is taken from, as it is called on this host now. */
static void set_uplink(struct attachment *a, const struct guest_nic *nic)
{
	struct manager *m = a->owner->m;
	const struct pool *pool = NULL;
	const struct uplink *u;
	const struct nic *pf;

	if (nic->vf_index < 0) {
		u = pools_by_key(m->pools, nic->uplink, &pool);
		if (u && a->named_kind == DL_PCI)
			a->v.pf = u->pf;
	} else {
		pf = find_pf(inventory_scan(m->inventory), nic);
		pool = pools_by_pf(m->pools, &pf->addr);
		u = pools_uplink(m->pools, &pf->addr);
		a->v.pf = u->pf;
		a->idle_back = u->created;
	}
	if (u)
		memcpy(a->v.uplink, u->key, sizeof(a->v.uplink));
	if (pool)
		snprintf(a->v.pool, sizeof(a->v.pool), "%s", pool->name);
}

int hook_nic_new(struct attachments *as, const struct guest *g, const struct guest_nic *nic,
		 struct attachment **ret, struct vnet_err *err)
{
	const struct guest_hostdev *dev = hook_device(g, nic);
	struct attachment *a;
	int r = check(as, g, nic, err);

	if (r < 0)
		return r;
	a = attachment_new(as, err);
	if (!a)
		return err->code;
	attachment_of_config(g, nic, &a->v);
	a->v.state = AT_PREPARING;
	snprintf(a->v.why, sizeof(a->v.why), "the guest's configuration names it");
	a->named_kind = dev->kind;
	memcpy(a->named, dev->device, sizeof(a->named));
	set_uplink(a, nic);
	a->where = IN_LIVE;
	a->by_hook = true;
	r = probe(a, err);
	if (r < 0)
		attachment_drop(a);
	else
		*ret = a;
	return r;
}
