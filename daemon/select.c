/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/select.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attach.h"
#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "daemon/select-view.h"
#include "lib/options.h"

/* Of a mode that takes nothing of the host. */
static const struct pool no_pool = { .name = "" };

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

/* Ask @mode about one offer; how well it lies is the uplink's. */
static int ask(const struct question *q, const char *mode, const struct offer *o,
	       unsigned free_share, unsigned fit, struct vnet_err *err)
{
	const struct host_scan *s = inventory_scan(q->m->inventory);
	struct candidate *c = add_candidate(q, mode, o->pool, o->uplink, err);
	const struct nic *vf;
	struct view v;

	if (!c)
		return err->code;
	view_make(&v, q->m, o, q->r, q->self, q->guest);
	if (plugin_probe(c->mode, &v.nic, &v.request, &c->verdict, err) < 0)
		return err->code;
	c->kind = o->kind;
	c->vf_index = o->vf_index;
	vf = o->vf_index >= 0 ? host_scan_vf(s, &o->uplink->pf, (unsigned)o->vf_index) : NULL;
	if (vf)
		c->vf = vf->addr;
	if (q->guest && q->guest->numa_node >= 0 && v.nic.numa_node >= 0)
		c->numa_match = q->guest->numa_node == v.nic.numa_node ? 1 : -1;
	c->free_permille = free_share;
	c->fit_permille = o->pool->set.placement == PLACEMENT_PACK ? 1000 - fit : fit;
	return 0;
}

static int ask_vfs(const struct question *q, const char *mode, const struct pool *pool,
		   const struct uplink *u, unsigned pool_permille, struct vnet_err *err)
{
	struct offer o = { pool, u, VNET_CANDIDATE_VF, -1 };
	unsigned share = pool_permille;
	int e = 0;

	if (pool->n_uplinks > 1) /* asking each VF twice costs */
		share = permille(uplink_free(q->m, u), u->last - u->first + 1);
	for (int i = u->first; e == 0 && i <= u->last; i++) {
		o.vf_index = i;
		e = ask(q, mode, &o, pool_permille, share, err);
	}
	return e;
}

/* What is put on it takes no share of it, so the one with the fewest is the emptiest. */
static unsigned share_of_link(const struct question *q, const struct uplink *u)
{
	const struct vnet_attachment *a;
	unsigned n = 0;

	for (size_t i = 0; (a = attachments_at(q->m->attachments, i)) && n < 1000; i++)
		n += a != q->self && strcmp(a->uplink, u->key) == 0;
	return 1000 - n;
}

/* Its VFs: to a mode that also takes management devices they are what makes such. */
static bool offers_vfs(const struct uplink *u, unsigned takes)
{
	return takes & VNET_CANDIDATE_VF && u->kind == VNET_UPLINK_PF &&
	       (!(takes & VNET_CANDIDATE_MGMTDEV) || u->vdpa_driver[0]);
}

/* As what this uplink can be offered to a mode that takes @takes; 0: it can't. */
static enum vnet_plugin_candidate offered_as(const struct uplink *u, unsigned takes)
{
	switch (u->kind) {
	case VNET_UPLINK_MGMTDEV:
		return takes & VNET_CANDIDATE_MGMTDEV;
	case VNET_UPLINK_PF:
	case VNET_UPLINK_NIC:
		return offers_vfs(u, takes)	    ? VNET_CANDIDATE_VF
		       : takes & VNET_CANDIDATE_NIC ? VNET_CANDIDATE_NIC
		       : u->ifindex		    ? takes & VNET_CANDIDATE_LINK
						    : 0;
	default:
		return takes & VNET_CANDIDATE_LINK;
	}
}

static int ask_uplink(const struct question *q, const struct vnet_plugin *plugin,
		      const struct pool *pool, const struct uplink *u, unsigned pool_permille,
		      struct vnet_err *err)
{
	struct offer o = { pool, u, offered_as(u, plugin->candidates), -1 };
	char why[REASON_MAX];
	unsigned share;

	uplink_refuses(pool, u, o.kind, q->guest, why, sizeof(why));
	if (why[0])
		return add_refusal(q, plugin->name, pool, u, why, err);
	if (o.kind == VNET_CANDIDATE_VF)
		return ask_vfs(q, plugin->name, pool, u, pool_permille, err);
	share = share_of_link(q, u);
	return ask(q, plugin->name, &o, share, share, err);
}

