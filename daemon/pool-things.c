/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All of a host that can be an uplink of a pool, from the inventory's scan. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/pool-priv.h"

/* Interfaces that are no NIC's, by kind, which may carry others. */
static const char *const carriers[] = { "bond", "team", "vlan", "vxlan", "veth", "dummy" };
/* And of these, those that are a pool without being named. */
#define N_POOLS 3

static void of_link(struct uplink *t, const struct link *link)
{
	t->ifindex = link->ifindex;
	snprintf(t->link, sizeof(t->link), "%s", link->name);
}

/* The driver by which a VF of this PF becomes a vDPA management device: that of one which is
 * one, or of a kind that is known to. */
static void find_vdpa_driver(const struct host_scan *s, const struct nic *pf, struct uplink *ret)
{
	static const char *const makers[] = { "mlx5_core", "pds_core" };

	for (size_t i = 0; i < s->n_mgmtdevs; i++) {
		const struct vdpa_mgmtdev *d = &s->mgmtdevs[i];
		const struct nic *vf = d->pci.set ? host_scan_nic(s, &d->pci) : NULL;

		if (vf && vf->kind == NIC_VF && pci_addr_eq(&vf->pf, &pf->addr) && vf->driver[0]) {
			memcpy(ret->vdpa_driver, vf->driver, sizeof(ret->vdpa_driver));
			return;
		}
	}
	for (size_t i = 0; s->has_vdpa && i < sizeof(makers) / sizeof(*makers); i++) {
		if (strcmp(pf->driver, makers[i]) == 0)
			memcpy(ret->vdpa_driver, pf->driver, sizeof(ret->vdpa_driver));
	}
}

void pool_thing_of(const struct host_scan *s, const struct nic *nic, struct uplink *ret)
{
	const struct link *link = host_scan_nic_link(s, nic);
	struct uplink t = { .kind = VNET_UPLINK_NIC, .pf = nic->addr, .last = -1 };

	/* A PF that is itself passed through has no VFs to give. */
	if (nic->kind == NIC_PF && nic->driver[0] && nic->total_vfs > 0 &&
	    (link || nic->num_vfs > 0))
		t.kind = VNET_UPLINK_PF;
	if (t.kind == VNET_UPLINK_PF)
		find_vdpa_driver(s, nic, &t);
	pci_addr_str(&nic->addr, t.key);
	if (link)
		of_link(&t, link);
	t.numa_node = nic->numa_node;
	t.vfs = nic->num_vfs;
	t.total = nic->total_vfs;
	*ret = t;
}

static bool is_carrier(const struct link *l, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(l->kind, carriers[i]) == 0)
			return true;
	}
	return false;
}

/* An Open vSwitch bridge is an internal port of its own name; "ovs-system" is the
 * datapath itself. */
static enum vnet_plugin_uplink kind_of(const struct link *l)
{
	if (strcmp(l->kind, "bridge") == 0)
		return VNET_UPLINK_BRIDGE;
	if (strcmp(l->kind, "openvswitch") == 0 && strcmp(l->name, "ovs-system") != 0)
		return VNET_UPLINK_OVS;
	return is_carrier(l, sizeof(carriers) / sizeof(*carriers)) ? VNET_UPLINK_LINK
								   : VNET_UPLINK_NONE;
}

int pool_things(const struct host_scan *s, struct uplink **ret, size_t *ret_n)
{
	struct uplink *list = calloc(s->n_nics + s->n_links + s->n_mgmtdevs + 1, sizeof(*list));
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_nics; i++) {
		/* Of VFs only such as the host has an interface of: they can carry others. */
		if (s->nics[i].network && (s->nics[i].kind != NIC_VF || s->nics[i].n_ifindex))
			pool_thing_of(s, &s->nics[i], &list[n++]);
	}
	for (size_t i = 0; i < s->n_links; i++) {
		const struct link *l = &s->links[i];
		enum vnet_plugin_uplink kind = kind_of(l);

		if (l->pci.set || kind == VNET_UPLINK_NONE)
			continue;
		of_link(&list[n], l);
		snprintf(list[n].key, sizeof(list[n].key), "%s", l->name);
		list[n].kind = kind;
		list[n].numa_node = -1;
		list[n++].last = -1;
	}
	for (size_t i = 0; i < s->n_mgmtdevs; i++) {
		const struct vdpa_mgmtdev *d = &s->mgmtdevs[i];
		const struct nic *nic = d->pci.set ? host_scan_nic(s, &d->pci) : NULL;

		snprintf(list[n].key, sizeof(list[n].key), "%s", d->name);
		list[n].kind = VNET_UPLINK_MGMTDEV;
		list[n].numa_node = nic ? nic->numa_node : -1;
		list[n++].last = -1;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

bool pool_thing_is_pool(const struct host_scan *s, const struct uplink *t)
{
	const struct nic *nic = t->pf.set ? host_scan_nic(s, &t->pf) : NULL;
	const struct link *link = t->ifindex ? host_scan_link(s, t->ifindex) : NULL;

	switch (t->kind) {
	case VNET_UPLINK_NIC:
		return nic && nic->kind != NIC_VF;
	case VNET_UPLINK_LINK:
		return link && is_carrier(link, N_POOLS);
	default:
		return true;
	}
}
