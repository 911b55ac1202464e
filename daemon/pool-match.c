/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which uplink is in which pool. Configured pools claim first, in the order of their
 * files; an uplink has one pool, so what a second one matches is that one's error. A pool
 * that is disabled keeps what it claims: its uplinks must not be given out otherwise.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "daemon/plugin.h"
#include "daemon/pool-priv.h"

struct match {
	struct pools *p;
	const struct host_scan *s;
	struct uplink *things; /* all that may be an uplink */
	size_t n_things;
	const struct config_pool **owner; /* of things, by place */
	const struct config_uplink **by;  /* the word that claimed it */
};

static void add_problem(struct pool *pool, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void add_problem(struct pool *pool, const char *fmt, ...)
{
	size_t n = strlen(pool->problem);
	va_list ap;

	if (n + 3 < sizeof(pool->problem))
		n += (size_t)snprintf(pool->problem + n, sizeof(pool->problem) - n, "%s",
				      n ? "; " : "");
	va_start(ap, fmt);
	vsnprintf(pool->problem + n, sizeof(pool->problem) - n, fmt, ap);
	va_end(ap);
}

/* Only a PF serves it. */
static bool wants_vfs_only(const struct pool_settings *set)
{
	return set->n_modes == 1 && strcmp(set->modes[0], "vf") == 0;
}

static bool is_pci(const struct uplink *t)
{
	return t->kind == VNET_UPLINK_PF || t->kind == VNET_UPLINK_NIC;
}

static bool matches(const struct match *m, const struct uplink *t, const struct config_uplink *u)
{
	const struct nic *nic = is_pci(t) ? host_scan_nic(m->s, &t->pf) : NULL;
	const struct link *link = t->ifindex ? host_scan_link(m->s, t->ifindex) : NULL;

	switch (u->kind) {
	case UPLINK_NAME:
		if (t->kind == VNET_UPLINK_MGMTDEV) /* "vdpasim_net" */
			return u->exact && strcmp(u->word, t->key) == 0;
		/* A glob means NICs: what hangs from one is named, or is none. */
		return t->link[0] && (u->exact || is_pci(t)) && fnmatch(u->word, t->link, 0) == 0;
	case UPLINK_ADDRESS:
		return nic && fnmatch(u->word, t->key, 0) == 0;
	case UPLINK_MAC:
		return nic && link &&
		       mac_eq(&u->mac, link->has_perm_mac ? &link->perm_mac : &link->mac);
	case UPLINK_DRIVER:
		return nic && fnmatch(u->word, nic->driver, 0) == 0;
	case UPLINK_MGMTDEV:
		return t->kind == VNET_UPLINK_MGMTDEV && fnmatch(u->word, t->key, 0) == 0;
	}
	return false;
}

/* May @word of this pool mean @t? */
static bool suits(const struct match *m, const struct pool *pool, const struct uplink *t,
		  const struct config_uplink *word)
{
	if (t->kind != VNET_UPLINK_PF && wants_vfs_only(&pool->set))
		return false;
	/* A driver's NICs are meant to make VFs; VFs have it, too. */
	if (word->kind == UPLINK_DRIVER && t->kind != VNET_UPLINK_PF)
		return false;
	return matches(m, t, word);
}

/* How many VFs it has, or is to have. */
static int count_of(const struct pool_settings *set, const struct nic *nic)
{
	int wanted = set->vfs > 0 ? set->vfs : POOL_VFS_DEFAULT_MAX;

	if (nic->num_vfs > 0)
		return nic->num_vfs;
	if (set->vfs == CONFIG_VFS_FOUND)
		return 0;
	return nic->total_vfs < wanted ? nic->total_vfs : wanted;
}

static int add_uplink(struct match *m, struct pool *pool, const struct uplink *t, bool named)
{
	struct uplink *list = reallocarray(pool->uplinks, pool->n_uplinks + 1, sizeof(*list));
	struct uplink *u;

	if (!list)
		return -ENOMEM;
	pool->uplinks = list;
	u = &list[pool->n_uplinks++];
	*u = *t;
	u->named = named;
	u->last = -1;
	if (t->kind == VNET_UPLINK_PF) {
		const struct nic *nic = host_scan_nic(m->s, &t->pf);

		u->created = pool_mark_fits(m->p, nic);
		if (pool->set.vdpa_driver[0])
			memcpy(u->vdpa_driver, pool->set.vdpa_driver, sizeof(u->vdpa_driver));
		u->count = count_of(&pool->set, nic);
		u->first = pool->set.first;
		u->last = pool->set.last < 0 || pool->set.last >= u->count ? u->count - 1
									   : pool->set.last;
	}
	return 0;
}

static const char *uplink_name(const struct uplink *u, char buf[static PCI_ADDR_STR])
{
	return u->link[0] ? u->link : pci_addr_str(&u->pf, buf);
}

/* Of a word that no PF is matched by: is there a NIC that cannot serve? */
static void tell_missing(struct match *m, struct pool *pool, const struct config_uplink *word)
{
	const char *why = word->exact ? "is not there (yet)" : "matches no NIC that can make VFs";
	bool may_come = true;

	for (size_t i = 0; word->exact && i < m->s->n_nics; i++) {
		const struct nic *nic = &m->s->nics[i];

		struct uplink t = { 0 };

		if (!nic->network)
			continue;
		pool_thing_of(m->s, nic, &t);
		if (!matches(m, &t, word))
			continue;
		may_come = nic->kind == NIC_PF;
		why = nic->kind == NIC_VF      ? "is a VF: say its PF"
		      : nic->kind == NIC_PLAIN ? "has no SR-IOV"
		      : nic->driver[0] == '\0' ? "has no driver: bind it to its network driver"
		      : strncmp(nic->driver, "vfio", 4) == 0 ? "is itself passed through"
							     : "has no network interface here";
		break;
	}
	pool->n_missing += may_come;
	add_problem(pool, "%s:%u: uplink %s %s", word->at.file, word->at.line, word->word, why);
}

static int claim_word(struct match *m, const struct config_pool *cp,
		      const struct config_uplink *word, struct pool *pool)
{
	bool found = false;

	for (size_t i = 0; i < m->n_things; i++) {
		const struct uplink *t = &m->things[i];
		struct uplink *u = NULL;

		if (!suits(m, pool, t, word))
			continue;
		found = true;
		for (size_t k = 0; k < pool->n_uplinks; k++) {
			if (strcmp(pool->uplinks[k].key, t->key) == 0)
				u = &pool->uplinks[k];
		}
		if (u) {
			u->named |= word->exact;
		} else if (m->owner[i]) {
			pool->disabled = true;
			add_problem(pool, "%s:%u: uplink %s: %s is in pool %s already (%s:%u)",
				    word->at.file, word->at.line, word->word,
				    t->link[0] ? t->link : t->key, m->owner[i]->name,
				    m->by[i]->at.file, m->by[i]->at.line);
		} else {
			m->owner[i] = cp;
			m->by[i] = word;
			if (add_uplink(m, pool, t, word->exact) < 0)
				return -ENOMEM;
		}
	}
	if (!found)
		tell_missing(m, pool, word);
	return 0;
}

/* What is wrong with its PFs though it serves. */
static void judge_uplinks(struct match *m, struct pool *pool)
{
	char name[PCI_ADDR_STR];

	for (size_t i = 0; i < pool->n_uplinks; i++) {
		const struct uplink *u = &pool->uplinks[i];

		if (u->kind == VNET_UPLINK_PF && pool->set.vfs > u->total)
			add_problem(pool, "vfs = %d, but %s can have %d at most", pool->set.vfs,
				    uplink_name(u, name), u->total);
		for (const struct pool_failure *f = m->p->failures; f; f = f->next) {
			if (u->pf.set && u->vfs <= 0 && pci_addr_eq(&f->pf, &u->pf))
				add_problem(pool, "%s", f->text);
		}
	}
}

/* The configuration is read before there are any modes, so it cannot judge their names. */
static void judge_modes(struct match *m, struct pool *pool)
{
	const struct plugins *plugins = m->p->m->plugins;

	for (unsigned i = 0; plugins && i < pool->set.n_modes; i++) {
		if (!plugins_find(plugins, pool->set.modes[i]))
			add_problem(
				pool,
				"there is no mode %s: `vnetctl mode list` shows those there are",
				pool->set.modes[i]);
	}
}

static int claim(struct match *m, const struct config *c, const struct config_pool *cp,
		 struct pool *pool)
{
	memcpy(pool->name, cp->name, sizeof(pool->name));
	pool->configured = true;
	pool->disabled = cp->disabled;
	pool->set = cp->set;
	if (cp->disabled)
		config_pool_problem(c, cp->name, pool->problem, sizeof(pool->problem));
	for (size_t i = 0; i < cp->n_uplinks; i++) {
		if (claim_word(m, cp, &cp->uplinks[i], pool) < 0)
			return -ENOMEM;
	}
	judge_uplinks(m, pool);
	if (!pool->disabled)
		judge_modes(m, pool);
	return 0;
}

static void set_modes(struct pool_settings *set, const char *first, const char *second)
{
	memset(set->modes, 0, sizeof(set->modes));
	snprintf(set->modes[0], MODE_NAME_MAX, "%s", first);
	snprintf(set->modes[1], MODE_NAME_MAX, "%s", second);
	set->n_modes = second[0] ? 2 : 1;
}

/* What nobody claims is a pool by itself. */
static int implicit(struct match *m, const struct config *c, const struct uplink *t,
		    struct pool *pool)
{
	bool taken = t->link[0] && c && config_pool_find(c, t->link);

	snprintf(pool->name, sizeof(pool->name), "%s", t->link[0] && !taken ? t->link : t->key);
	config_settings_default(c, &pool->set);
	if (t->kind == VNET_UPLINK_BRIDGE || t->kind == VNET_UPLINK_OVS)
		set_modes(&pool->set, "vhost-net", "tap");
	else if (t->kind == VNET_UPLINK_MGMTDEV)
		set_modes(&pool->set, "vdpa", "");
	else if (t->kind != VNET_UPLINK_PF)
		set_modes(&pool->set, t->ifindex ? "macvtap" : "passthrough", "");
	if (add_uplink(m, pool, t, true) < 0)
		return -ENOMEM;
	judge_uplinks(m, pool);
	return 0;
}

static int cmp_pool(const void *a, const void *b)
{
	return strcmp(((const struct pool *)a)->name, ((const struct pool *)b)->name);
}

void pools_list_free(struct pool *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i].uplinks);
	free(list);
}