/* An option that the mode does not know must not be passed over. */
static void option_refuses(const struct question *q, const struct vnet_plugin *plugin, char *ret,
			   size_t size)
{
	char key[OPTION_KEY_MAX];
	size_t n = 0;

	ret[0] = '\0';
	for (size_t i = 0; options_key(q->r->options, i, key) == 0; i++) {
		const struct vnet_plugin_option *o = plugin->options;

		while (o && o->name && strcmp(o->name, key) != 0)
			o++;
		if (o && o->name)
			continue;
		n = (size_t)snprintf(ret, size, "mode %s has no option %s; it has%s", plugin->name,
				     key, plugin->options ? ":" : " none at all");
		for (o = plugin->options; o && o->name && n < size; o++)
			n += (size_t)snprintf(ret + n, size - n, " %s", o->name);
		return;
	}
}

static bool has_use_for(const struct question *q, const struct pool *pool,
			const struct vnet_plugin *plugin)
{
	for (size_t i = 0; i < pool->n_uplinks; i++) {
		if (offered_as(&pool->uplinks[i], plugin->candidates))
			return true;
	}
	return plugin->candidates & VNET_CANDIDATE_REQUEST && q->r->n_modes;
}

/* Of a pool that nobody named, and that nobody configured for this, nothing is told. */
static bool is_meant(const struct question *q, const struct pool *pool)
{
	return pool->configured || q->r->pool[0];
}

/* What can be of use to no such pool; where a NIC is all it has, why not that one. */
static void no_use(const struct question *q, const struct vnet_plugin *plugin,
		   const struct pool *pool, char *ret, size_t size)
{
	const struct nic *nic = NULL;
	size_t n;

	if (plugin->candidates == VNET_CANDIDATE_VF && pool->n_uplinks == 1)
		nic = host_scan_nic(inventory_scan(q->m->inventory), &pool->uplinks[0].pf);
	n = (size_t)snprintf(ret, size, "pool %s has nothing that mode %s could use: %s",
			     pool->name, plugin->name,
			     nic ? ""
				 : "see vnetd.conf(5) for its uplinks and vnetctl(1) for its "
				   "modes");
	if (nic && n < size)
		pool_why_none(nic, ret + n, size - n);
}

/* @only: of its uplinks; NULL: any. */
static int ask_pool(const struct question *q, const char *mode, const struct pool *pool,
		    const struct uplink *only, struct vnet_err *err)
{
	const struct vnet_plugin *plugin = plugins_find(q->m->plugins, mode);
	char why[REASON_MAX] = "";
	unsigned free_vfs = 0;
	int span = 0, e = 0;

	if (plugin && pool->n_uplinks && !has_use_for(q, pool, plugin)) {
		if (!is_meant(q, pool))
			return 0;
		no_use(q, plugin, pool, why, sizeof(why));
		return add_refusal(q, mode, pool, only, why, err);
	}
	if (pool != &no_pool)
		pool_refuses(q->m, pool, q->self, why, sizeof(why));
	if (!why[0] && !plugin)
		snprintf(why, sizeof(why),
			 "pool %s: there is no mode %s: `vnetctl mode list` shows those there are",
			 pool->name, mode);
	if (!why[0] && plugin)
		option_refuses(q, plugin, why, sizeof(why));
	if (why[0] || !plugin)
		return add_refusal(q, mode, pool, only, why, err);
	for (size_t i = 0; i < pool->n_uplinks; i++) {
		free_vfs += uplink_free(q->m, &pool->uplinks[i]);
		span += pool->uplinks[i].last - pool->uplinks[i].first + 1;
	}
	for (size_t i = 0; e == 0 && i < pool->n_uplinks; i++) {
		const struct uplink *u = &pool->uplinks[i];

		if ((!only || only == u) && offered_as(u, plugin->candidates))
			e = ask_uplink(q, plugin, pool, u, permille(free_vfs, span), err);
	}
	if (e == 0 && plugin->candidates & VNET_CANDIDATE_REQUEST)
		e = ask(q, mode, &(struct offer){ pool, NULL, VNET_CANDIDATE_REQUEST, -1 }, 0, 0,
			err);
	return e;
}

