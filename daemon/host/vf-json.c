/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a PF says of its VFs, on its way from a worker: rows as nic-json.c tells. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/host/backend.h"
#include "daemon/host/row.h"
#include "lib/json.h"

static json_t *vf_to_json(const struct vf_attrs *v)
{
	char vlan[VLAN_STR];
	json_t *o = json_object();

	row_put_addr(o, "pf", &v->pf);
	json_put_int(o, "index", v->index);
	row_put_mac(o, "mac", !mac_is_zero(&v->mac), &v->mac);
	if (v->vlan.id)
		json_put_str(o, "vlan", vlan_str(&v->vlan, vlan));
	if (v->trust >= 0)
		json_put_bool(o, "trust", v->trust);
	if (v->spoofchk >= 0)
		json_put_bool(o, "spoofchk", v->spoofchk);
	row_put_int(o, "linkState", v->link_state, -1);
	row_put_int(o, "minTxMbps", v->min_tx_mbps, 0);
	row_put_int(o, "maxTxMbps", v->max_tx_mbps, 0);
	return o;
}

static void vf_from_json(struct row *row, void *ret)
{
	struct vf_attrs *v = ret;
	char vlan[VLAN_STR] = "";

	row_get_addr(row, "pf", &v->pf);
	v->index = row_get_small(row, "index", -1);
	if (v->index < 0)
		row_bad(row, "index", "none");
	row_get_mac(row, "mac", &v->mac);
	row_get_str(row, "vlan", vlan, sizeof(vlan));
	/* Some drivers accept, and report, more than there should be: 4095. */
	if (*vlan && vlan_parse_found(vlan, &v->vlan) < 0 && sscanf(vlan, "%hu", &v->vlan.id) != 1)
		row_bad(row, "vlan", vlan);
	v->trust = row_get_tristate(row, "trust");
	v->spoofchk = row_get_tristate(row, "spoofchk");
	v->link_state = row_get_small(row, "linkState", -1);
	v->min_tx_mbps = row_get_small(row, "minTxMbps", 0);
	v->max_tx_mbps = row_get_small(row, "maxTxMbps", 0);
}

json_t *host_vfs_to_json(const struct host_scan *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->n_vfs; i++)
		json_array_append_new(a, vf_to_json(&s->vfs[i]));
	return a;
}

int host_vfs_merge_json(const json_t *j, const struct pci_addr *pf, struct host_scan *s,
			struct vnet_err *err)
{
	_cleanup_free_ struct vf_attrs *rows = NULL;
	struct vf_attrs *all;
	size_t n_rows = 0, n = 0;
	int r;

	r = rows_get(j, sizeof(*rows), vf_from_json, (void **)&rows, &n_rows, err);
	if (r < 0)
		return r;
	if (!(s->n_vfs + n_rows))
		return 0;
	all = calloc(s->n_vfs + n_rows, sizeof(*all));
	if (!all)
		return vnet_err_errno(err, -ENOMEM, "read VF attributes");
	for (size_t i = 0; i < s->n_vfs; i++) {
		if (!pci_addr_eq(&s->vfs[i].pf, pf))
			all[n++] = s->vfs[i];
	}
	for (size_t i = 0; i < n_rows; i++) {
		if (pci_addr_eq(&rows[i].pf, pf))
			all[n++] = rows[i];
	}
	free(s->vfs);
	s->vfs = all;
	s->n_vfs = n;
	host_scan_sort_vfs(s);
	return 0;
}
