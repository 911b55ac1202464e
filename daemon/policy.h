/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_POLICY_H
#define VNETD_POLICY_H
/*
 * Who may call what. The socket is open to everybody (0666), so that a refusal can
 * say why; closed by default: each method needs one of these.
 *
 * LOOK:   root, group vnet, group vnet-admin
 * CHANGE: root, group vnet-admin
 * ROOT:   root (libvirt's hook)
 *
 * A daemon that does not run as root (development, --root) gives its own user all.
 */
#include <stdbool.h>

#include "daemon/server.h"
#include "lib/err.h"

#define POLICY_GROUP_LOOK "vnet"
#define POLICY_GROUP_CHANGE "vnet-admin"

enum access { ACCESS_LOOK, ACCESS_CHANGE, ACCESS_ROOT };

/* The names above as ids; a group that does not exist has no members. */
struct policy_ids {
	uid_t self; /* the daemon's */
	bool has_look, has_change;
	gid_t look, change;
};

/* Asked for each call, so that a group made later counts at once. */
void policy_resolve(struct policy_ids *ret);
bool policy_allows(const struct policy_ids *ids, const struct peer *peer, enum access access);
/* 0, or -EACCES with VNET_E_DENIED saying which group opens @method. */
int policy_check(const struct peer *peer, enum access access, const char *method,
		 struct vnet_err *err);
#endif
