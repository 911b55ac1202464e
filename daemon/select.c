/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/select.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attach.h"
#include "daemon/bind.h"
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
	const struct nic *of = host_scan_nic(s, pf);
	const char *driver;

	/* Its PF is on its way to another driver: no VFs will be there. */
	if (of && binds_hold(m->binds, of, &driver, v->in_use, sizeof(v->in_use)))
		return;
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

/* Making VFs drops this PF's link for a second: only on purpose. */
static void view_host_uses(struct view *v, struct manager *m, const struct pool *pool,
			   const struct uplink *u, const struct nic *pf,
			   const struct vnet_request *r)
{
	char why[REASON_MAX - 192];

	if (v->in_use[0] || pf->num_vfs > 0 || (pool->set.vfs > 0 && u->named) ||
	    strcmp(r->pool, pool->name) == 0 || strcmp(r->pool, v->pf) == 0 ||
	    (u->link[0] && strcmp(r->pool, u->link) == 0))
		return;
	inventory_host_uses(m->inventory, pf, why, sizeof(why));
	if (why[0])
		snprintf(v->in_use, sizeof(v->in_use),
			 "the host itself uses %s (%s) and making VFs interrupts its link for "
			 "about a second: name it with --pool %s if that is all right",
			 v->nic.pf_link, why, pool->name);
}

static void view_make(struct view *v, struct manager *m, const struct pool *pool,
		      const struct uplink *u, const struct nic *pf, int index,
		      const struct vnet_request *r, const struct vnet_attachment *self,
		      const struct guest *guest)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	const struct nic *vf = host_scan_vf(s, &pf->addr, (unsigned)index);
	const struct link *link = host_scan_nic_link(s, pf);
	const struct mac *mac = self ? &self->mac : &r->mac;
	const struct vlan *vlan = self ? &self->vlan : &r->vlan;

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
	v->nic.wanted_vfs = u->count;
	v->nic.vf_index = index;
	v->nic.vf_object = vf_object_str(&pf->addr, (unsigned)index, v->vf_object);
	v->nic.has_vfio_pci = s->has_vfio_pci;
	v->nic.intr_remap = s->intr_remap;
	v->nic.unsafe_interrupts = s->unsafe_interrupts;
	v->nic.numa_node = pf->numa_node;
	v->nic.guest_numa_node = guest ? guest->numa_node : -1;
	view_vf(v, s, pf, vf);
	view_in_use(v, m, s, &pf->addr, index, vf, self);
	view_host_uses(v, m, pool, u, pf, r);
	v->nic.in_use = v->in_use;
	v->request.struct_size = sizeof(v->request);
	v->request.guest = r->guest;
	v->request.name = self ? self->name : r->name;
	v->request.mac = mac_str(mac, v->mac);
	v->request.vlan = vlan_str(vlan, v->vlan);
}

/* ---- choosing ---- */

void selection_done(struct selection *s)
{
	free(s->at);
	memset(s, 0, sizeof(*s));
}

/* What is asked, of whom and for whom: the same for every candidate. */
struct question {
	struct manager *m;
	const struct vnet_request *r;
	const struct guest *guest;
	const struct vnet_attachment *self;
	struct selection *ret;
};

/* Better first: an order of single numbers, so that "better" goes on from one to the
 * next whatever pools they are of. */
static int cmp_candidate(const struct candidate *a, const struct candidate *b)
{
	int r;

	if (a->numa_match != b->numa_match)
		return b->numa_match - a->numa_match;
	if (a->free_permille != b->free_permille)
		return a->free_permille > b->free_permille ? -1 : 1;
	if (a->fit_permille != b->fit_permille)
		return a->fit_permille > b->fit_permille ? -1 : 1;
	if (a->verdict.score != b->verdict.score)
		return b->verdict.score - a->verdict.score;
	r = strcmp(a->pool->name, b->pool->name);
	if (r)
		return r;
	if (a->uplink != b->uplink) /* of one pool: of one array */
		return a->uplink < b->uplink ? -1 : 1;
	return a->vf_index - b->vf_index;
}

/* The next candidate, with what all have; NULL with @err. */
static struct candidate *add_candidate(const struct question *q, const char *mode,
				       const struct pool *pool, const struct uplink *u,
				       struct vnet_err *err)
{
	struct candidate *c = reallocarray(q->ret->at, q->ret->n + 1, sizeof(*c));

