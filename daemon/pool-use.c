/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a pool has left, by the ledger and the inventory, and what it keeps back. */
#include <stdio.h>
#include <string.h>

#include "daemon/attachment.h"
#include "daemon/domains.h"
#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "daemon/pool.h"

unsigned uplink_free(const struct manager *m, const struct uplink *u)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	unsigned free_vfs = 0;

	for (int i = u->first; i <= u->last; i++) {
		const struct nic *vf = host_scan_vf(s, &u->pf, (unsigned)i);
		char why[REASON_MAX] = "";

		if (m->attachments && attachments_holder(m->attachments, &u->pf, i))
			continue;
		if (vf)
			inventory_in_use(m->inventory, vf, why, sizeof(why));
		free_vfs += !why[0];
	}
	return free_vfs;
}

/* By its PF, where it has one: pools may be named and cut anew while it runs. */
static bool is_of(const struct manager *m, const struct pool *pool, const struct vnet_attachment *a)
{
	const struct pool *of = NULL;

	pools_by_key(m->pools, a->uplink, &of);
	if (!of && a->pf.set)
		of = pools_by_pf(m->pools, &a->pf);
	return of ? of == pool : strcmp(a->pool, pool->name) == 0;
}

static void add_name(char *names, size_t size, const char *name)
{
	size_t n = strlen(names);

	if (n + 4 < size)
		snprintf(names + n, size - n, "%s%s", n ? ", " : "", name);
}

unsigned uplink_holders(const struct manager *m, const struct uplink *u)
{
	const struct vnet_attachment *a;
	struct vnet_attachment reserved;
	unsigned n = 0;

	for (size_t i = 0; m->attachments && (a = attachments_at(m->attachments, i)); i++)
		n += a->state != AT_GONE && strcmp(a->uplink, u->key) == 0;
	for (size_t i = 0; m->attachments && reserved_at(m->attachments, i, &reserved); i++)
		n += strcmp(reserved.uplink, u->key) == 0;
	return n;
}

unsigned pool_holders(const struct manager *m, const struct pool *pool,
		      const struct vnet_attachment *self, char *ret_names, size_t size)
{
	const struct vnet_attachment *a;
	struct vnet_attachment reserved;
	char id[ATTACHMENT_ID_MAX];
	unsigned n = 0;

	ret_names[0] = '\0';
	for (size_t i = 0; m->attachments && (a = attachments_at(m->attachments, i)); i++) {
		if (a == self || a->state == AT_GONE || !is_of(m, pool, a))
			continue;
		add_name(ret_names, size, model_attachment_id(a, id));
		n++;
	}
	for (size_t i = 0; m->attachments && pool_reserve(pool) == RESERVE_ALWAYS &&
			   reserved_at(m->attachments, i, &reserved);
	     i++) {
		if (!is_of(m, pool, &reserved))
			continue;
		add_name(ret_names, size, model_attachment_id(&reserved, id));
		n++;
	}
	return n;
}

void pool_refuses(const struct manager *m, const struct pool *pool,
		  const struct vnet_attachment *self, char *ret, size_t size)
{
	char names[REASON_MAX / 2];
	int span = 0, others = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < pool->n_uplinks; i++) {
		span += pool->uplinks[i].last - pool->uplinks[i].first + 1;
		others += pool->uplinks[i].kind != VNET_UPLINK_PF || pool->set.n_modes > 1;
	}
	if (pool->disabled)
		snprintf(ret, size, "pool %s is disabled: %s", pool->name, pool->problem);
	else if (pool->n_uplinks == 0)
		snprintf(ret, size, "pool %s has no uplink here: %s", pool->name, pool->problem);
	else if (span <= 0 && !others)
		snprintf(ret, size,
			 "pool %s has no VFs to give: vfs and range of its configuration, and the "
			 "VFs that there are, leave none",
			 pool->name);
	else if (pool->set.quota &&
		 pool_holders(m, pool, self, names, sizeof(names)) >= (unsigned)pool->set.quota)
		snprintf(ret, size, "pool %s: its quota of %d is reached: %s", pool->name,
			 pool->set.quota, names);
}

