/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A scan on its way from a worker, and in a captured host's nic.json. Field names
 * are these structs' own; a field with its usual value (unknown, none, 0, false)
 * is left out, so that 4096 VFs make a small message:
 *
 * links: [{ifindex, name, kind, mac, permMac, up, carrier, mtu, master, lower, pci,
 *	    addresses, routes, tapPersistent, vlanFiltering, passthru}]
 * vfs:	  [{pf, index, mac, vlan: "100 qos 3", trust, spoofchk, linkState, minTxMbps,
 *	    maxTxMbps}]
 * nics:  {nics: [{addr, kind, network, class, vendor, device, subvendor, subdevice,
 *	    vendorName, deviceName, driver, driverOverride, iommuGroup, numaNode,
 *	    bridge, flr, ari, acs, msixVectors, resetMethod, totalVfs, numVfs, vfsId,
 *	    autoprobe, pf, vfIndex, vfioDev, ifindex: []}],
 *	   links,
 *	   holders: [{pid, comm, guest, iommuGroup, vfioDev, node}],
 *	   vdpas: [{name, mgmtdev, driver, chardev, pci}], hasVdpa,
 *	   iommufd, vfioPci, intrRemap, unsafeInterrupts}
 *
 * A VF of nics that names no class is described as the first VF of its PF is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "daemon/host/row.h"
#include "lib/json.h"

/* ---- interfaces ---- */

static json_t *link_to_json(const struct link *l)
{
	json_t *o = json_object();

	json_put_int(o, "ifindex", l->ifindex);
	row_put_str(o, "name", l->name);
	row_put_str(o, "kind", l->kind);
	row_put_mac(o, "mac", l->has_mac, &l->mac);
	row_put_mac(o, "permMac", l->has_perm_mac, &l->perm_mac);
	row_put_bool(o, "up", l->up);
	row_put_bool(o, "carrier", l->carrier);
	row_put_int(o, "mtu", l->mtu, 0);
	row_put_int(o, "master", l->master, 0);
	row_put_int(o, "lower", l->lower, 0);
	row_put_addr(o, "pci", &l->pci);
	row_put_int(o, "addresses", l->addresses, 0);
	row_put_int(o, "routes", l->routes, 0);
	row_put_bool(o, "tapPersistent", l->tap_persistent);
	row_put_bool(o, "vlanFiltering", l->vlan_filtering);
	row_put_bool(o, "passthru", l->passthru);
	return o;
}

static void link_from_json(struct row *row, void *ret)
{
	struct link *l = ret;

	l->ifindex = row_get_small(row, "ifindex", 0);
	if (l->ifindex <= 0)
		row_bad(row, "ifindex", "none");
	row_get_str(row, "name", l->name, sizeof(l->name));
	row_get_str(row, "kind", l->kind, sizeof(l->kind));
	l->has_mac = row_get_mac(row, "mac", &l->mac);
	l->has_perm_mac = row_get_mac(row, "permMac", &l->perm_mac);
	l->up = row_get_bool(row, "up");
	l->carrier = row_get_bool(row, "carrier");
	l->mtu = row_get_small(row, "mtu", 0);
	l->master = row_get_small(row, "master", 0);
	l->lower = row_get_small(row, "lower", 0);
	row_get_addr(row, "pci", &l->pci);
	l->addresses = row_get_small(row, "addresses", 0);
	l->routes = row_get_small(row, "routes", 0);
	l->tap_persistent = row_get_bool(row, "tapPersistent");
	l->vlan_filtering = row_get_bool(row, "vlanFiltering");
	l->passthru = row_get_bool(row, "passthru");
}

json_t *host_links_to_json(const struct host_scan *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->n_links; i++)
		json_array_append_new(a, link_to_json(&s->links[i]));
	return a;
}

int host_links_from_json(const json_t *j, struct host_scan *ret, struct vnet_err *err)
{
	struct link *links = NULL;
	size_t n = 0;
	int r;

	r = rows_get(j, sizeof(*links), link_from_json, (void **)&links, &n, err);
	if (r < 0) {
		free(links);
		return r;
	}
	free(ret->links);
	ret->links = links;
	ret->n_links = n;
	return host_scan_sort(ret) < 0 ? vnet_err_errno(err, -ENOMEM, "read links") : 0;
}

/* ---- functions ---- */

static void put_interfaces(json_t *o, const struct nic *n)
{
	json_t *a;

	if (!n->n_ifindex)
		return;
	a = json_array();
	for (unsigned i = 0; i < n->n_ifindex; i++)
		json_array_append_new(a, json_integer(n->ifindex[i]));
	json_put(o, "ifindex", a);
}

static void put_description(json_t *o, const struct nic *n)
{
	row_put_bool(o, "network", n->network);
	row_put_int(o, "class", n->class, 0);
	row_put_int(o, "vendor", n->vendor, 0);
	row_put_int(o, "device", n->device, 0);
	row_put_int(o, "subvendor", n->subvendor, 0);
	row_put_int(o, "subdevice", n->subdevice, 0);
	row_put_str(o, "vendorName", n->vendor_name);
	row_put_str(o, "deviceName", n->device_name);
	row_put_int(o, "numaNode", n->numa_node, -1);
	row_put_int(o, "flr", n->flr, -1);
	row_put_int(o, "ari", n->ari, -1);
	row_put_int(o, "acs", n->acs, -1);
	row_put_int(o, "msixVectors", n->msix_vectors, -1);
	row_put_str(o, "resetMethod", n->reset_method);
}

