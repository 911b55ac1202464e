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
 *	   holders (holders-json.c),
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
#include "lib/json.h"

#define ROWS_MAX (1u << 20)

/* ---- writing: nothing for the usual value ---- */

static void put_int(json_t *o, const char *field, int64_t value, int64_t usual)
{
	if (value != usual)
		json_put_int(o, field, value);
}

static void put_str(json_t *o, const char *field, const char *value)
{
	if (value && *value)
		json_put_str(o, field, value);
}

static void put_bool(json_t *o, const char *field, bool value)
{
	if (value)
		json_put_bool(o, field, true);
}

static void put_addr(json_t *o, const char *field, const struct pci_addr *a)
{
	char buf[PCI_ADDR_STR];

	put_str(o, field, pci_addr_str(a, buf));
}

static void put_mac(json_t *o, const char *field, bool has, const struct mac *m)
{
	char buf[MAC_STR];

	if (has)
		json_put_str(o, field, mac_str(m, buf));
}

/* ---- reading: what is absent stays as it is ---- */

/* The first failure counts, what follows it is passed over. */
struct row {
	const json_t *o;
	struct vnet_err *err;
	int r;
};

static int64_t get_int(struct row *row, const char *field, int64_t usual, int64_t min, int64_t max)
{
	int64_t v = usual;

	if (row->r == 0)
		row->r = json_get_int_opt(row->o, field, min, max, &v, row->err);
	return v;
}

static int get_small(struct row *row, const char *field, int usual)
{
	return (int)get_int(row, field, usual, INT32_MIN, INT32_MAX);
}

static uint16_t get_u16(struct row *row, const char *field)
{
	return (uint16_t)get_int(row, field, 0, 0, UINT16_MAX);
}

static bool get_bool(struct row *row, const char *field)
{
	bool v = false;

	if (row->r == 0)
		row->r = json_get_bool_opt(row->o, field, &v, row->err);
	return v;
}

static void get_str(struct row *row, const char *field, char *ret, size_t size)
{
	if (row->r == 0)
		row->r = json_get_str_opt(row->o, field, ret, size, row->err);
}

static int bad(struct row *row, const char *field, const char *text)
{
	if (row->r == 0)
		row->r = vnet_err_set(row->err, -EINVAL, VNET_E_INVALID, "%s: '%s' is not valid",
				      field, text);
	return row->r;
}

static void get_addr(struct row *row, const char *field, struct pci_addr *ret)
{
	char buf[64] = "";

	get_str(row, field, buf, sizeof(buf));
	if (*buf && pci_addr_parse(buf, ret) < 0)
		bad(row, field, buf);
}

static bool get_mac(struct row *row, const char *field, struct mac *ret)
{
	char buf[64] = "";

	get_str(row, field, buf, sizeof(buf));
	if (*buf && mac_parse(buf, ret) < 0)
		bad(row, field, buf);
	return *buf;
}

static char *get_name(struct row *row, const char *field)
{
	const json_t *v = json_object_get(row->o, field);
	char *s = NULL;

	if (json_is_string(v)) {
		s = strdup(json_string_value(v));
		if (!s)
			row->r = vnet_err_errno(row->err, -ENOMEM, "read scan");
	}
	return s;
}

/* Rows of @array into a fresh table of @size each, by @parse. */
static int get_rows(const json_t *array, size_t size, void (*parse)(struct row *, void *),
		    void **ret, size_t *ret_n, struct vnet_err *err)
{
	struct row row = { .err = err };
	const json_t *o;
	size_t i;

	if (!json_is_array(array) || json_array_size(array) > ROWS_MAX)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "expected a list of rows");
	*ret = NULL;
	*ret_n = 0;
	if (!json_array_size(array))
		return 0;
	*ret = calloc(json_array_size(array), size);
	if (!*ret)
		return vnet_err_errno(err, -ENOMEM, "read scan");
	json_array_foreach (array, i, o) {
		if (!json_is_object(o))
			return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "row %zu is no object",
					    i);
		row.o = o;
		parse(&row, (char *)*ret + i * size);
		*ret_n = i + 1; /* a half-read row owns something already */
		if (row.r < 0) {
			vnet_err_wrap(err, "row %zu", i);
			return row.r;
		}
	}
	return 0;
}

/* ---- interfaces ---- */

static json_t *link_to_json(const struct link *l)
{
	json_t *o = json_object();

	json_put_int(o, "ifindex", l->ifindex);
	put_str(o, "name", l->name);
	put_str(o, "kind", l->kind);
	put_mac(o, "mac", l->has_mac, &l->mac);
	put_mac(o, "permMac", l->has_perm_mac, &l->perm_mac);
	put_bool(o, "up", l->up);
	put_bool(o, "carrier", l->carrier);
	put_int(o, "mtu", l->mtu, 0);
	put_int(o, "master", l->master, 0);
	put_int(o, "lower", l->lower, 0);
	put_addr(o, "pci", &l->pci);
	put_int(o, "addresses", l->addresses, 0);
	put_int(o, "routes", l->routes, 0);
	put_bool(o, "tapPersistent", l->tap_persistent);
	put_bool(o, "vlanFiltering", l->vlan_filtering);
	put_bool(o, "passthru", l->passthru);
	return o;
}

