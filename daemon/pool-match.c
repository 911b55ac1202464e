/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which PF is in which pool. Configured pools claim first, in the order of their
 * files; a PF has one pool, so what a second one matches is that one's error. A pool
 * that is disabled keeps what it claims: its PFs must not be given out otherwise.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "daemon/pool-priv.h"

struct match {
	struct pools *p;
	const struct host_scan *s;
	const struct config_pool **owner; /* of s->nics, by place */
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

static bool can_serve(const struct host_scan *s, const struct nic *nic)
{
	if (nic->kind != NIC_PF || !nic->network || !nic->driver[0] || nic->total_vfs <= 0)
		return false;
	/* A PF that is itself passed through has no VFs to give. */
	return host_scan_nic_link(s, nic) || nic->num_vfs > 0;
}

static bool matches(const struct host_scan *s, const struct nic *nic, const struct config_uplink *u)
{
	const struct link *link = host_scan_nic_link(s, nic);
	char addr[PCI_ADDR_STR];
	struct pci_addr a;

	switch (u->kind) {
	case UPLINK_NAME:
		return link && fnmatch(u->word, link->name, 0) == 0;
	case UPLINK_ADDRESS:
		if (u->exact)
			return pci_addr_parse(u->word, &a) == 0 && pci_addr_eq(&a, &nic->addr);
		return fnmatch(u->word, pci_addr_str(&nic->addr, addr), 0) == 0;
	case UPLINK_MAC:
		return link && mac_eq(&u->mac, link->has_perm_mac ? &link->perm_mac : &link->mac);
	case UPLINK_DRIVER:
		return fnmatch(u->word, nic->driver, 0) == 0;
	}
	return false;
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

static int add_uplink(struct match *m, struct pool *pool, const struct nic *nic, bool named)
{
	const struct link *link = host_scan_nic_link(m->s, nic);
	struct uplink *list = reallocarray(pool->uplinks, pool->n_uplinks + 1, sizeof(*list));
	struct uplink *u;

	if (!list)
		return -ENOMEM;
	pool->uplinks = list;
	u = &list[pool->n_uplinks++];
	memset(u, 0, sizeof(*u));
	u->pf = nic->addr;
	snprintf(u->link, sizeof(u->link), "%s", link ? link->name : "");
	u->numa_node = nic->numa_node;
	u->created = pool_mark_fits(m->p, nic);
	u->named = named;
	u->vfs = nic->num_vfs;
	u->total = nic->total_vfs;
	u->count = count_of(&pool->set, nic);
	u->first = pool->set.first;
	u->last = pool->set.last < 0 || pool->set.last >= u->count ? u->count - 1 : pool->set.last;
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

		if (!nic->network || !matches(m->s, nic, word))
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
	char name[PCI_ADDR_STR];
	bool found = false;

	for (size_t i = 0; i < m->s->n_nics; i++) {
		const struct nic *nic = &m->s->nics[i];
		const struct link *link = host_scan_nic_link(m->s, nic);
		struct uplink *u = NULL;

		if (!can_serve(m->s, nic) || !matches(m->s, nic, word))
			continue;
		found = true;
		for (size_t k = 0; k < pool->n_uplinks; k++) {
			if (pci_addr_eq(&pool->uplinks[k].pf, &nic->addr))
				u = &pool->uplinks[k];
		}
		if (u) {
			u->named |= word->exact;
		} else if (m->owner[i]) {
			pool->disabled = true;
			add_problem(pool, "%s:%u: uplink %s: %s is in pool %s already (%s:%u)",
				    word->at.file, word->at.line, word->word,
				    link ? link->name : pci_addr_str(&nic->addr, name),
				    m->owner[i]->name, m->by[i]->at.file, m->by[i]->at.line);
		} else {
			m->owner[i] = cp;
			m->by[i] = word;
			if (add_uplink(m, pool, nic, word->exact) < 0)
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

		if (pool->set.vfs > u->total)
			add_problem(pool, "vfs = %d, but %s can have %d at most", pool->set.vfs,
				    uplink_name(u, name), u->total);
		for (const struct pool_failure *f = m->p->failures; f; f = f->next) {
			if (u->vfs <= 0 && pci_addr_eq(&f->pf, &u->pf))
				add_problem(pool, "%s", f->text);
		}
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
	return 0;
}

/* A PF that nobody claims is a pool by itself. */
static int implicit(struct match *m, const struct config *c, const struct nic *nic,
		    struct pool *pool)
{
	const struct link *link = host_scan_nic_link(m->s, nic);
	char addr[PCI_ADDR_STR];
	bool taken = link && c && config_pool_find(c, link->name);

	snprintf(pool->name, sizeof(pool->name), "%s",
		 link && !taken ? link->name : pci_addr_str(&nic->addr, addr));
	config_settings_default(c, &pool->set);
	if (add_uplink(m, pool, nic, true) < 0)
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
	for (size_t i = 0; i < m->s->n_nics; i++) {
		if (m->owner[i] || (c && c->incomplete) || !can_serve(m->s, &m->s->nics[i]))
			continue;
		if (implicit(m, c, &m->s->nics[i], &list[(*n)++]) < 0)
			return -ENOMEM;
	}
	return 0;
}

int pools_list(struct pools *p, struct pool **ret, size_t *ret_n)
{
	const struct config *c = p->m->conf;
	struct match m = { .p = p, .s = inventory_scan(p->m->inventory) };
	struct pool *list = calloc(m.s->n_nics + (c ? c->n_pools : 0) + 1, sizeof(*list));
	size_t n = 0;
	int r = -ENOMEM;

	m.owner = calloc(m.s->n_nics + 1, sizeof(*m.owner));
	m.by = calloc(m.s->n_nics + 1, sizeof(*m.by));
	if (list && m.owner && m.by)
		r = fill(&m, c, list, &n);
	free(m.owner);
	free(m.by);
	if (r < 0) {
		pools_list_free(list, n);
		return r;
	}
	qsort(list, n, sizeof(*list), cmp_pool);
	*ret = list;
	*ret_n = n;
	return 0;
}
