/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/select.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attach.h"
#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "lib/json.h"

#define MEMBERS_MAX 64

/* A candidate as a plugin sees it, with room for its strings. */
struct view {
	struct vnet_plugin_nic nic;
	struct vnet_plugin_request request;
	struct vnet_plugin_member member[MEMBERS_MAX];
	char member_addr[MEMBERS_MAX][PCI_ADDR_STR];
	char pf[PCI_ADDR_STR], vf[PCI_ADDR_STR], vf_object[VF_OBJECT_STR];
	char in_use[REASON_MAX], mac[MAC_STR], vlan[VLAN_STR];
};

/* ---- describing a candidate ---- */

static const char *member_what(const struct nic *n)
{
	if (n->bridge)
		return "bridge";
	if (n->kind == NIC_VF)
		return "vf";
	if (n->kind == NIC_PF)
		return "pf";
	return n->network ? "nic" : "other";
}

/* An upstream bridge in the PF's group means that ACS does not isolate what is below
 * it: VFs will land in that group too (VFs are single-function, so only bridges
 * above matter: pci_device_group(), drivers/iommu/iommu.c). */
static bool vfs_will_share(const struct host_scan *s, const struct nic *pf)
{
	for (size_t i = 0; i < s->n_nics; i++) {
		if (s->nics[i].bridge && s->nics[i].iommu_group == pf->iommu_group)
			return true;
	}
	return false;
}

static void view_members(struct view *v, const struct host_scan *s, const struct nic *self)
{
	size_t k = 0;

	for (size_t i = 0; i < s->n_nics && k < MEMBERS_MAX; i++) {
		const struct nic *n = &s->nics[i];

		if (n == self || n->iommu_group < 0 || n->iommu_group != v->nic.iommu_group)
			continue;
		v->member[k].address = pci_addr_str(&n->addr, v->member_addr[k]);
		v->member[k].driver = n->driver;
		v->member[k].what = member_what(n);
		v->member[k].blocks = inventory_blocks_group(n);
		k++;
	}
	v->nic.members = v->member;
	v->nic.n_members = k;
}

/* In use beyond the inventory's own view: another attachment, on it or in its group. */
static void view_in_use(struct view *v, struct manager *m, const struct host_scan *s,
			const struct pci_addr *pf, int index, const struct nic *vf,
			const struct vnet_attachment *self)
{
	const struct vnet_attachment *a = attachments_holder(m->attachments, pf, index);
	char id[ATTACHMENT_ID_MAX], addr[PCI_ADDR_STR];

	if (a && a != self) {
		snprintf(v->in_use, sizeof(v->in_use), "attachment %s has it (%s)",
			 model_attachment_id(a, id), attachment_state_str(a->state));
		return;
	}
	if (!vf)
		return;
	/* What is handed over already, the guest's XML may name through us. */
	if (!a || a->state == AT_PREPARING)
		inventory_in_use_for(m->inventory, vf, self, v->in_use, sizeof(v->in_use));
	for (size_t i = 0; i < s->n_nics && !v->in_use[0] && vf->iommu_group >= 0; i++) {
		const struct nic *n = &s->nics[i];

		if (n == vf || n->kind != NIC_VF || n->iommu_group != vf->iommu_group)
			continue;
		a = attachments_holder(m->attachments, &n->pf, n->vf_index);
		if (a && a != self)
			snprintf(v->in_use, sizeof(v->in_use),
				 "its IOMMU group %d goes with %s, which attachment %s has",
				 vf->iommu_group, pci_addr_str(&n->addr, addr),
				 model_attachment_id(a, id));
	}
}

static void view_vf(struct view *v, const struct host_scan *s, const struct nic *pf,
		    const struct nic *vf)
{
	const struct link *link = vf ? host_scan_nic_link(s, vf) : NULL;

	v->nic.vf_present = vf != NULL;
	v->nic.vf = vf ? pci_addr_str(&vf->addr, v->vf) : "";
	v->nic.vf_driver = vf ? vf->driver : "";
	v->nic.vf_link = link ? link->name : "";
	v->nic.iommu_group = vf ? vf->iommu_group : pf->iommu_group;
	/* Not there yet: alone in a group of its own, unless it will share the PF's. */
	if (vf || vfs_will_share(s, pf))
		view_members(v, s, vf);
}

