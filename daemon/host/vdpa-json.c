/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker's answer about vDPA:
 *
 *	{mgmtdevs: [{name, features: "0x...", maxVqs, mac, mtu, vqp}],
 *	 devices: [{name, mgmtdev}]}
 *
 * mac, mtu and vqp: that a new device may be given one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "lib/json.h"

static json_t *mgmtdev_to_json(const struct vdpa_mgmtdev *m)
{
	json_t *o = json_object();
	char hex[24];

	snprintf(hex, sizeof(hex), "0x%llx", (unsigned long long)m->features);
	json_put_str(o, "name", m->name);
	json_put_str(o, "features", hex);
	json_put_int(o, "maxVqs", m->max_vqs);
	json_put_bool(o, "mac", m->takes_mac);
	json_put_bool(o, "mtu", m->takes_mtu);
	json_put_bool(o, "vqp", m->takes_vqp);
	return o;
}

json_t *host_mgmtdevs_to_json(const struct host_scan *s)
{
	json_t *o = json_object(), *mgmtdevs = json_array(), *devices = json_array();

	for (size_t i = 0; i < s->n_mgmtdevs; i++)
		json_array_append_new(mgmtdevs, mgmtdev_to_json(&s->mgmtdevs[i]));
	for (size_t i = 0; i < s->n_vdpas; i++) {
		json_t *d = json_object();

		json_put_str(d, "name", s->vdpas[i].name);
		json_put_str(d, "mgmtdev", s->vdpas[i].mgmtdev);
		json_array_append_new(devices, d);
	}
	json_put(o, "mgmtdevs", mgmtdevs);
	json_put(o, "devices", devices);
	return o;
}

static int mgmtdev_from_json(const json_t *j, struct vdpa_mgmtdev *m, struct vnet_err *err)
{
	int64_t vqs = -1;
	char hex[24], *end;
	int r;

	*m = (struct vdpa_mgmtdev){ 0 };
	r = json_get_str(j, "name", m->name, sizeof(m->name), err);
	if (r == 0)
		r = json_get_str(j, "features", hex, sizeof(hex), err);
	if (r == 0)
		r = json_get_int_opt(j, "maxVqs", -1, INT32_MAX, &vqs, err);
	if (r == 0)
		r = json_get_bool_opt(j, "mac", &m->takes_mac, err);
	if (r == 0)
		r = json_get_bool_opt(j, "mtu", &m->takes_mtu, err);
	if (r == 0)
		r = json_get_bool_opt(j, "vqp", &m->takes_vqp, err);
	if (r < 0)
		return r;
	errno = 0;
	m->features = strtoull(hex, &end, 16);
	if (errno || *end)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "features: '%s' is no number",
				    hex);
	m->max_vqs = (int)vqs;
	if (!strncmp(m->name, "pci/", 4))
		pci_addr_parse(m->name + 4, &m->pci);
	return 0;
}

/* A device that is not in *s was made since its scan: the next one has it. */
static int device_from_json(const json_t *j, struct host_scan *s, struct vnet_err *err)
{
	char name[VDPA_NAME_MAX], mgmtdev[VDPA_MGMTDEV_MAX];
	int r = json_get_str(j, "name", name, sizeof(name), err);

	if (r == 0)
		r = json_get_str(j, "mgmtdev", mgmtdev, sizeof(mgmtdev), err);
	for (size_t i = 0; r == 0 && i < s->n_vdpas; i++) {
		if (!strcmp(s->vdpas[i].name, name))
			memcpy(s->vdpas[i].mgmtdev, mgmtdev, sizeof(mgmtdev));
	}
	return r;
}

int host_mgmtdevs_merge_json(const json_t *j, struct host_scan *s, struct vnet_err *err)
{
	const json_t *mgmtdevs = json_object_get(j, "mgmtdevs"), *row;
	const json_t *devices = json_object_get(j, "devices");
	size_t i, n = json_array_size(mgmtdevs);
	struct vdpa_mgmtdev *all;
	int r = 0;

	if (!json_is_array(mgmtdevs) || !json_is_array(devices))
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "mgmtdevs, devices: expected arrays");
	all = calloc(n + 1, sizeof(*all));
	if (!all)
		return vnet_err_errno(err, -ENOMEM, "read vDPA management devices");
	for (i = 0; r == 0 && i < n; i++)
		r = mgmtdev_from_json(json_array_get(mgmtdevs, i), &all[i], err);
	if (r < 0) {
		free(all);
		return r;
	}
	free(s->mgmtdevs);
	s->mgmtdevs = all;
	s->n_mgmtdevs = n;
	json_array_foreach (devices, i, row) {
		r = device_from_json(row, s, err);
		if (r < 0)
			return r;
	}
	return 0;
}
