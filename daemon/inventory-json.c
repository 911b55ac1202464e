/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inventory as a document: the contract docs/inventory.schema.json. Every
 * member is always there, unknown is null, arrays are sorted, so that two
 * documents of the same host compare as text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "daemon/pool.h"
#include "lib/json.h"

#define INVENTORY_SCHEMA 1

/* What one function is to somebody who looks for a NIC. */
enum nic_state { NIC_FREE, NIC_IN_USE, NIC_UNAVAILABLE };
static const char *const nic_states[] = { "free", "in-use", "unavailable" };

struct judged {
	enum nic_state state;
	struct held held;
	char reason[REASON_MAX];
};

static json_t *array_of(json_t *obj, const char *field)
{
	json_t *a = json_array();

	json_put(obj, field, a); /* obj owns it; the caller fills it */
	return a;
}

static void put_addr(json_t *obj, const char *field, const struct pci_addr *a)
{
	char buf[PCI_ADDR_STR];

	json_put_str(obj, field, pci_addr_str(a, buf));
}

static void put_addr_or_null(json_t *obj, const char *field, const struct pci_addr *a)
{
	if (a->set)
		put_addr(obj, field, a);
	else
		json_put_str(obj, field, NULL);
}

static void put_mac(json_t *obj, const char *field, const struct mac *mac, bool known)
{
	char buf[MAC_STR];

	json_put_str(obj, field, known ? mac_str(mac, buf) : NULL);
}

static void put_hex(json_t *obj, const char *field, unsigned value, int digits)
{
	char buf[16];

	snprintf(buf, sizeof(buf), "0x%0*x", digits, value);
	json_put_str(obj, field, buf);
}

/* ---- judging ---- */

static const char *stuck_lane(struct manager *m, const struct pci_addr *pf)
{
	char lane[PCI_ADDR_STR];

	return m->workers ? workers_stuck(m->workers, pci_addr_str(pf, lane)) : NULL;
}

/* Why no guest can be given this VF as the host is now; false: one can. */
static bool vf_unavailable(struct manager *m, const struct nic *n, char *ret, size_t size)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	const struct nic *blocker = inventory_group_blocker(s, n);
	const char *stuck = stuck_lane(m, &n->pf);
	char addr[PCI_ADDR_STR];

	if (stuck)
		snprintf(ret, size, "its PF does not answer: %s", stuck);
	else if (n->iommu_group < 0)
		snprintf(ret, size,
			 "no IOMMU group: switch the IOMMU on in the firmware and on the kernel "
			 "command line");
	else if (blocker)
		snprintf(ret, size,
			 "IOMMU group %d also holds %s (%s): enable ACS on the port above or use "
			 "another slot",
			 n->iommu_group, pci_addr_str(&blocker->addr, addr), blocker->driver);
	else if (s->intr_remap == 0 && !s->unsafe_interrupts)
		snprintf(ret, size, "no interrupt remapping: switch it on in the firmware");
	else if (!s->has_vfio_pci)
		snprintf(ret, size, "driver vfio-pci is not there: modprobe vfio-pci");
	else
		return false;
	return true;
}

static bool pf_unavailable(struct manager *m, const struct nic *n, char *ret, size_t size)
{
	const char *stuck = stuck_lane(m, &n->addr);

	if (stuck)
		snprintf(ret, size, "does not answer: %s", stuck);
	else if (!n->driver[0])
		snprintf(ret, size, "no driver is bound, so there is nothing to make VFs");
	else if (n->vfio_dev >= 0)
		snprintf(ret, size, "bound to %s as a whole", n->driver);
	else
		return false;
	return true;
}

static void judge(struct manager *m, const struct nic *n, struct judged *ret)
{
	size_t size = sizeof(ret->reason);
	char *reason;
	bool no;

	*ret = (struct judged){ .state = NIC_FREE };
	reason = ret->reason;
	if (inventory_holder(m, n, &ret->held)) {
		ret->state = NIC_IN_USE;
		snprintf(reason, size, "%s", ret->held.text);
		return;
	}
	if (!n->network) {
		snprintf(reason, size, "%s: left alone",
			 n->bridge ? "PCI bridge" : "not a network function");
		no = true;
	} else if (n->kind == NIC_VF) {
		no = vf_unavailable(m, n, reason, size);
	} else if (n->kind == NIC_PF) {
		no = pf_unavailable(m, n, reason, size);
	} else {
		snprintf(reason, size, "no SR-IOV: it has no VFs to give");
		no = true;
	}
	if (no)
		ret->state = NIC_UNAVAILABLE;
}

/* ---- one function ---- */