	if (!c) {
		vnet_err_errno(err, -ENOMEM, "candidates");
		return NULL;
	}
	q->ret->at = c;
	c = &c[q->ret->n++];
	memset(c, 0, sizeof(*c));
	c->mode = plugins_find(q->m->plugins, mode);
	c->mode_name = mode;
	c->pool = pool;
	c->uplink = u;
	c->vf_index = -1;
	return c;
}

static int add_refusal(const struct question *q, const char *mode, const struct pool *pool,
		       const struct uplink *u, const char *why, struct vnet_err *err)
{
	struct candidate *c = add_candidate(q, mode, pool, u, err);

	if (!c)
		return err->code;
	snprintf(c->verdict.reason, sizeof(c->verdict.reason), "%s", why);
	return 0;
}

static unsigned permille(unsigned part, int whole)
{
	return whole > 0 ? part * 1000 / (unsigned)whole : 0;
}

static int ask_uplink(const struct question *q, const char *mode, const struct pool *pool,
		      const struct uplink *u, unsigned pool_permille, struct vnet_err *err)
{
	const struct host_scan *s = inventory_scan(q->m->inventory);
	const struct nic *pf = host_scan_nic(s, &u->pf);
	unsigned share = pool_permille;
	char why[REASON_MAX];

	if (!pf)
		return 0;
	uplink_refuses(pool, u, q->guest, why, sizeof(why));
	if (why[0])
		return add_refusal(q, mode, pool, u, why, err);
	if (pool->n_uplinks > 1) /* asking each VF twice costs */
		share = permille(uplink_free(q->m, u), u->last - u->first + 1);
	for (int i = u->first; i <= u->last; i++) {
		struct candidate *c = add_candidate(q, mode, pool, u, err);
		const struct nic *vf = host_scan_vf(s, &u->pf, (unsigned)i);
		struct view v;

		if (!c)
			return err->code;
		view_make(&v, q->m, pool, u, pf, i, q->r, q->self, q->guest);
		if (plugin_probe(c->mode, &v.nic, &v.request, &c->verdict, err) < 0)
			return err->code;
		c->vf_index = i;
		if (vf)
			c->vf = vf->addr;
		if (q->guest && q->guest->numa_node >= 0 && pf->numa_node >= 0)
			c->numa_match = q->guest->numa_node == pf->numa_node ? 1 : -1;
		c->free_permille = pool_permille;
		c->fit_permille = pool->set.placement == PLACEMENT_PACK ? 1000 - share : share;
	}
	return 0;
}

/* @only: of its uplinks; NULL: any. */
static int ask_pool(const struct question *q, const char *mode, const struct pool *pool,
		    const struct uplink *only, struct vnet_err *err)
{
	const struct vnet_plugin *plugin = plugins_find(q->m->plugins, mode);
	char why[REASON_MAX];
	unsigned free_vfs = 0;
	int span = 0, e = 0;

	pool_refuses(q->m, pool, q->self, why, sizeof(why));
	if (!why[0] && !plugin)
		snprintf(why, sizeof(why),
			 "pool %s: there is no mode %s: `vnetctl mode list` shows those there are",
			 pool->name, mode);
	if (why[0] || !plugin)
		return add_refusal(q, mode, pool, only, why, err);
	if (!(plugin->candidates & VNET_CANDIDATE_VF))
		return 0;
	for (size_t i = 0; i < pool->n_uplinks; i++) {
		free_vfs += uplink_free(q->m, &pool->uplinks[i]);
		span += pool->uplinks[i].last - pool->uplinks[i].first + 1;
	}
	for (size_t i = 0; e == 0 && i < pool->n_uplinks; i++) {
		if (!only || only == &pool->uplinks[i])
			e = ask_uplink(q, mode, pool, &pool->uplinks[i], permille(free_vfs, span),
				       err);
	}
	return e;
}

/* All pools that the request may be served from, by a mode of their own (@place in
 * their order) or by @mode. *ret_asked: there was one that has a mode at that place. */
static int ask_pools(const struct question *q, const char *mode, unsigned place, bool *ret_asked,
		     struct vnet_err *err)
{
	const char *name = q->r->pool;
	const struct pool *one = name[0] ? pools_find(q->m->pools, name) : NULL, *pool;
	const struct uplink *only = one ? pools_find_uplink(q->m->pools, name) : NULL;
	size_t first = q->ret->n;
	int e = 0;