/* @list has room for all; *n counts also one that failed half way. */
static int fill(struct match *m, const struct config *c, struct pool *list, size_t *n)
{
	for (size_t i = 0; c && i < c->n_pools; i++) {
		if (claim(m, c, &c->pools[i], &list[(*n)++]) < 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < m->n_things; i++) {
		const struct uplink *t = &m->things[i];

		if (m->owner[i] || (c && c->incomplete) || !pool_thing_is_pool(m->s, t))
			continue;
		if (c && config_pool_find(c, t->key)) /* a name that is taken */
			continue;
		if (implicit(m, c, t, &list[(*n)++]) < 0)
			return -ENOMEM;
	}
	return 0;
}

int pools_list(struct pools *p, struct pool **ret, size_t *ret_n)
{
	const struct config *c = p->m->conf;
	struct match m = { .p = p, .s = inventory_scan(p->m->inventory) };
	struct pool *list = NULL;
	size_t n = 0;
	int r = pool_things(m.s, &m.things, &m.n_things);

	if (r == 0) {
		list = calloc(m.n_things + (c ? c->n_pools : 0) + 1, sizeof(*list));
		m.owner = calloc(m.n_things + 1, sizeof(*m.owner));
		m.by = calloc(m.n_things + 1, sizeof(*m.by));
		r = list && m.owner && m.by ? fill(&m, c, list, &n) : -ENOMEM;
	}
	free(m.things);
	free(m.owner);
	free(m.by);
	if (r < 0) {
		pools_list_free(list, n);
		return r;
	}
	if (n)
		qsort(list, n, sizeof(*list), cmp_pool);
	*ret = list;
	*ret_n = n;
	return 0;
}