static void view_make(struct view *v, struct manager *m, const struct pool *pool,
		      const struct nic *pf, int index, const struct vnet_request *r,
		      const struct vnet_attachment *self, const struct guest *guest)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	const struct nic *vf = host_scan_vf(s, &pf->addr, (unsigned)index);
	const struct link *link = host_scan_nic_link(s, pf);
	const struct mac *mac = self ? &self->mac : &r->mac;

	memset(v, 0, sizeof(*v));
	v->nic.struct_size = sizeof(v->nic);
	v->nic.pool = pool->name;
	v->nic.pf = pci_addr_str(&pf->addr, v->pf);
	v->nic.pf_link = link ? link->name : "";
	v->nic.pf_driver = pf->driver;
	v->nic.pf_up = link && link->up;
	v->nic.pf_carrier = link && link->carrier;
	v->nic.total_vfs = pf->total_vfs;
	v->nic.num_vfs = pf->num_vfs;
	v->nic.wanted_vfs = pool->count;
	v->nic.vf_index = index;
	v->nic.vf_object = vf_object_str(&pf->addr, (unsigned)index, v->vf_object);
	v->nic.has_vfio_pci = s->has_vfio_pci;
	v->nic.intr_remap = s->intr_remap;
	v->nic.unsafe_interrupts = s->unsafe_interrupts;
	v->nic.numa_node = pf->numa_node;
	v->nic.guest_numa_node = guest ? guest->numa_node : -1;
	view_vf(v, s, pf, vf);
	view_in_use(v, m, s, &pf->addr, index, vf, self);
	/* Making VFs drops this PF's link for a second: only on purpose. */
	if (!v->in_use[0] && pf->num_vfs == 0 && strcmp(r->pool, pool->name) != 0 &&
	    strcmp(r->pool, v->pf) != 0) {
		char why[REASON_MAX - 192];

		inventory_host_uses(m->inventory, pf, why, sizeof(why));
		if (why[0])
			snprintf(
				v->in_use, sizeof(v->in_use),
				"the host itself uses %s (%s) and making VFs interrupts its link for "
				"about a second: name it with --pool %s if that is all right",
				v->nic.pf_link, why, pool->name);
	}
	v->nic.in_use = v->in_use;
	v->request.struct_size = sizeof(v->request);
	v->request.guest = r->guest;
	v->request.name = self ? self->name : r->name;
	v->request.mac = mac_str(mac, v->mac);
	v->request.vlan = vlan_str(&r->vlan, v->vlan);
}

/* ---- choosing ---- */

void selection_done(struct selection *s)
{
	free(s->at);
	memset(s, 0, sizeof(*s));
}

static unsigned pool_free(struct manager *m, const struct pool *pool)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	unsigned free_vfs = 0;

	for (int i = 0; i < pool->count; i++) {
		const struct nic *vf = host_scan_vf(s, &pool->pf, (unsigned)i);
		char why[REASON_MAX] = "";

		if (attachments_holder(m->attachments, &pool->pf, i))
			continue;
		if (vf)
			inventory_in_use(m->inventory, vf, why, sizeof(why));
		free_vfs += !why[0];
	}
	return free_vfs;
}

/* Better first. */
static int cmp_candidate(const struct candidate *a, const struct candidate *b)
{
	int r;

	if (a->numa_match != b->numa_match)
		return b->numa_match - a->numa_match;
	if (a->free_permille != b->free_permille)
		return a->free_permille > b->free_permille ? -1 : 1;
	if (a->verdict.score != b->verdict.score)
		return b->verdict.score - a->verdict.score;
	r = strcmp(a->pool.name, b->pool.name);
	return r ? r : a->vf_index - b->vf_index;
}