static void link_from_json(struct row *row, void *ret)
{
	struct link *l = ret;

	l->ifindex = get_small(row, "ifindex", 0);
	if (l->ifindex <= 0)
		bad(row, "ifindex", "none");
	get_str(row, "name", l->name, sizeof(l->name));
	get_str(row, "kind", l->kind, sizeof(l->kind));
	l->has_mac = get_mac(row, "mac", &l->mac);
	l->has_perm_mac = get_mac(row, "permMac", &l->perm_mac);
	l->up = get_bool(row, "up");
	l->carrier = get_bool(row, "carrier");
	l->mtu = get_small(row, "mtu", 0);
	l->master = get_small(row, "master", 0);
	l->lower = get_small(row, "lower", 0);
	get_addr(row, "pci", &l->pci);
	l->addresses = get_small(row, "addresses", 0);
	l->routes = get_small(row, "routes", 0);
	l->tap_persistent = get_bool(row, "tapPersistent");
	l->vlan_filtering = get_bool(row, "vlanFiltering");
	l->passthru = get_bool(row, "passthru");
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

	r = get_rows(j, sizeof(*links), link_from_json, (void **)&links, &n, err);
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
	put_bool(o, "network", n->network);
	put_int(o, "class", n->class, 0);
	put_int(o, "vendor", n->vendor, 0);
	put_int(o, "device", n->device, 0);
	put_int(o, "subvendor", n->subvendor, 0);
	put_int(o, "subdevice", n->subdevice, 0);
	put_str(o, "vendorName", n->vendor_name);
	put_str(o, "deviceName", n->device_name);
	put_int(o, "numaNode", n->numa_node, -1);
	put_int(o, "flr", n->flr, -1);
	put_int(o, "ari", n->ari, -1);
	put_int(o, "acs", n->acs, -1);
	put_int(o, "msixVectors", n->msix_vectors, -1);
	put_str(o, "resetMethod", n->reset_method);
}

static const struct nic *first_vf(const struct host_scan *s, const struct nic *n)
{
	return n->kind == NIC_VF && n->vf_index > 0 ? host_scan_vf(s, &n->pf, 0) : NULL;
}

