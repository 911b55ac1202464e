/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who has what open, on its way from a worker: [{pid, comm, guest, iommuGroup, vfioDev,
 * node}]. A field with its usual value (none) is left out.
 */
#include <errno.h>
#include <stdlib.h>

#include "daemon/host/backend.h"
#include "lib/json.h"

#define HOLDERS_MAX (1u << 20)

static void put_text(json_t *o, const char *field, const char *text)
{
	if (*text)
		json_put_str(o, field, text);
}

static json_t *to_json(const struct holder *h)
{
	json_t *o = json_object();

	json_put_int(o, "pid", h->pid);
	put_text(o, "comm", h->comm);
	put_text(o, "guest", h->guest);
	put_text(o, "node", h->node);
	if (h->iommu_group >= 0)
		json_put_int(o, "iommuGroup", h->iommu_group);
	if (h->vfio_dev >= 0)
		json_put_int(o, "vfioDev", h->vfio_dev);
	return o;
}

json_t *host_holders_to_json(const struct host_scan *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->n_holders; i++)
		json_array_append_new(a, to_json(&s->holders[i]));
	return a;
}

static int from_json(const json_t *j, struct holder *h, struct vnet_err *err)
{
	int64_t pid = 0, group = -1, vfio = -1;
	int r;

	*h = (struct holder){ .iommu_group = -1, .vfio_dev = -1 };
	if (!json_is_object(j))
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "no object");
	if ((r = json_get_int_opt(j, "pid", INT32_MIN, INT32_MAX, &pid, err)) < 0 ||
	    (r = json_get_int_opt(j, "iommuGroup", -1, INT32_MAX, &group, err)) < 0 ||
	    (r = json_get_int_opt(j, "vfioDev", -1, INT32_MAX, &vfio, err)) < 0 ||
	    (r = json_get_str_opt(j, "comm", h->comm, sizeof(h->comm), err)) < 0 ||
	    (r = json_get_str_opt(j, "guest", h->guest, sizeof(h->guest), err)) < 0 ||
	    (r = json_get_str_opt(j, "node", h->node, sizeof(h->node), err)) < 0)
		return r;
	h->pid = (pid_t)pid;
	h->iommu_group = (int)group;
	h->vfio_dev = (int)vfio;
	return 0;
}

int host_holders_from_json(const json_t *j, struct host_scan *ret, struct vnet_err *err)
{
	size_t n = json_array_size(j);
	struct holder *list;
	int r = 0;

	if (!json_is_array(j) || n > HOLDERS_MAX)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "expected a list of rows");
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		return vnet_err_errno(err, -ENOMEM, "read scan");
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = from_json(json_array_get(j, i), &list[i], err);
		if (r < 0)
			vnet_err_wrap(err, "row %zu", i);
	}
	if (r < 0) {
		free(list);
		return r;
	}
	free(ret->holders);
	ret->holders = list;
	ret->n_holders = n;
	return 0;
}