static int ask_pool(struct manager *m, const struct vnet_plugin *mode, const struct pool *pool,
		    const struct vnet_request *r, const struct guest *guest,
		    const struct vnet_attachment *self, struct selection *ret, struct vnet_err *err)
{
	const struct nic *pf = host_scan_nic(inventory_scan(m->inventory), &pool->pf);
	unsigned free_permille;

	if (!pf || !(mode->candidates & VNET_CANDIDATE_VF))
		return 0;
	free_permille = pool->count ? pool_free(m, pool) * 1000 / (unsigned)pool->count : 0;
	for (int i = 0; i < pool->count; i++) {
		struct candidate *c = reallocarray(ret->at, ret->n + 1, sizeof(*c));
		const struct nic *vf;
		struct view v;
		int e;

		if (!c)
			return vnet_err_errno(err, -ENOMEM, "candidates");
		ret->at = c;
		c = &c[ret->n];
		memset(c, 0, sizeof(*c));
		view_make(&v, m, pool, pf, i, r, self, guest);
		e = plugin_probe(mode, &v.nic, &v.request, &c->verdict, err);
		if (e < 0)
			return e;
		vf = host_scan_vf(inventory_scan(m->inventory), &pool->pf, (unsigned)i);
		c->mode = mode;
		c->pool = *pool;
		c->vf_index = i;
		if (vf)
			c->vf = vf->addr;
		if (guest && guest->numa_node >= 0 && pf->numa_node >= 0)
			c->numa_match = guest->numa_node == pf->numa_node ? 1 : -1;
		c->free_permille = free_permille;
		ret->n++;
	}
	return 0;
}

static int ask_mode(struct manager *m, const char *name, const struct vnet_request *r,
		    const struct guest *guest, const struct vnet_attachment *self,
		    struct selection *ret, struct vnet_err *err)
{
	const struct vnet_plugin *mode = plugins_find(m->plugins, name);
	const struct pool *pool;
	size_t first = ret->n;
	int e = 0;

	if (!mode)
		return vnet_err_set(
			err, -ENOENT, VNET_E_NOT_FOUND,
			"there is no mode %s: `vnetctl mode list` shows those there are", name);
	if (r->pool[0]) {
		pool = pools_find(m->pools, r->pool);
		if (!pool)
			return pools_none(m, r->pool, err);
		e = ask_pool(m, mode, pool, r, guest, self, ret, err);
	} else {
		for (size_t i = 0; e == 0 && (pool = pools_at(m->pools, i)); i++)
			e = ask_pool(m, mode, pool, r, guest, self, ret, err);
	}
	for (size_t i = first; e == 0 && i < ret->n; i++) {
		const struct candidate *c = &ret->at[i];

		if (c->verdict.score > 0 && (!ret->chosen || cmp_candidate(c, ret->chosen) < 0))
			ret->chosen = c;
	}
	return e;
}

int select_run(struct manager *m, const struct vnet_request *r, const struct guest *guest,
	       const struct vnet_attachment *self, struct selection *ret, struct vnet_err *err)
{
	struct selection s = { 0 };
	int e = 0;

	if (r->n_modes == 0)
		e = ask_mode(m, "vf", r, guest, self, &s, err);
	for (unsigned i = 0; e == 0 && i < r->n_modes; i++) {
		ssize_t chosen = s.chosen ? s.chosen - s.at : -1;

		s.chosen = NULL; /* the array moves */
		e = ask_mode(m, r->modes[i], r, guest, self, &s, err);
		if (chosen >= 0) /* an earlier mode's yes stands */
			s.chosen = &s.at[chosen];
	}
	if (e < 0) {
		selection_done(&s);
		return e;
	}
	*ret = s;
	return 0;
}

static const char *skip_own_name(const char *s, const struct candidate *c)
{
	char object[VF_OBJECT_STR], vf[PCI_ADDR_STR];
	const char *const names[] = {
		vf_object_str(&c->pool.pf, (unsigned)c->vf_index, object),
		pci_addr_str(&c->vf, vf),
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = names[i] ? strlen(names[i]) : 0;

		if (len && strncmp(s, names[i], len) == 0)
			return s + len;
	}
	return s;
}

/* The same reason, each with its own VF in it? */
static bool reasons_alike(const struct candidate *a, const struct candidate *b)
{
	const char *s = a->verdict.reason, *t = b->verdict.reason;

	for (;; s++, t++) {
		s = skip_own_name(s, a);
		t = skip_own_name(t, b);
		if (*s != *t)
			return false;
		if (!*s)
			return true;
	}
}

