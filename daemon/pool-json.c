/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pools as `vnetctl pool list` and the inventory tell them: docs/inventory.schema.json. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "daemon/pool.h"
#include "lib/json.h"

static json_t *uplink_json(struct manager *m, const struct uplink *u, int *sum_idle, int *sum_used)
{
	static const char *const kinds[] = {
		"none", "pf", "nic", "link", "bridge", "ovs", "mgmtdev"
	};
	const struct nic *pf = host_scan_nic(inventory_scan(m->inventory), &u->pf);
	json_t *j = json_object();
	char uses[REASON_MAX] = "", addr[PCI_ADDR_STR];
	bool gives = u->last >= u->first;
	int idle, used;

	inventory_count_vfs(m, u, &idle, &used);
	if (u->kind != VNET_UPLINK_PF)
		used = (int)uplink_holders(m, u);
	if (pf)
		inventory_host_uses(m->inventory, pf, uses, sizeof(uses));
	json_put_str(j, "kind", kinds[u->kind]);
	json_put_str(j, "name", u->key);
	json_put_str(j, "pf", pci_addr_str(&u->pf, addr));
	json_put_str(j, "link", u->link);
	json_put_int_or_null(j, "numaNode", u->numa_node, u->numa_node >= 0);
	json_put_int(j, "vfs", u->vfs > 0 ? u->vfs : 0);
	json_put_int(j, "totalVfs", u->total);
	json_put_int(j, "count", u->count);
	json_put_int_or_null(j, "firstVf", u->first, gives);
	json_put_int_or_null(j, "lastVf", u->last, gives);
	json_put_bool(j, "created", u->created);
	json_put_int(j, "free", idle);
	json_put_int(j, "used", used);
	json_put_str(j, "hostUses", uses);
	*sum_idle += idle;
	*sum_used += used;
	return j;
}

static void put_settings(json_t *j, const struct pool_settings *set)
{
	json_t *modes = json_array();
	char text[24];

	for (unsigned i = 0; i < set->n_modes; i++)
		json_array_append_new(modes, json_string(set->modes[i]));
	json_put(j, "modes", modes);
	model_put_vlan(j, "vlan", &set->vlan);
	snprintf(text, sizeof(text), "%02x:%02x:%02x", set->mac_prefix[0], set->mac_prefix[1],
		 set->mac_prefix[2]);
	json_put_str(j, "macPrefix", text);
	snprintf(text, sizeof(text), "%d", set->vfs);
	json_put_str(j, "vfs",
		     set->vfs == CONFIG_VFS_AUTO    ? "auto"
		     : set->vfs == CONFIG_VFS_FOUND ? "found"
						    : text);
	json_put_str(j, "placement", config_placement_str((enum config_placement)set->placement));
	json_put_str(j, "numa", config_numa_str((enum config_numa)set->numa));
	json_put_str(j, "reserve", config_reserve_str((enum config_reserve)set->reserve));
}

static json_t *pool_json(struct manager *m, const struct pool *p)
{
	json_t *j = json_object(), *uplinks = json_array(), *waiting = json_array();
	char names[REASON_MAX / 2];
	int idle = 0, used = 0, left = p->set.quota;

	for (size_t i = 0; i < p->n_uplinks; i++)
		json_array_append_new(uplinks, uplink_json(m, &p->uplinks[i], &idle, &used));
	if (left)
		left -= (int)pool_holders(m, p, NULL, names, sizeof(names));
	if (p->disabled)
		idle = 0;
	else if (p->set.quota && idle > left)
		idle = left > 0 ? left : 0;
	pool_waiting(m, p, waiting);
	json_put_str(j, "name", p->name);
	json_put_bool(j, "configured", p->configured);
	json_put_bool(j, "disabled", p->disabled);
	json_put_str(j, "problem", p->problem);
	json_put(j, "waiting", waiting);
	json_put(j, "uplinks", uplinks);
	json_put_int(j, "free", idle);
	json_put_int(j, "used", used);
	json_put_int_or_null(j, "quota", p->set.quota, p->set.quota > 0);
	put_settings(j, &p->set);
	return j;
}

json_t *pools_json(struct manager *m)
{
	json_t *a = json_array();
	const struct pool *p;

	for (size_t i = 0; m->pools && (p = pools_at(m->pools, i)); i++)
		json_array_append_new(a, pool_json(m, p));
	return a;
}

struct asked {
	struct manager *m;
	reply_fn reply;
	void *user;
};

static void asked_scanned(void *user, int r, struct vnet_err *err)
{
	struct asked *ask = user;
	json_t *result = NULL;

	if (r >= 0) {
		result = json_object();
		json_put(result, "pools", pools_json(ask->m));
	} else {
		vnet_err_wrap(err, "list the pools");
	}
	ask->reply(ask->user, r, result, err);
	free(ask);
}

void pools_run(struct manager *m, reply_fn reply, void *user)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct asked *ask = calloc(1, sizeof(*ask));

	if (!ask) {
		reply(user, vnet_err_errno(&err, -ENOMEM, "list the pools"), NULL, &err);
		return;
	}
	*ask = (struct asked){ m, reply, user };
	inventory_refresh(m->inventory, asked_scanned, ask);
}
