/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_VLAN_SET_H
#define VNETD_HOST_VLAN_SET_H
/* The VLANs of a trunk, as a value: a bit for each of 1..4094, spelled "10,20-30". */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VLAN_SET_MIN 1
#define VLAN_SET_MAX 4094

struct vlan_set {
	uint64_t bits[64];
};

/* Numbers and ranges with commas between, in any order, also over one another: at
 * least one, without blanks. -EINVAL. */
int vlan_set_parse(const char *s, struct vlan_set *ret);
/* The one spelling of a set: ascending, neighbours merged, "" for the empty one.
 * -ENOSPC where that does not fit into @buf. */
int vlan_set_str(const struct vlan_set *s, char *buf, size_t size);
/* @id must be in VLAN_SET_MIN..VLAN_SET_MAX; nothing else is ever in a set. */
void vlan_set_add(struct vlan_set *s, unsigned id);
bool vlan_set_has(const struct vlan_set *s, unsigned id);
bool vlan_set_eq(const struct vlan_set *a, const struct vlan_set *b);
/* The first run of VLANs that begins at @from or above; false where there is none.
 * All of them: for (n = 0; vlan_set_next(s, n, &first, &last); n = last + 1) */
bool vlan_set_next(const struct vlan_set *s, unsigned from, unsigned *ret_first,
		   unsigned *ret_last);
#endif
