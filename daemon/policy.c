/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/policy.h"
#include "lib/cleanup.h"

/* A group with thousands of members needs more than the usual buffer, not more than this. */
#define GROUP_BUFFER_MAX (1024u * 1024)

static bool group_id(const char *name, gid_t *ret)
{
	for (size_t size = 1024; size <= GROUP_BUFFER_MAX; size *= 4) {
		_cleanup_free_ char *buf = malloc(size);
		struct group gr, *found = NULL;
		int r;

		if (!buf)
			return false;
		do
			r = getgrnam_r(name, &gr, buf, size, &found);
		while (r == EINTR);
		if (r == ERANGE)
			continue;
		if (r || !found)
			return false;
		*ret = found->gr_gid;
		return true;
	}
	return false;
}

void policy_resolve(struct policy_ids *ret)
{
	*ret = (struct policy_ids){ .self = geteuid() };
	ret->has_look = group_id(POLICY_GROUP_LOOK, &ret->look);
	ret->has_change = group_id(POLICY_GROUP_CHANGE, &ret->change);
}

static bool is_member(const struct peer *peer, gid_t gid)
{
	if (peer->gid == gid)
		return true;
	for (size_t i = 0; i < peer->n_groups; i++) {
		if (peer->groups[i] == gid)
			return true;
	}
	return false;
}

static bool is_owner(const struct peer *peer, uid_t self)
{
	return peer->uid == 0 || peer->uid == self;
}

bool policy_allows(const struct policy_ids *ids, const struct peer *peer, enum access access)
{
	if (is_owner(peer, ids->self))
		return true;
	if (access == ACCESS_ROOT)
		return false;
	if (ids->has_change && is_member(peer, ids->change))
		return true;
	return access == ACCESS_LOOK && ids->has_look && is_member(peer, ids->look);
}

int policy_check(const struct peer *peer, enum access access, const char *method,
		 struct vnet_err *err)
{
	struct policy_ids ids;

	/* The common case asks no name service, which might be slow. */
	if (is_owner(peer, geteuid()))
		return 0;
	policy_resolve(&ids);
	if (policy_allows(&ids, peer, access))
		return 0;
	if (access == ACCESS_ROOT)
		return vnet_err_set(err, -EACCES, VNET_E_DENIED,
				    "%s: uid %u (pid %d) may not speak for libvirt: only root may",
				    method, (unsigned)peer->uid, (int)peer->pid);
	return vnet_err_set(err, -EACCES, VNET_E_DENIED,
			    "%s: uid %u (pid %d) may not %s: be root or a member of group %s "
			    "(usermod -aG %s USER, then log in again)",
			    method, (unsigned)peer->uid, (int)peer->pid,
			    access == ACCESS_CHANGE ? "change anything" : "look",
			    access == ACCESS_CHANGE ? POLICY_GROUP_CHANGE
						    : POLICY_GROUP_LOOK " or " POLICY_GROUP_CHANGE,
			    access == ACCESS_CHANGE ? POLICY_GROUP_CHANGE : POLICY_GROUP_LOOK);
}