static json_t *holder_json(const struct held *h)
{
	static const char *const kinds[] = {
		[HELD_BY_ATTACHMENT] = "attachment",
		[HELD_BY_GUEST] = "guest",
		[HELD_BY_PROCESS] = "process",
		[HELD_BY_BIND] = "bind",
		[HELD_BY_HOST] = "host",
	};
	json_t *j;

	if (h->by == HELD_NOT)
		return json_null();
	j = json_object();
	json_put_str(j, "kind", kinds[h->by]);
	json_put_str(j, "name", h->name);
	json_put_str(j, "text", h->text);
	json_put_int_or_null(j, "pid", h->pid, h->pid > 0);
	return j;
}

static void put_link_state(json_t *j, const struct host_scan *s, const struct link *l)
{
	const struct link *master = l->master ? host_scan_link(s, l->master) : NULL;

	json_put_str(j, "name", l->name);
	json_put_int(j, "index", l->ifindex);
	put_mac(j, "mac", &l->mac, l->has_mac);
	json_put_bool(j, "up", l->up);
	json_put_str(j, "master", master ? master->name : NULL);
}

static json_t *nic_links_json(const struct host_scan *s, const struct nic *n)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < n->n_ifindex; i++) {
		const struct link *l = host_scan_link(s, n->ifindex[i]);
		json_t *j;

		if (!l)
			continue;
		j = json_object();
		put_link_state(j, s, l);
		put_mac(j, "permanentMac", &l->perm_mac, l->has_perm_mac);
		json_put_bool(j, "carrier", l->carrier);
		json_put_int_or_null(j, "mtuBytes", l->mtu, l->mtu > 0);
		json_array_append_new(a, j);
	}
	return a;
}

static json_t *vlan_json(const struct vlan *v)
{
	json_t *j;

	if (!v->id && !v->qos)
		return json_null();
	j = json_object();
	json_put_int(j, "id", v->id);
	json_put_int(j, "qos", v->qos);
	json_put_str(j, "proto", v->proto == 0x88a8 ? "802.1ad" : "802.1Q");
	return j;
}

static json_t *vf_attrs_json(const struct vf_attrs *v)
{
	static const char *const states[] = { "auto", "enable", "disable" };
	json_t *j;

	if (!v)
		return json_null();
	j = json_object();
	put_mac(j, "mac", &v->mac, true);
	json_put(j, "vlan", vlan_json(&v->vlan));
	json_put_bool_or_null(j, "trust", v->trust);
	json_put_bool_or_null(j, "spoofCheck", v->spoofchk);
	json_put_str(j, "linkState",
		     v->link_state >= 0 && v->link_state < 3 ? states[v->link_state] : NULL);
	json_put_int_or_null(j, "minTxMbps", v->min_tx_mbps, v->min_tx_mbps >= 0);
	json_put_int_or_null(j, "maxTxMbps", v->max_tx_mbps, v->max_tx_mbps >= 0);
	return j;
}

static void put_capabilities(json_t *j, const struct nic *n)
{
	json_t *methods = array_of(j, "resetMethods");
	char list[sizeof(n->reset_method)];
	char *save = NULL;

	memcpy(list, n->reset_method, sizeof(list));
	for (char *s = strtok_r(list, " ", &save); s; s = strtok_r(NULL, " ", &save))
		json_array_append_new(methods, json_string(s));
	json_put_bool_or_null(j, "flr", n->flr);
	json_put_bool_or_null(j, "ari", n->ari);
	json_put_int_or_null(j, "msixVectors", n->msix_vectors, n->msix_vectors >= 0);
}

static void put_sriov(json_t *j, const struct host_scan *s, const struct nic *n)
{
	bool pf = n->kind == NIC_PF, vf = n->kind == NIC_VF;

	json_put_int_or_null(j, "totalVfs", n->total_vfs, pf && n->total_vfs >= 0);
	json_put_int_or_null(j, "numVfs", n->num_vfs, pf && n->num_vfs >= 0);
	json_put_bool_or_null(j, "autoprobe", pf ? n->autoprobe : -1);
	put_addr_or_null(j, "pf", vf ? &n->pf : &(struct pci_addr){ 0 });
	json_put_int_or_null(j, "vfIndex", n->vf_index, vf);
	json_put(j, "vf",
		 vf_attrs_json(vf ? host_scan_vf_attrs(s, &n->pf, (unsigned)n->vf_index) : NULL));
}