/* A mode that needs nothing of the host needs no pool either. */
static bool needs_no_pool(const struct question *q, const char *mode)
{
	const struct vnet_plugin *plugin = mode ? plugins_find(q->m->plugins, mode) : NULL;

	return plugin && plugin->candidates == VNET_CANDIDATE_REQUEST && !q->r->pool[0];
}

/* Bridges and the like, which nobody configured as a pool, are taken when pool or mode
 * says so: a guest that asks for any NIC does not mean the host's own bridge. */
static bool is_default(const struct pool *pool)
{
	return pool->configured || (pool->n_uplinks && pool->uplinks[0].kind == VNET_UPLINK_PF);
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
	if (needs_no_pool(q, mode)) {
		*ret_asked = true;
		e = ask_pool(q, mode, &no_pool, NULL, err);
	}
	for (size_t i = 0; e == 0 && !needs_no_pool(q, mode) && (pool = pools_at(q->m->pools, i));
	     i++) {
		if ((one && pool != one) || (!mode && place >= pool->set.n_modes) ||
		    (!one && !mode && !is_default(pool)))
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
			 "found (`vnetctl inventory`); bridges and other interfaces are "
			 "taken where --mode or --pool names them (`vnetctl pool list`)");
}

static void tell_no_use(const struct manager *m, const struct vnet_request *r, struct selection *s)
{
	const struct vnet_plugin *plugin = plugins_find(m->plugins, r->modes[0]);
	unsigned takes = plugin ? plugin->candidates : 0;

	snprintf(
		s->no_pool, sizeof(s->no_pool), "this host has nothing that mode %s could use: %s",
		r->modes[0],
		takes & VNET_CANDIDATE_MGMTDEV
			? "no vDPA management device (`vdpa mgmtdev show`; their driver, such as "
			  "mlx5_vdpa, vp_vdpa or vdpa_sim_net, has to be loaded), and no NIC whose "
			  "VFs become such"
		: takes & VNET_CANDIDATE_VF   ? "no SR-IOV network card with a network driver "
						"(`vnetctl inventory`)"
		: takes & VNET_CANDIDATE_NIC  ? "no PCI network card (`vnetctl inventory`)"
		: takes & VNET_CANDIDATE_LINK ? "no bridge and no interface to put one on "
						"(`vnetctl pool list`)"
					      : "see vnetctl(1) for what the mode takes");
}

int select_run(struct manager *m, const struct vnet_request *r, const struct guest *guest,
	       const struct vnet_attachment *self, struct selection *ret, struct vnet_err *err)
{
	struct selection s = { 0 };
	const struct question q = { m, r, guest, self, &s };
	unsigned n = r->no_fallback ? 1 : r->n_modes ? r->n_modes : MODES_MAX;
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
	if (s.n == 0 && r->n_modes)
		tell_no_use(m, r, &s);
	else if (s.n == 0)
		tell_no_pool(m, &s);
	*ret = s;
	return 0;
}

void select_claim(struct manager *m, const struct candidate *c, struct vnet_attachment *v)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	bool whole = c->uplink && (c->kind == VNET_CANDIDATE_VF || c->kind == VNET_CANDIDATE_NIC);
	const struct nic *pf = whole ? host_scan_nic(s, &c->uplink->pf) : NULL;
	const struct link *link = pf ? host_scan_nic_link(s, pf) : NULL;

	snprintf(v->mode, sizeof(v->mode), "%s", c->mode->name);
	snprintf(v->pool, sizeof(v->pool), "%s", c->pool->name);
	snprintf(v->uplink, sizeof(v->uplink), "%s", c->uplink ? c->uplink->key : "");
	/* What is put on a PF's interface does not hold the PF. */
	if (whole)
		v->pf = c->uplink->pf;
	v->vf = c->vf;
	v->vf_index = c->vf_index;
	v->vlan = v->asked.vlan.id ? v->asked.vlan : c->pool->set.vlan;
	if (link)
		v->pf_mac = link->has_perm_mac ? link->perm_mac : link->mac;
}

/* ---- the chosen one, again ---- */

