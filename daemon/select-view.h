/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_SELECT_VIEW_H
#define VNETD_SELECT_VIEW_H
/* A candidate as a plugin sees it, with room for its strings. */
#include "daemon/domains.h"
#include "daemon/plugin.h"
#include "daemon/pool.h"

#define MEMBERS_MAX 64

struct view {
	struct vnet_plugin_nic nic;
	struct vnet_plugin_request request;
	struct vnet_plugin_member member[MEMBERS_MAX];
	char member_addr[MEMBERS_MAX][PCI_ADDR_STR];
	char pf[PCI_ADDR_STR], vf[PCI_ADDR_STR], vf_object[VF_OBJECT_STR];
	char in_use[REASON_MAX], host_use[REASON_MAX], mac[MAC_STR], vlan[VLAN_STR];
	char vf_mgmtdev[VDPA_MGMTDEV_MAX];
	char claim[IF_NAMESIZE], claim_id[UUID_STR + NIC_NAME_MAX], claim_path[DEVICE_MAX];
};

/* Stands in for what the configuration took away meanwhile; a view points into it. */
struct stand_in {
	struct pool pool;
	struct uplink uplink;
};

/* What is offered: of which pool and uplink (NULL: of none), as what. */
struct offer {
	const struct pool *pool;
	const struct uplink *uplink;
	enum vnet_plugin_candidate kind;
	int vf_index; /* of VNET_CANDIDATE_VF, else -1 */
};

/* @self: the attachment it is for, or NULL; its own claim does not count as in use. */
void view_make(struct view *v, struct manager *m, const struct offer *o,
	       const struct vnet_request *r, const struct vnet_attachment *self,
	       const struct guest *guest);
#endif