static json_t *nic_json(struct manager *m, const struct nic *n)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	json_t *j = json_object();
	struct judged is;

	judge(m, n, &is);
	put_addr(j, "address", &n->addr);
	json_put_str(j, "kind", n->network ? nic_kind_str(n->kind) : "other");
	put_hex(j, "class", n->class, 6);
	put_hex(j, "vendorId", n->vendor, 4);
	put_hex(j, "deviceId", n->device, 4);
	json_put_str(j, "vendor", n->vendor_name);
	json_put_str(j, "device", n->device_name);
	json_put_str(j, "driver", n->driver);
	json_put_str(j, "driverOverride", n->driver_override);
	json_put_int_or_null(j, "iommuGroup", n->iommu_group, n->iommu_group >= 0);
	json_put_int_or_null(j, "numaNode", n->numa_node, n->numa_node >= 0);
	put_capabilities(j, n);
	put_sriov(j, s, n);
	json_put(j, "links", nic_links_json(s, n));
	json_put(j, "holder", holder_json(&is.held));
	json_put_str(j, "state", nic_states[is.state]);
	json_put_str(j, "reason", is.reason);
	return j;
}

/* ---- pools ---- */

void inventory_count_vfs(struct manager *m, const struct uplink *u, int *ret_free, int *ret_used)
{
	const struct host_scan *s = inventory_scan(m->inventory);

	*ret_free = *ret_used = 0;
	for (int i = 0; i < u->vfs; i++) {
		const struct nic *vf = host_scan_vf(s, &u->pf, (unsigned)i);
		struct judged is;

		if (!vf)
			continue;
		judge(m, vf, &is);
		*ret_used += is.state == NIC_IN_USE;
		*ret_free += is.state == NIC_FREE && i >= u->first && i <= u->last;
	}
	/* What will be made is free once it is there. */
	if (u->vfs <= 0 && u->last >= u->first)
		*ret_free = u->last - u->first + 1;
}

/* ---- IOMMU groups ---- */

static int by_number(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static json_t *group_json(const struct host_scan *s, int group)
{
	json_t *j = json_object(), *members;
	const struct nic *n;
	bool viable = true;

	json_put_int(j, "id", group);
	members = array_of(j, "members");
	for (size_t i = 0; (n = host_scan_group(s, group, i)); i++) {
		json_t *member = json_object();

		put_addr(member, "address", &n->addr);
		json_put_str(member, "driver", n->driver);
		json_put_bool(member, "blocks", inventory_blocks_group(n));
		json_array_append_new(members, member);
		viable = viable && !inventory_blocks_group(n);
	}
	json_put_bool(j, "viable", viable);
	return j;
}

static json_t *groups_json(const struct host_scan *s)
{
	_cleanup_free_ int *ids = calloc(s->n_nics + 1, sizeof(*ids));
	json_t *a = json_array();
	size_t n = 0;

	for (size_t i = 0; ids && i < s->n_nics; i++) {
		if (s->nics[i].iommu_group >= 0)
			ids[n++] = s->nics[i].iommu_group;
	}
	if (n)
		qsort(ids, n, sizeof(*ids), by_number);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || ids[i] != ids[i - 1])
			json_array_append_new(a, group_json(s, ids[i]));
	}
	return a;
}

/* ---- what is not a PCI function ---- */

static bool is_tap(const struct link *l)
{
	return l->has_mac && (strcmp(l->kind, "tun") == 0 || strcmp(l->kind, "macvtap") == 0);
}

/* Indices of all interfaces of NICs, sorted; malloced, NULL where there are none. */
static int *nic_indices(const struct host_scan *s, size_t *ret_n)
{
	size_t n = 0;
	int *list;

	for (size_t i = 0; i < s->n_nics; i++)
		n += s->nics[i].n_ifindex;
	*ret_n = 0;
	list = n ? calloc(n, sizeof(*list)) : NULL;
	if (!list)
		return NULL;
	for (size_t i = 0; i < s->n_nics; i++) {
		for (unsigned k = 0; k < s->nics[i].n_ifindex; k++)
			list[(*ret_n)++] = s->nics[i].ifindex[k];
	}
	qsort(list, n, sizeof(*list), by_number);
	return list;
}

static void put_links(json_t *doc, const struct host_scan *s)
{
	json_t *links = array_of(doc, "links"), *taps = array_of(doc, "taps");
	size_t n_of_nics;
	_cleanup_free_ int *of_nics = nic_indices(s, &n_of_nics);

	for (size_t i = 0; i < s->n_links; i++) {
		const struct link *l = &s->links[i];
		json_t *j;

		if (of_nics &&
		    bsearch(&l->ifindex, of_nics, n_of_nics, sizeof(*of_nics), by_number))
			continue;
		j = json_object();
		put_link_state(j, s, l);
		json_put_str(j, "kind", l->kind);
		if (is_tap(l)) {
			json_put_bool(j, "persistent", l->tap_persistent);
			json_array_append_new(taps, j);
			continue;
		}
		json_put_bool(j, "carrier", l->carrier);
		json_put_int_or_null(j, "mtuBytes", l->mtu, l->mtu > 0);
		json_put_int(j, "addresses", l->addresses);
		json_array_append_new(links, j);
	}
}

