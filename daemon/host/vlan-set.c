/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/vlan-set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A number of at most four digits that does not begin with 0: -1 otherwise. */
static int take_id(const char **s)
{
	int n = 0;

	if (**s < '1' || **s > '9')
		return -1;
	for (; **s >= '0' && **s <= '9'; (*s)++) {
		n = n * 10 + (**s - '0');
		if (n > VLAN_SET_MAX)
			return -1;
	}
	return n;
}

int vlan_set_parse(const char *s, struct vlan_set *ret)
{
	struct vlan_set set = { 0 };

	for (;; s++) {
		int first = take_id(&s), last = first;

		if (first > 0 && *s == '-') {
			s++;
			last = take_id(&s);
		}
		if (first < 0 || last < first)
			return -EINVAL;
		for (int id = first; id <= last; id++)
			vlan_set_add(&set, (unsigned)id);
		if (*s != ',')
			break;
	}
	if (*s)
		return -EINVAL;
	*ret = set;
	return 0;
}

int vlan_set_str(const struct vlan_set *s, char *buf, size_t size)
{
	unsigned first, last;
	size_t used = 0;

	if (size == 0)
		return -ENOSPC;
	buf[0] = '\0';
	for (unsigned n = 0; vlan_set_next(s, n, &first, &last); n = last + 1) {
		int len = snprintf(buf + used, size - used, first == last ? "%s%u" : "%s%u-%u",
				   used ? "," : "", first, last);

		if (len < 0 || (size_t)len >= size - used)
			return -ENOSPC;
		used += (size_t)len;
	}
	return 0;
}

void vlan_set_add(struct vlan_set *s, unsigned id)
{
	if (id >= VLAN_SET_MIN && id <= VLAN_SET_MAX)
		s->bits[id / 64] |= UINT64_C(1) << id % 64;
}

bool vlan_set_has(const struct vlan_set *s, unsigned id)
{
	return id <= VLAN_SET_MAX && (s->bits[id / 64] >> id % 64 & 1);
}

bool vlan_set_eq(const struct vlan_set *a, const struct vlan_set *b)
{
	return !memcmp(a->bits, b->bits, sizeof(a->bits));
}

bool vlan_set_next(const struct vlan_set *s, unsigned from, unsigned *ret_first, unsigned *ret_last)
{
	unsigned id = from;

	while (id <= VLAN_SET_MAX && !vlan_set_has(s, id))
		id++;
	if (id > VLAN_SET_MAX)
		return false;
	*ret_first = id;
	while (vlan_set_has(s, id + 1))
		id++;
	*ret_last = id;
	return true;
}