	if (name[0] && !one)
		return pools_none(q->m, name, err);
	for (size_t i = 0; e == 0 && (pool = pools_at(q->m->pools, i)); i++) {
		if ((one && pool != one) || (!mode && place >= pool->set.n_modes))
			continue;
		*ret_asked = true;
		e = ask_pool(q, mode ? mode : pool->set.modes[place], pool, only, err);
	}
	for (size_t i = first; e == 0 && i < q->ret->n; i++) {
		const struct candidate *c = &q->ret->at[i];

		if (c->verdict.score > 0 &&
		    (!q->ret->chosen || cmp_candidate(c, q->ret->chosen) < 0))
			q->ret->chosen = c;
	}
	return e;
}

static void tell_no_pool(const struct manager *m, struct selection *s)
{
	const struct config *c = m->conf;
	char text[REASON_MAX - 128];

	if (c && c->incomplete && c->n_errors)
		snprintf(s->no_pool, sizeof(s->no_pool),
			 "no pool is served while the configuration is not known whole: %s",
			 config_error_str(&c->errors[0], text, sizeof(text)));
	else
		snprintf(s->no_pool, sizeof(s->no_pool),
			 "this host has no pool: no SR-IOV network card with a network driver was "
			 "found (`vnetctl inventory`)");
}

int select_run(struct manager *m, const struct vnet_request *r, const struct guest *guest,
	       const struct vnet_attachment *self, struct selection *ret, struct vnet_err *err)
{
	struct selection s = { 0 };
	const struct question q = { m, r, guest, self, &s };
	unsigned n = r->n_modes ? r->n_modes : MODES_MAX;
	bool asked = true;
	int e = 0;

	for (unsigned i = 0; i < r->n_modes; i++) {
		if (!plugins_find(m->plugins, r->modes[i]))
			return vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND,
					    "there is no mode %s: `vnetctl mode list` shows those "
					    "there are",
					    r->modes[i]);
	}
	for (unsigned i = 0; e == 0 && i < n && asked; i++) {
		ssize_t chosen = s.chosen ? s.chosen - s.at : -1;

		s.chosen = NULL; /* the array moves */
		asked = false;
		e = ask_pools(&q, r->n_modes ? r->modes[i] : NULL, i, &asked, err);
		if (chosen >= 0) /* an earlier mode's yes stands */
			s.chosen = &s.at[chosen];
	}
	if (e < 0) {
		selection_done(&s);
		return e;
	}
	if (s.n == 0)
		tell_no_pool(m, &s);
	*ret = s;
	return 0;
}

static const char *skip_own_name(const char *s, const struct candidate *c)
{
	char object[VF_OBJECT_STR], vf[PCI_ADDR_STR];
	const char *const names[] = {
		c->vf_index >= 0 ? vf_object_str(&c->uplink->pf, (unsigned)c->vf_index, object)
				 : NULL,
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
		return vnet_err_set(err, -ENODEV, VNET_E_NOTHING_SERVES, "nothing can serve %s: %s",
				    r->guest, s->no_pool);
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

		json_put_str(v, "mode", c->mode_name);
		json_put_str(v, "pool", c->pool->name);
		json_put_str(v, "pf", c->uplink ? pci_addr_str(&c->uplink->pf, buf) : NULL);
		json_put_str(v, "vf", pci_addr_str(&c->vf, buf));
		json_put_int_or_null(v, "vfIndex", c->vf_index, c->vf_index >= 0);
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
	const struct uplink *u = pools_uplink(m->pools, &a->pf);
	const struct uplink lone = { .pf = a->pf, .count = pf ? pf->num_vfs : 0 };
	struct pool none = { .configured = false };
	char addr[PCI_ADDR_STR];

	*ret_mode = plugins_find(m->plugins, a->mode);
	if (!*ret_mode)
		return vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND, "there is no mode %s any more",
				    a->mode);
	if (!pf)
		return vnet_err_set(err, -ENODEV, VNET_E_NOT_FOUND, "the PF %s is gone",
				    pci_addr_str(&a->pf, addr));
	/* Whose pool the configuration took away meanwhile. */
	if (!pool || !u) {
		config_settings_default(m->conf, &none.set);
		snprintf(none.name, sizeof(none.name), "%s", a->pool);
		pool = &none;
		u = &lone;
	}
	view_make(v, m, pool, u, pf, a->vf_index, &a->asked, a, guest);
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