/* Candidate @i's reason and how many have the same; "" where an earlier one has. */
static void reason_of(const struct selection *s, size_t i, char *ret, size_t size)
{
	size_t same = 0;

	ret[0] = '\0';
	for (size_t k = 0; k < s->n; k++) {
		if (k == i || !reasons_alike(&s->at[k], &s->at[i]))
			continue;
		if (k < i)
			return;
		same++;
	}
	if (same)
		snprintf(ret, size, "%s (and so %zu more)", s->at[i].verdict.reason, same);
	else
		snprintf(ret, size, "%s", s->at[i].verdict.reason);
}

int select_refuse(const struct selection *s, const struct vnet_request *r, struct vnet_err *err)
{
	static const char rest[] = "; and others: `vnetctl why` shows each";
	char text[VNET_ERR_TEXT_MAX - 256] = "", reason[REASON_MAX + 64];
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		reason_of(s, i, reason, sizeof(reason));
		if (!reason[0])
			continue;
		if (n && n + strlen(reason) + sizeof(rest) + 2 > sizeof(text)) {
			strcpy(text + n, rest);
			break;
		}
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? "; " : "", reason);
		if (n >= sizeof(text))
			break;
	}
	if (!s->n)
		return vnet_err_set(
			err, -ENODEV, VNET_E_NOTHING_SERVES,
			"nothing can serve %s: this host has no pool: no SR-IOV network "
			"card with a network driver was found (`vnetctl inventory`)",
			r->guest);
	return vnet_err_set(err, -ENODEV, VNET_E_NOTHING_SERVES, "nothing can serve %s: %s",
			    r->guest, text);
}

json_t *select_verdicts_json(const struct selection *s)
{
	json_t *list = json_array();
	char buf[PCI_ADDR_STR];

	for (size_t i = 0; i < s->n; i++) {
		const struct candidate *c = &s->at[i];
		json_t *v = json_object();

		json_put_str(v, "mode", c->mode->name);
		json_put_str(v, "pool", c->pool.name);
		json_put_str(v, "pf", pci_addr_str(&c->pool.pf, buf));
		json_put_str(v, "vf", pci_addr_str(&c->vf, buf));
		json_put_int(v, "vfIndex", c->vf_index);
		json_put_bool(v, "serves", c->verdict.score > 0);
		json_put_int(v, "score", c->verdict.score);
		json_put_bool(v, "chosen", c == s->chosen);
		json_put_str(v, "reason", c->verdict.reason);
		json_array_append_new(list, v);
	}
	return list;
}

/* ---- the chosen one, again ---- */

static int view_of(struct view *v, struct manager *m, const struct vnet_attachment *a,
		   const struct guest *guest, const struct vnet_plugin **ret_mode,
		   struct vnet_err *err)
{
	const struct nic *pf = host_scan_nic(inventory_scan(m->inventory), &a->pf);
	const struct pool *pool = pools_by_pf(m->pools, &a->pf);
	char addr[PCI_ADDR_STR];

	*ret_mode = plugins_find(m->plugins, a->mode);
	if (!*ret_mode)
		return vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND, "there is no mode %s any more",
				    a->mode);
	if (!pf || !pool)
		return vnet_err_set(err, -ENODEV, VNET_E_NOT_FOUND, "the PF %s is gone",
				    pci_addr_str(&a->pf, addr));
	view_make(v, m, pool, pf, a->vf_index, &a->asked, a, guest);
	return 0;
}

int select_probe(struct manager *m, const struct vnet_attachment *a, const struct guest *guest,
		 struct verdict *ret, struct vnet_err *err)
{
	const struct vnet_plugin *mode;
	struct view v;
	int r = view_of(&v, m, a, guest, &mode, err);

	return r < 0 ? r : plugin_probe(mode, &v.nic, &v.request, ret, err);
}

int select_plan(struct manager *m, const struct vnet_attachment *a, const struct guest *guest,
		struct plan *ret, struct vnet_err *err)
{
	const struct vnet_plugin *mode;
	struct view v;
	int r = view_of(&v, m, a, guest, &mode, err);

	return r < 0 ? r : plugin_plan(mode, &v.nic, &v.request, ret, err);
}

int select_deliver(struct manager *m, const struct vnet_attachment *a, const struct guest *guest,
		   struct delivery *ret, struct vnet_err *err)
{
	const struct vnet_plugin *mode;
	struct view v;
	int r = view_of(&v, m, a, guest, &mode, err);

	return r < 0 ? r : plugin_deliver(mode, &v.nic, &v.request, ret, err);
}