static int by_vdpa_name(const void *a, const void *b)
{
	const struct vdpa_dev *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static json_t *vdpa_json(const struct host_scan *s)
{
	_cleanup_free_ const struct vdpa_dev **sorted = calloc(s->n_vdpas + 1, sizeof(*sorted));
	json_t *a = json_array();

	if (!sorted || !s->n_vdpas)
		return a;
	for (size_t i = 0; i < s->n_vdpas; i++)
		sorted[i] = &s->vdpas[i];
	qsort(sorted, s->n_vdpas, sizeof(*sorted), by_vdpa_name);
	for (size_t i = 0; i < s->n_vdpas; i++) {
		json_t *j = json_object();

		json_put_str(j, "name", sorted[i]->name);
		json_put_str(j, "managementDevice", sorted[i]->mgmtdev);
		json_put_str(j, "driver", sorted[i]->driver);
		json_put_str(j, "chardev", sorted[i]->chardev);
		json_array_append_new(a, j);
	}
	return a;
}

static json_t *mgmtdev_json(const struct host_scan *s, const struct vdpa_mgmtdev *m)
{
	const struct nic *n = m->pci.set ? host_scan_nic(s, &m->pci) : NULL;
	json_t *j = json_object();
	int64_t devices = 0;

	for (size_t i = 0; i < s->n_vdpas; i++)
		devices += strcmp(s->vdpas[i].mgmtdev, m->name) == 0;
	json_put_str(j, "name", m->name);
	put_addr_or_null(j, "address", &m->pci);
	put_addr_or_null(j, "pf", n && n->kind == NIC_VF ? &n->pf : &(struct pci_addr){ 0 });
	/* Two queues a pair; a control queue may come on top. */
	json_put_int_or_null(j, "maxQueuePairs", m->max_vqs / 2, m->max_vqs > 1);
	json_put_bool(j, "mac", m->takes_mac);
	json_put_bool(j, "mtu", m->takes_mtu);
	json_put_bool(j, "multiQueue", m->takes_vqp);
	json_put_int(j, "devices", devices);
	return j;
}

static json_t *mgmtdevs_json(const struct host_scan *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->n_mgmtdevs; i++)
		json_array_append_new(a, mgmtdev_json(s, &s->mgmtdevs[i]));
	return a;
}

/* ---- the document ---- */

static json_t *host_json(struct manager *m)
{
	static const char *const known[] = {
		[DOMAINS_NEVER] = "never",
		[DOMAINS_KNOWN] = "known",
		[DOMAINS_STALE] = "stale",
	};
	const struct host_scan *s = inventory_scan(m->inventory);
	json_t *j = json_object();
	bool iommu = false;

	for (size_t i = 0; i < s->n_nics && !iommu; i++)
		iommu = s->nics[i].iommu_group >= 0;
	json_put_bool(j, "iommu", iommu);
	json_put_bool_or_null(j, "interruptRemapping", s->intr_remap);
	json_put_bool(j, "unsafeInterrupts", s->unsafe_interrupts);
	json_put_bool(j, "iommufd", s->has_iommufd);
	json_put_bool(j, "vfioPci", s->has_vfio_pci);
	json_put_str(j, "libvirt", known[m->domains ? domains_known(m->domains) : DOMAINS_NEVER]);
	return j;
}

json_t *inventory_json(struct manager *m)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	json_t *doc = json_object(), *nics;

	json_put_int(doc, "schema", INVENTORY_SCHEMA);
	json_put(doc, "host", host_json(m));
	json_put(doc, "pools", pools_json(m));
	nics = array_of(doc, "nics");
	for (size_t i = 0; i < s->n_nics; i++)
		json_array_append_new(nics, nic_json(m, &s->nics[i]));
	json_put(doc, "iommuGroups", groups_json(s));
	put_links(doc, s);
	json_put(doc, "vdpa", vdpa_json(s));
	json_put(doc, "vdpaManagementDevices", mgmtdevs_json(s));
	json_put(doc, "stale", inventory_stale_json(m));
	json_put(doc, "stuck", inventory_stuck_json(m));
	return doc;
}
