/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/inventory-parts.h"

#include <syslog.h>

#include "lib/json.h"
#include "lib/log.h"

bool part_is_pf(const struct nic *n)
{
	return n->kind == NIC_PF && n->network && n->num_vfs > 0;
}

/* Of a PF that is down the kernel announces nothing that is set for its VFs. */
bool parts_announced(const struct host_scan *s)
{
	for (size_t i = 0; i < s->n_nics; i++) {
		const struct nic *n = &s->nics[i];
		const struct link *l = part_is_pf(n) ? host_scan_nic_link(s, n) : NULL;

		if (part_is_pf(n) && (!l || !l->up))
			return false;
	}
	return true;
}

void part_keep_vfs(const struct host_scan *old, const struct pci_addr *pf, struct host_scan *fresh)
{
	struct host_scan part = { 0 };
	_cleanup_json_ json_t *rows = NULL;
	struct vnet_err err = VNET_ERR_INIT;

	for (size_t i = 0; i < old->n_vfs; i++) {
		if (!pci_addr_eq(&old->vfs[i].pf, pf))
			continue;
		if (part.n_vfs++ == 0)
			part.vfs = &old->vfs[i];
	}
	if (!part.n_vfs)
		return;
	rows = host_vfs_to_json(&part); /* part borrows, so it is not freed */
	if (host_vfs_merge_json(rows, pf, fresh, &err) < 0)
		log_err(LOG_DEBUG, NULL, &err, "old VF attributes not kept");
}

void part_keep_mgmtdevs(const struct host_scan *old, struct host_scan *fresh)
{
	_cleanup_json_ json_t *all = host_mgmtdevs_to_json(old);
	struct vnet_err err = VNET_ERR_INIT;

	if (host_mgmtdevs_merge_json(all, fresh, &err) < 0)
		log_err(LOG_DEBUG, NULL, &err, "old vDPA management devices not kept");
}
