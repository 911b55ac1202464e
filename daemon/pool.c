/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "daemon/pool-priv.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/log.h"

int pools_new(struct pools **ret, struct manager *m, struct vnet_err *err)
{
	struct pools *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return vnet_err_errno(err, -ENOMEM, "pools");
	p->m = m;
	p->dirfd = -1;
	r = file_opendir_at(m->runtime_fd, "pools", 0700, &p->dirfd, err);
	if (r < 0) {
		pools_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct pools *pools_free(struct pools *p)
{
	struct pool_failure *f;

	if (!p)
		return NULL;
	close_fd(p->dirfd);
	pools_list_free(p->at, p->n);
	while ((f = p->failures)) {
		p->failures = f->next;
		free(f);
	}
	free(p);
	return NULL;
}

/* Each problem once, when it comes. */
static void log_problems(const struct pools *p, const struct pool *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct pool *was = NULL;

		for (size_t k = 0; k < p->n && !was; k++) {
			if (strcmp(p->at[k].name, list[i].name) == 0)
				was = &p->at[k];
		}
		if (list[i].problem[0] && (!was || strcmp(was->problem, list[i].problem) != 0))
			log_warn(list[i].name, "pool %s%s: %s", list[i].name,
				 list[i].disabled ? " is disabled" : "", list[i].problem);
	}
}

void pools_update(struct pools *p)
{
	struct pool *list;
	size_t n;

	if (pools_list(p, &list, &n) < 0)
		return; /* the list of before serves until the next scan */
	log_problems(p, list, n);
	pools_list_free(p->at, p->n);
	p->at = list;
	p->n = n;
}

const struct pool *pools_at(const struct pools *p, size_t i)
{
	return i < p->n ? &p->at[i] : NULL;
}

static bool is_called(const struct uplink *u, const char *name)
{
	return name && (strcmp(u->key, name) == 0 || (u->link[0] && strcmp(u->link, name) == 0));
}

/* Walk over all uplinks: the one at @address, or with that key or interface. */
static const struct uplink *find_uplink(const struct pools *p, const struct pci_addr *address,
					const char *name, const struct pool **ret_pool)
{
	for (size_t i = 0; i < p->n; i++) {
		for (size_t k = 0; k < p->at[i].n_uplinks; k++) {
			const struct uplink *u = &p->at[i].uplinks[k];

			if (!is_called(u, name) &&
			    !(address && u->pf.set && pci_addr_eq(&u->pf, address)))
				continue;
			if (ret_pool)
				*ret_pool = &p->at[i];
			return u;
		}
	}
	return NULL;
}

static const struct pool *by_name(const struct pools *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++) {
		if (strcmp(p->at[i].name, name) == 0)
			return &p->at[i];
	}
	return NULL;
}

const struct pool *pools_by_pf(const struct pools *p, const struct pci_addr *pf)
{
	const struct pool *pool = NULL;

	find_uplink(p, pf, NULL, &pool);
	return pool;
}

const struct uplink *pools_uplink(const struct pools *p, const struct pci_addr *pf)
{
	return find_uplink(p, pf, NULL, NULL);
}

const struct uplink *pools_find_uplink(const struct pools *p, const char *name)
{
	return by_name(p, name) ? NULL : find_uplink(p, NULL, name, NULL);
}

const struct uplink *pools_by_key(const struct pools *p, const char *key,
				  const struct pool **ret_pool)
{
	return key[0] ? find_uplink(p, NULL, key, ret_pool) : NULL;
}

const struct pool *pools_find(const struct pools *p, const char *name)
{
	const struct pool *pool = by_name(p, name);

	if (!pool)
		find_uplink(p, NULL, name, &pool);
	return pool;
}

enum config_reserve pool_reserve(const struct pool *pool)
{
	return (enum config_reserve)pool->set.reserve;
}

void pools_make_mac(const struct pools *p, const char *name, struct mac *ret)
{
	const struct pool *pool = by_name(p, name);

	if (pool)
		mac_generate_from(pool->set.mac_prefix, ret);
	else
		mac_generate(ret);
}

int pools_mark_created(struct pools *p, const struct pci_addr *pf, struct vnet_err *err)
{
	int r = pool_mark_write(p, pf, 0, err);
	struct uplink *u = r == 0 ? (struct uplink *)pools_uplink(p, pf) : NULL;

	if (u)
		u->created = true;
	return r;
}

void pools_set_failed(struct pools *p, const struct pci_addr *pf, const char *text)
{
	struct pool_failure **at = &p->failures, *f;

	while (*at && !pci_addr_eq(&(*at)->pf, pf))
		at = &(*at)->next;
	f = *at;
	if (!text) {
		if (f)
			*at = f->next;
		free(f);
		return;
	}
	if (!f)
		f = *at = calloc(1, sizeof(*f));
	if (!f)
		return; /* it was logged */
	f->pf = *pf;
	snprintf(f->text, sizeof(f->text), "%s", text);
}