static const struct nic *first_vf(const struct host_scan *s, const struct nic *n)
{
	return n->kind == NIC_VF && n->vf_index > 0 ? host_scan_vf(s, &n->pf, 0) : NULL;
}

static json_t *nic_to_json(const struct host_scan *s, const struct nic *n)
{
	const struct nic *first = first_vf(s, n);
	json_t *o = json_object();

	row_put_addr(o, "addr", &n->addr);
	json_put_str(o, "kind", nic_kind_str(n->kind));
	if (!first || !first->class || !nic_is_like(n, first))
		put_description(o, n);
	row_put_str(o, "driver", n->driver);
	row_put_str(o, "driverOverride", n->driver_override);
	row_put_int(o, "iommuGroup", n->iommu_group, -1);
	row_put_bool(o, "bridge", n->bridge);
	row_put_int(o, "totalVfs", n->total_vfs, 0);
	row_put_int(o, "numVfs", n->num_vfs, 0);
	row_put_int(o, "vfsId", (int64_t)n->vfs_id, 0);
	row_put_int(o, "autoprobe", n->autoprobe, -1);
	row_put_addr(o, "pf", &n->pf);
	row_put_int(o, "vfIndex", n->vf_index, -1);
	row_put_int(o, "vfioDev", n->vfio_dev, -1);
	put_interfaces(o, n);
	return o;
}

static void get_interfaces(struct row *row, struct nic *n)
{
	const json_t *a = json_object_get(row->o, "ifindex"), *v;
	size_t i;

	json_array_foreach (a, i, v) {
		if (i == ARRAY_SIZE(n->ifindex))
			break;
		n->ifindex[n->n_ifindex++] = (int)json_integer_value(v);
	}
}

static void nic_from_json(struct row *row, void *ret)
{
	struct nic *n = ret;
	char kind[16] = "";

	*n = nic_unknown(&(struct pci_addr){ 0 });
	row_get_addr(row, "addr", &n->addr);
	row_get_str(row, "kind", kind, sizeof(kind));
	if (nic_kind_from(kind, &n->kind) < 0)
		row_bad(row, "kind", kind);
	n->network = row_get_bool(row, "network");
	n->class = (uint32_t)row_get_int(row, "class", 0, 0, 0xffffff);
	n->vendor = row_get_u16(row, "vendor");
	n->device = row_get_u16(row, "device");
	n->subvendor = row_get_u16(row, "subvendor");
	n->subdevice = row_get_u16(row, "subdevice");
	n->vendor_name = row_get_name(row, "vendorName");
	n->device_name = row_get_name(row, "deviceName");
	row_get_str(row, "driver", n->driver, sizeof(n->driver));
	row_get_str(row, "driverOverride", n->driver_override, sizeof(n->driver_override));
	n->iommu_group = row_get_small(row, "iommuGroup", -1);
	n->numa_node = row_get_small(row, "numaNode", -1);
	n->bridge = row_get_bool(row, "bridge");
	n->flr = row_get_small(row, "flr", -1);
	n->ari = row_get_small(row, "ari", -1);
	n->acs = row_get_small(row, "acs", -1);
	n->msix_vectors = row_get_small(row, "msixVectors", -1);
	row_get_str(row, "resetMethod", n->reset_method, sizeof(n->reset_method));
	n->total_vfs = row_get_small(row, "totalVfs", 0);
	n->num_vfs = row_get_small(row, "numVfs", 0);
	n->vfs_id = (uint64_t)row_get_int(row, "vfsId", 0, 0, INT64_MAX);
	n->autoprobe = row_get_small(row, "autoprobe", -1);
	row_get_addr(row, "pf", &n->pf);
	n->vf_index = row_get_small(row, "vfIndex", -1);
	n->vfio_dev = row_get_small(row, "vfioDev", -1);
	get_interfaces(row, n);
}

/* Of a table in its order. */
static void describe_like_first(struct host_scan *s)
{
	for (size_t i = 0; i < s->n_nics; i++) {
		const struct nic *first = first_vf(s, &s->nics[i]);

		if (first && !s->nics[i].class && !s->nics[i].vendor_name &&
		    !s->nics[i].device_name)
			nic_describe_like(&s->nics[i], first);
	}
}

static json_t *holder_to_json(const struct holder *h)
{
	json_t *o = json_object();

	json_put_int(o, "pid", h->pid);
	row_put_str(o, "comm", h->comm);
	row_put_str(o, "guest", h->guest);
	row_put_int(o, "iommuGroup", h->iommu_group, -1);
	row_put_int(o, "vfioDev", h->vfio_dev, -1);
	row_put_str(o, "node", h->node);
	return o;
}