static enum vnet_plugin_candidate kind_of(const struct vnet_attachment *a, const struct uplink *u,
					  const struct vnet_plugin *mode)
{
	if (a->vf_index >= 0)
		return VNET_CANDIDATE_VF;
	return u ? offered_as(u, mode->candidates) : VNET_CANDIDATE_REQUEST;
}

/* The uplink of an attachment; *ret_lone stands in where no pool has it any more. */
static const struct uplink *uplink_of(struct manager *m, const struct vnet_attachment *a,
				      const struct pool **ret_pool, struct uplink *ret_lone)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	const struct uplink *u = a->pf.set ? pools_uplink(m->pools, &a->pf) : NULL;
	const struct nic *nic = a->pf.set ? host_scan_nic(s, &a->pf) : NULL;

	if (u)
		*ret_pool = pools_by_pf(m->pools, &a->pf);
	else
		u = pools_by_key(m->pools, a->uplink, ret_pool);
	if (u || !nic)
		return u;
	pool_thing_of(s, nic, ret_lone);
	ret_lone->count = nic->num_vfs;
	return ret_lone;
}

static int view_of(struct view *v, struct stand_in *in, struct manager *m,
		   const struct vnet_attachment *a, const struct guest *guest,
		   const struct vnet_plugin **ret_mode, struct vnet_err *err)
{
	const struct pool *pool = NULL;
	const struct uplink *u;
	char addr[PCI_ADDR_STR];

	*ret_mode = plugins_find(m->plugins, a->mode);
	if (!*ret_mode)
		return vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND, "there is no mode %s any more",
				    a->mode);
	u = uplink_of(m, a, &pool, &in->uplink);
	if (!u && a->pf.set)
		return vnet_err_set(err, -ENODEV, VNET_E_NOT_FOUND, "the %s %s is gone",
				    a->vf_index >= 0 ? "PF" : "NIC", pci_addr_str(&a->pf, addr));
	if (!u && a->uplink[0])
		return vnet_err_set(err, -ENODEV, VNET_E_NOT_FOUND,
				    "%s is gone, which it was taken from, or no pool has it any "
				    "more (`vnetctl pool list`)",
				    a->uplink);
	/* Whose pool the configuration took away meanwhile. */
	if (!pool) {
		in->pool = (struct pool){ .configured = false };
		config_settings_default(m->conf, &in->pool.set);
		snprintf(in->pool.name, sizeof(in->pool.name), "%s", a->pool);
		pool = &in->pool;
	}
	view_make(v, m, &(struct offer){ pool, u, kind_of(a, u, *ret_mode), a->vf_index },
		  &a->asked, a, guest);
	return 0;
}

int select_probe(struct manager *m, const struct vnet_attachment *a, const struct guest *guest,
		 struct verdict *ret, struct vnet_err *err)
{
	const struct vnet_plugin *mode;
	struct stand_in in;
	struct view v;
	int r = view_of(&v, &in, m, a, guest, &mode, err);

	return r < 0 ? r : plugin_probe(mode, &v.nic, &v.request, ret, err);
}

int select_plan(struct manager *m, const struct vnet_attachment *a, const struct guest *guest,
		struct plan *ret, struct vnet_err *err)
{
	const struct vnet_plugin *mode;
	struct stand_in in;
	struct view v;
	int r = view_of(&v, &in, m, a, guest, &mode, err);

	return r < 0 ? r : plugin_plan(mode, &v.nic, &v.request, ret, err);
}

int select_deliver(struct manager *m, const struct vnet_attachment *a, const struct guest *guest,
		   struct delivery *ret, struct vnet_err *err)
{
	const struct vnet_plugin *mode;
	struct stand_in in;
	struct view v;
	int r = view_of(&v, &in, m, a, guest, &mode, err);

	return r < 0 ? r : plugin_deliver(mode, &v.nic, &v.request, ret, err);
}

int select_fds(struct manager *m, const struct vnet_attachment *a, const struct guest *guest,
	       struct opens *ret, struct vnet_err *err)
{
	const struct vnet_plugin *mode;
	struct stand_in in;
	struct view v;
	int r = view_of(&v, &in, m, a, guest, &mode, err);

	return r < 0 ? r : plugin_fds(mode, &v.nic, &v.request, ret, err);
}
