/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/netdev.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As dev_valid_name() has it. */
bool is_ifname(const char *name)
{
	if (!*name || strlen(name) >= IF_NAMESIZE || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++) {
		if (*name == '/' || *name == ':' || isspace((unsigned char)*name))
			return false;
	}
	return true;
}

bool port_vlans_add(struct port_vlans *v, unsigned first, unsigned last)
{
	struct vlan_range *r = v->range;
	unsigned i, j;

	if (first < 1 || first > last || last > VLAN_MAX)
		return false;
	/* What it touches is from i up to j, and becomes part of it. */
	for (i = 0; i < v->n && r[i].last + 1u < first; i++)
		;
	for (j = i; j < v->n && r[j].first <= last + 1; j++) {
		first = r[j].first < first ? r[j].first : first;
		last = r[j].last > last ? r[j].last : last;
	}
	if (i == j && v->n == VLAN_RANGES_MAX)
		return false;
	memmove(&r[i + 1], &r[j], (v->n - j) * sizeof(*r));
	v->n = v->n - (j - i) + 1;
	r[i] = (struct vlan_range){ (uint16_t)first, (uint16_t)last };
	return true;
}

bool port_vlans_eq(const struct port_vlans *a, const struct port_vlans *b)
{
	return !a->odd && !b->odd && a->pvid == b->pvid && a->n == b->n &&
	       !memcmp(a->range, b->range, a->n * sizeof(a->range[0]));
}

static bool read_id(const char **s, unsigned *ret)
{
	unsigned long n;
	char *end;

	if (!isdigit((unsigned char)**s))
		return false;
	n = strtoul(*s, &end, 10);
	*s = end;
	*ret = (unsigned)n;
	return n <= VLAN_MAX;
}

bool vlan_ranges_parse(const char *s, struct port_vlans *ret)
{
	unsigned first, last;

	for (;; s++) {
		if (!read_id(&s, &first))
			return false;
		last = first;
		if (*s == '-' && (s++, !read_id(&s, &last)))
			return false;
		if (!port_vlans_add(ret, first, last))
			return false;
		if (*s != ',')
			return !*s;
	}
}

bool vlan_ranges_str(const struct port_vlans *v, char *ret, size_t size)
{
	size_t n = 0;

	*ret = '\0';
	for (unsigned i = 0; i < v->n && n < size; i++) {
		const struct vlan_range *r = &v->range[i];

		n += (size_t)snprintf(ret + n, size - n, "%s%u", i ? "," : "", r->first);
		if (n < size && r->last > r->first)
			n += (size_t)snprintf(ret + n, size - n, "-%u", r->last);
	}
	return n < size;
}