static void holder_from_json(struct row *row, void *ret)
{
	struct holder *h = ret;

	h->pid = row_get_small(row, "pid", 0);
	row_get_str(row, "comm", h->comm, sizeof(h->comm));
	row_get_str(row, "guest", h->guest, sizeof(h->guest));
	h->iommu_group = row_get_small(row, "iommuGroup", -1);
	h->vfio_dev = row_get_small(row, "vfioDev", -1);
	row_get_str(row, "node", h->node, sizeof(h->node));
}

static json_t *vdpa_to_json(const struct vdpa_dev *v)
{
	json_t *o = json_object();

	row_put_str(o, "name", v->name);
	row_put_str(o, "mgmtdev", v->mgmtdev);
	row_put_str(o, "driver", v->driver);
	row_put_str(o, "chardev", v->chardev);
	row_put_addr(o, "pci", &v->pci);
	return o;
}

static void vdpa_from_json(struct row *row, void *ret)
{
	struct vdpa_dev *v = ret;

	row_get_str(row, "name", v->name, sizeof(v->name));
	row_get_str(row, "mgmtdev", v->mgmtdev, sizeof(v->mgmtdev));
	row_get_str(row, "driver", v->driver, sizeof(v->driver));
	row_get_str(row, "chardev", v->chardev, sizeof(v->chardev));
	row_get_addr(row, "pci", &v->pci);
}

json_t *host_holders_to_json(const struct host_scan *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->n_holders; i++)
		json_array_append_new(a, holder_to_json(&s->holders[i]));
	return a;
}

int host_holders_from_json(const json_t *j, struct host_scan *ret, struct vnet_err *err)
{
	struct holder *holders = NULL;
	size_t n = 0;
	int r;

	r = rows_get(j, sizeof(*holders), holder_from_json, (void **)&holders, &n, err);
	if (r < 0) {
		free(holders);
		return r;
	}
	free(ret->holders);
	ret->holders = holders;
	ret->n_holders = n;
	return 0;
}

json_t *host_nics_to_json(const struct host_scan *s)
{
	json_t *o = json_object(), *nics = json_array(), *vdpas = json_array();

	for (size_t i = 0; i < s->n_nics; i++)
		json_array_append_new(nics, nic_to_json(s, &s->nics[i]));
	for (size_t i = 0; i < s->n_vdpas; i++)
		json_array_append_new(vdpas, vdpa_to_json(&s->vdpas[i]));
	json_put(o, "nics", nics);
	json_put(o, "links", host_links_to_json(s));
	json_put(o, "holders", host_holders_to_json(s));
	json_put(o, "vdpas", vdpas);
	json_put_bool(o, "hasVdpa", s->has_vdpa);
	json_put_bool(o, "iommufd", s->has_iommufd);
	json_put_bool(o, "vfioPci", s->has_vfio_pci);
	json_put_bool(o, "tun", s->has_tun);
	json_put_bool(o, "vhostNet", s->has_vhost_net);
	json_put_bool(o, "vhostVdpa", s->has_vhost_vdpa);
	json_put_int(o, "intrRemap", s->intr_remap);
	json_put_bool(o, "unsafeInterrupts", s->unsafe_interrupts);
	return o;
}

int host_nics_from_json(const json_t *j, struct host_scan *ret, struct vnet_err *err)
{
	struct row row = { .o = j, .err = err };
	struct host_scan s = { 0 };
	int r;

	r = rows_get(json_object_get(j, "nics"), sizeof(*s.nics), nic_from_json, (void **)&s.nics,
		     &s.n_nics, err);
	if (r == 0)
		r = rows_get(json_object_get(j, "links"), sizeof(*s.links), link_from_json,
			     (void **)&s.links, &s.n_links, err);
	if (r == 0)
		r = host_holders_from_json(json_object_get(j, "holders"), &s, err);
	if (r == 0)
		r = rows_get(json_object_get(j, "vdpas"), sizeof(*s.vdpas), vdpa_from_json,
			     (void **)&s.vdpas, &s.n_vdpas, err);
	s.has_vdpa = row_get_bool(&row, "hasVdpa");
	s.has_iommufd = row_get_bool(&row, "iommufd");
	s.has_vfio_pci = row_get_bool(&row, "vfioPci");
	s.has_tun = row_get_bool(&row, "tun");
	s.has_vhost_net = row_get_bool(&row, "vhostNet");
	s.has_vhost_vdpa = row_get_bool(&row, "vhostVdpa");
	s.intr_remap = row_get_small(&row, "intrRemap", -1);
	s.unsafe_interrupts = row_get_bool(&row, "unsafeInterrupts");
	if (r == 0)
		r = row.r;
	if (r == 0 && host_scan_sort(&s) < 0)
		r = vnet_err_errno(err, -ENOMEM, "read scan");
	if (r < 0) {
		host_scan_done(&s);
		return r;
	}
	describe_like_first(&s);
	/* The other parts stay with *ret. */
	s.vfs = take_ptr(ret->vfs);
	s.n_vfs = ret->n_vfs;
	s.mgmtdevs = take_ptr(ret->mgmtdevs);
	s.n_mgmtdevs = ret->n_mgmtdevs;
	host_scan_done(ret);
	*ret = s;
	return 0;
}