void uplink_refuses(const struct pool *pool, const struct uplink *u, enum vnet_plugin_candidate as,
		    const struct guest *guest, char *ret, size_t size)
{
	char addr[PCI_ADDR_STR], where[48] = "an unknown node";

	ret[0] = '\0';
	if (as == VNET_CANDIDATE_VF && u->last < u->first)
		snprintf(ret, size,
			 "pool %s: %s has no VFs to give: vfs = %s, and the range of the pool, "
			 "leave none",
			 pool->name, u->link[0] ? u->link : pci_addr_str(&u->pf, addr),
			 pool->set.vfs == CONFIG_VFS_FOUND ? "found" : "those that there are");
	if (ret[0] || pool->set.numa != NUMA_STRICT || !guest || guest->numa_node < 0 ||
	    u->numa_node == guest->numa_node)
		return;
	if (u->numa_node >= 0)
		snprintf(where, sizeof(where), "node %d", u->numa_node);
	snprintf(ret, size, "pool %s: numa = strict: %s is on %s, and guest %s is bound to node %d",
		 pool->name, u->link[0] ? u->link : pci_addr_str(&u->pf, addr), where, guest->name,
		 guest->numa_node);
}

/* ---- what has to wait ---- */

static void wait_for_count(const struct manager *m, const struct pool *pool, const struct uplink *u,
			   json_t *texts)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	char addr[PCI_ADDR_STR], names[REASON_MAX / 2] = "";
	int used = 0, wanted = pool->set.vfs < u->total ? pool->set.vfs : u->total;

	if (pool->set.vfs <= 0 || u->vfs <= 0 || u->vfs == wanted)
		return;
	for (int i = 0; i < u->vfs; i++) {
		const struct nic *vf = host_scan_vf(s, &u->pf, (unsigned)i);
		struct held held;

		if (!vf || !inventory_holder(m, vf, &held))
			continue;
		add_name(names, sizeof(names), held.name[0] ? held.name : "somebody");
		used++;
	}
	json_array_append_new(
		texts,
		json_sprintf(
			"pool %s: vfs = %d has to wait: %s has %d VFs, %d of them in use%s%s%s; "
			"it takes effect at the next boot, or when all are free and were "
			"removed by hand (sriov_numvfs)",
			pool->name, pool->set.vfs,
			u->link[0] ? u->link : pci_addr_str(&u->pf, addr), u->vfs, used,
			names[0] ? " (" : "", names, names[0] ? ")" : ""));
}

/* What an attachment has that its pool would not give now. */
static void wait_for_holder(const struct manager *m, const struct pool *pool,
			    const struct vnet_attachment *a, json_t *texts)
{
	const struct uplink *u = pools_uplink(m->pools, &a->pf);
	char id[ATTACHMENT_ID_MAX], is[VLAN_STR], will[VLAN_STR];
	const struct vlan *vlan = &pool->set.vlan;

	model_attachment_id(a, id);
	if (strcmp(a->pool, pool->name) != 0)
		json_array_append_new(texts,
				      json_sprintf("pool %s: %s has a VF that it got from pool %s, "
						   "until it is detached",
						   pool->name, id, a->pool));
	if (u && a->vf_index >= 0 && (a->vf_index < u->first || a->vf_index > u->last))
		json_array_append_new(texts,
				      json_sprintf("pool %s: range has to wait: %s has VF %d until "
						   "it is detached",
						   pool->name, id, a->vf_index));
	if (!a->asked.vlan.id && (a->vlan.id != vlan->id || a->vlan.qos != vlan->qos ||
				  (vlan->id && a->vlan.proto != vlan->proto)))
		json_array_append_new(
			texts, json_sprintf("pool %s: vlan = %s has to wait: %s has %s until "
					    "it is detached",
					    pool->name, vlan->id ? vlan_str(vlan, will) : "none",
					    id, a->vlan.id ? vlan_str(&a->vlan, is) : "none"));
}

void pool_waiting(const struct manager *m, const struct pool *pool, json_t *texts)
{
	const struct vnet_attachment *a;
	char names[REASON_MAX / 2];
	unsigned n;

	if (pool->disabled)
		return;
	n = pool_holders(m, pool, NULL, names, sizeof(names));
	if (pool->set.quota && n > (unsigned)pool->set.quota)
		json_array_append_new(
			texts, json_sprintf("pool %s: quota = %d has to wait: %u are in use (%s)",
					    pool->name, pool->set.quota, n, names));
	for (size_t i = 0; i < pool->n_uplinks; i++)
		wait_for_count(m, pool, &pool->uplinks[i], texts);
	for (size_t i = 0; m->attachments && (a = attachments_at(m->attachments, i)); i++) {
		if (a->state != AT_GONE && is_of(m, pool, a))
			wait_for_holder(m, pool, a, texts);
	}
}