static json_t *nic_to_json(const struct host_scan *s, const struct nic *n)
{
	const struct nic *first = first_vf(s, n);
	json_t *o = json_object();

	put_addr(o, "addr", &n->addr);
	json_put_str(o, "kind", nic_kind_str(n->kind));
	if (!first || !first->class || !nic_is_like(n, first))
		put_description(o, n);
	put_str(o, "driver", n->driver);
	put_str(o, "driverOverride", n->driver_override);
	put_int(o, "iommuGroup", n->iommu_group, -1);
	put_bool(o, "bridge", n->bridge);
	put_int(o, "totalVfs", n->total_vfs, 0);
	put_int(o, "numVfs", n->num_vfs, 0);
	put_int(o, "vfsId", (int64_t)n->vfs_id, 0);
	put_int(o, "autoprobe", n->autoprobe, -1);
	put_addr(o, "pf", &n->pf);
	put_int(o, "vfIndex", n->vf_index, -1);
	put_int(o, "vfioDev", n->vfio_dev, -1);
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
	get_addr(row, "addr", &n->addr);
	get_str(row, "kind", kind, sizeof(kind));
	if (nic_kind_from(kind, &n->kind) < 0)
		bad(row, "kind", kind);
	n->network = get_bool(row, "network");
	n->class = (uint32_t)get_int(row, "class", 0, 0, 0xffffff);
	n->vendor = get_u16(row, "vendor");
	n->device = get_u16(row, "device");
	n->subvendor = get_u16(row, "subvendor");
	n->subdevice = get_u16(row, "subdevice");
	n->vendor_name = get_name(row, "vendorName");
	n->device_name = get_name(row, "deviceName");
	get_str(row, "driver", n->driver, sizeof(n->driver));
	get_str(row, "driverOverride", n->driver_override, sizeof(n->driver_override));
	n->iommu_group = get_small(row, "iommuGroup", -1);
	n->numa_node = get_small(row, "numaNode", -1);
	n->bridge = get_bool(row, "bridge");
	n->flr = get_small(row, "flr", -1);
	n->ari = get_small(row, "ari", -1);
	n->acs = get_small(row, "acs", -1);
	n->msix_vectors = get_small(row, "msixVectors", -1);
	get_str(row, "resetMethod", n->reset_method, sizeof(n->reset_method));
	n->total_vfs = get_small(row, "totalVfs", 0);
	n->num_vfs = get_small(row, "numVfs", 0);
	n->vfs_id = (uint64_t)get_int(row, "vfsId", 0, 0, INT64_MAX);
	n->autoprobe = get_small(row, "autoprobe", -1);
	get_addr(row, "pf", &n->pf);
	n->vf_index = get_small(row, "vfIndex", -1);
	n->vfio_dev = get_small(row, "vfioDev", -1);
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

static json_t *vdpa_to_json(const struct vdpa_dev *v)
{
	json_t *o = json_object();

	put_str(o, "name", v->name);
	put_str(o, "mgmtdev", v->mgmtdev);
	put_str(o, "driver", v->driver);
	put_str(o, "chardev", v->chardev);
	put_addr(o, "pci", &v->pci);
	return o;
}

static void vdpa_from_json(struct row *row, void *ret)
{
	struct vdpa_dev *v = ret;

	get_str(row, "name", v->name, sizeof(v->name));
	get_str(row, "mgmtdev", v->mgmtdev, sizeof(v->mgmtdev));
	get_str(row, "driver", v->driver, sizeof(v->driver));
	get_str(row, "chardev", v->chardev, sizeof(v->chardev));
	get_addr(row, "pci", &v->pci);
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

	r = get_rows(json_object_get(j, "nics"), sizeof(*s.nics), nic_from_json, (void **)&s.nics,
		     &s.n_nics, err);
	if (r == 0)
		r = get_rows(json_object_get(j, "links"), sizeof(*s.links), link_from_json,
			     (void **)&s.links, &s.n_links, err);
	if (r == 0)
		r = host_holders_from_json(json_object_get(j, "holders"), &s, err);
	if (r == 0)
		r = get_rows(json_object_get(j, "vdpas"), sizeof(*s.vdpas), vdpa_from_json,
			     (void **)&s.vdpas, &s.n_vdpas, err);
	s.has_vdpa = get_bool(&row, "hasVdpa");
	s.has_iommufd = get_bool(&row, "iommufd");
	s.has_vfio_pci = get_bool(&row, "vfioPci");
	s.has_tun = get_bool(&row, "tun");
	s.has_vhost_net = get_bool(&row, "vhostNet");
	s.has_vhost_vdpa = get_bool(&row, "vhostVdpa");
	s.intr_remap = get_small(&row, "intrRemap", -1);
	s.unsafe_interrupts = get_bool(&row, "unsafeInterrupts");
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

/* ---- VF attributes ---- */

static json_t *vf_to_json(const struct vf_attrs *v)
{
	char vlan[VLAN_STR];
	json_t *o = json_object();

	put_addr(o, "pf", &v->pf);
	json_put_int(o, "index", v->index);
	put_mac(o, "mac", !mac_is_zero(&v->mac), &v->mac);
	if (v->vlan.id)
		json_put_str(o, "vlan", vlan_str(&v->vlan, vlan));
	if (v->trust >= 0)
		json_put_bool(o, "trust", v->trust);
	if (v->spoofchk >= 0)
		json_put_bool(o, "spoofchk", v->spoofchk);
	put_int(o, "linkState", v->link_state, -1);
	put_int(o, "minTxMbps", v->min_tx_mbps, 0);
	put_int(o, "maxTxMbps", v->max_tx_mbps, 0);
	return o;
}

static int get_tristate(struct row *row, const char *field)
{
	return json_object_get(row->o, field) ? get_bool(row, field) : -1;
}

static void vf_from_json(struct row *row, void *ret)
{
	struct vf_attrs *v = ret;
	char vlan[VLAN_STR] = "";

	get_addr(row, "pf", &v->pf);
	v->index = get_small(row, "index", -1);
	if (v->index < 0)
		bad(row, "index", "none");
	get_mac(row, "mac", &v->mac);
	get_str(row, "vlan", vlan, sizeof(vlan));
	/* Some drivers accept, and report, more than there should be: 4095. */
	if (*vlan && vlan_parse_found(vlan, &v->vlan) < 0 && sscanf(vlan, "%hu", &v->vlan.id) != 1)
		bad(row, "vlan", vlan);
	v->trust = get_tristate(row, "trust");
	v->spoofchk = get_tristate(row, "spoofchk");
	v->link_state = get_small(row, "linkState", -1);
	v->min_tx_mbps = get_small(row, "minTxMbps", 0);
	v->max_tx_mbps = get_small(row, "maxTxMbps", 0);
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

	r = get_rows(j, sizeof(*rows), vf_from_json, (void **)&rows, &n_rows, err);
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
