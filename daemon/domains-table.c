/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of the guests. They are keyed by UUID; their names change, and are only
 * what the table is sorted by.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/domains-priv.h"

void guest_without(struct guest *g, const char *alias)
{
	size_t kept = 0;

	for (size_t i = 0; i < g->n_hostdevs; i++) {
		struct guest_hostdev *h = &g->hostdevs[i];

		if (!alias || strcmp(h->alias, alias) == 0)
			h->live = false;
		if (h->live || h->config)
			g->hostdevs[kept++] = *h;
	}
	g->n_hostdevs = kept;
}

static int by_name(const void *a, const void *b)
{
	const struct guest *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : strcmp(x->uuid, y->uuid);
}

struct guest *table_find(const struct domains *d, const char *uuid)
{
	for (size_t i = 0; i < d->n_guests; i++) {
		if (strcasecmp(d->guests[i].uuid, uuid) == 0)
			return &d->guests[i];
	}
	return NULL;
}

const struct guest *domains_find(const struct domains *d, const char *name_or_uuid)
{
	const struct guest *g = table_find(d, name_or_uuid);

	for (size_t i = 0; !g && i < d->n_guests; i++) {
		if (strcmp(d->guests[i].name, name_or_uuid) == 0)
			g = &d->guests[i];
	}
	return g;
}

const struct guest *domains_at(const struct domains *d, size_t i)
{
	return i < d->n_guests ? &d->guests[i] : NULL;
}

int table_put(struct domains *d, struct guest *g, struct vnet_err *err)
{
	struct guest *old = table_find(d, g->uuid), *more;

	if (!old) {
		more = reallocarray(d->guests, d->n_guests + 1, sizeof(*more));
		if (!more)
			return vnet_err_errno(err, -ENOMEM, "keep guest %s", g->name);
		d->guests = more;
		old = &more[d->n_guests++];
		memset(old, 0, sizeof(*old));
	}
	guest_done(old);
	*old = *g;
	memset(g, 0, sizeof(*g));
	qsort(d->guests, d->n_guests, sizeof(*d->guests), by_name);
	return 0;
}

void table_remove(struct domains *d, const char *uuid)
{
	struct guest *g = table_find(d, uuid);

	if (!g)
		return;
	guest_done(g);
	d->n_guests--;
	memmove(g, g + 1, (size_t)(d->guests + d->n_guests - g) * sizeof(*g));
}

void table_off(struct domains *d, const char *uuid)
{
	struct guest *g = table_find(d, uuid);

	if (!g)
		return;
	g->active = g->starting = false;
	guest_without(g, NULL);
	g->n_nics = 0; /* the persistent ones come with the read */
}
