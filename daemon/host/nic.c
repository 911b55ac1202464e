/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/nic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "lib/json.h"

static const char *const nic_kind_names[] = {
	[NIC_PLAIN] = "plain",
	[NIC_PF] = "pf",
	[NIC_VF] = "vf",
};
NAMES_DEFINE(nic_kind, enum nic_kind, nic_kind_names, NIC_KIND_MAX)

struct nic nic_unknown(const struct pci_addr *addr)
{
	return (struct nic){
		.addr = *addr,
		.iommu_group = -1,
		.numa_node = -1,
		.flr = -1,
		.ari = -1,
		.acs = -1,
		.msix_vectors = -1,
		.autoprobe = -1,
		.vf_index = -1,
		.vfio_dev = -1,
	};
}

void nic_describe_like(struct nic *n, const struct nic *first)
{
	n->class = first->class;
	n->network = first->network;
	n->vendor = first->vendor;
	n->device = first->device;
	n->subvendor = first->subvendor;
	n->subdevice = first->subdevice;
	n->numa_node = first->numa_node;
	n->flr = first->flr;
	n->ari = first->ari;
	n->acs = first->acs;
	n->msix_vectors = first->msix_vectors;
	memcpy(n->reset_method, first->reset_method, sizeof(n->reset_method));
	n->vendor_name = first->vendor_name ? strdup(first->vendor_name) : NULL;
	n->device_name = first->device_name ? strdup(first->device_name) : NULL;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool nic_is_like(const struct nic *n, const struct nic *first)
{
	return n->class == first->class && n->network == first->network &&
	       n->vendor == first->vendor && n->device == first->device &&
	       n->subvendor == first->subvendor && n->subdevice == first->subdevice &&
	       n->numa_node == first->numa_node && n->flr == first->flr && n->ari == first->ari &&
	       n->acs == first->acs && n->msix_vectors == first->msix_vectors &&
	       !strcmp(n->reset_method, first->reset_method) &&
	       same_text(n->vendor_name, first->vendor_name) &&
	       same_text(n->device_name, first->device_name);
}

void host_scan_done(struct host_scan *s)
{
	for (size_t i = 0; i < s->n_nics; i++) {
		free(s->nics[i].vendor_name);
		free(s->nics[i].device_name);
	}
	free(s->nics);
	free(s->links);
	free(s->vfs);
	free(s->holders);
	free(s->vdpas);
	free(s->mgmtdevs);
	free(s->by_vf);
	free(s->by_group);
	*s = (struct host_scan){ 0 };
}

static int cmp_nic(const void *a, const void *b)
{
	return pci_addr_cmp(&((const struct nic *)a)->addr, &((const struct nic *)b)->addr);
}

static int cmp_link(const void *a, const void *b)
{
	int x = ((const struct link *)a)->ifindex, y = ((const struct link *)b)->ifindex;

	return (x > y) - (x < y);
}

static int cmp_pf_index(const struct pci_addr *pf_a, int index_a, const struct pci_addr *pf_b,
			int index_b)
{
	int r = pci_addr_cmp(pf_a, pf_b);

	return r ? r : (index_a > index_b) - (index_a < index_b);
}

static int cmp_vf_attrs(const void *a, const void *b)
{
	const struct vf_attrs *x = a, *y = b;

	return cmp_pf_index(&x->pf, x->index, &y->pf, y->index);
}

static int cmp_by_vf(const void *a, const void *b, void *nics)
{
	const struct nic *x = (const struct nic *)nics + *(const uint32_t *)a;
	const struct nic *y = (const struct nic *)nics + *(const uint32_t *)b;

	return cmp_pf_index(&x->pf, x->vf_index, &y->pf, y->vf_index);
}

/* By address the VFs of several PFs lie between each other, so they have an order
 * of their own. */
static int index_vfs(struct host_scan *s)
{
	size_t n = 0;

	free(s->by_vf);
	s->by_vf = NULL;
	s->n_by_vf = 0;
	if (!s->n_nics)
		return 0;
	s->by_vf = calloc(s->n_nics, sizeof(*s->by_vf));
	if (!s->by_vf)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_nics; i++) {
		if (s->nics[i].kind == NIC_VF)
			s->by_vf[n++] = (uint32_t)i;
	}
	s->n_by_vf = n;
	qsort_r(s->by_vf, n, sizeof(*s->by_vf), cmp_by_vf, s->nics);
	return 0;
}

static int cmp_by_group(const void *a, const void *b, void *nics)
{
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	const struct nic *x = (const struct nic *)nics + i, *y = (const struct nic *)nics + k;
	int r = (x->iommu_group > y->iommu_group) - (x->iommu_group < y->iommu_group);

	return r ? r : (i > k) - (i < k);
}

static int index_groups(struct host_scan *s)
{
	size_t n = 0;

	free(s->by_group);
	s->by_group = NULL;
	s->n_by_group = 0;
	if (!s->n_nics)
		return 0;
	s->by_group = calloc(s->n_nics, sizeof(*s->by_group));
	if (!s->by_group)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_nics; i++) {
		if (s->nics[i].iommu_group >= 0)
			s->by_group[n++] = (uint32_t)i;
	}
	s->n_by_group = n;
	qsort_r(s->by_group, n, sizeof(*s->by_group), cmp_by_group, s->nics);
	return 0;
}

void host_scan_sort_vfs(struct host_scan *s)
{
	if (s->n_vfs)
		qsort(s->vfs, s->n_vfs, sizeof(*s->vfs), cmp_vf_attrs);
}

int host_scan_sort(struct host_scan *s)
{
	int r;

	if (s->n_nics)
		qsort(s->nics, s->n_nics, sizeof(*s->nics), cmp_nic);
	if (s->n_links)
		qsort(s->links, s->n_links, sizeof(*s->links), cmp_link);
	host_scan_sort_vfs(s);
	r = index_vfs(s);
	return r < 0 ? r : index_groups(s);
}

struct nic *host_scan_nic(const struct host_scan *s, const struct pci_addr *addr)
{
	struct nic key = { .addr = *addr };

	return s->n_nics ? bsearch(&key, s->nics, s->n_nics, sizeof(key), cmp_nic) : NULL;
}

struct nic *host_scan_vf(const struct host_scan *s, const struct pci_addr *pf, unsigned index)
{
	size_t low = 0, high = s->n_by_vf;

	if (!s->by_vf) { /* a scan that was put together by hand */
		for (size_t i = 0; i < s->n_nics; i++) {
			struct nic *n = &s->nics[i];

			if (n->kind == NIC_VF && n->vf_index == (int)index &&
			    pci_addr_eq(&n->pf, pf))
				return n;
		}
		return NULL;
	}
	while (low < high) {
		size_t mid = (low + high) / 2;
		struct nic *n = &s->nics[s->by_vf[mid]];
		int r = cmp_pf_index(pf, (int)index, &n->pf, n->vf_index);

		if (r == 0)
			return n;
		if (r < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

struct nic *host_scan_group(const struct host_scan *s, int group, size_t i)
{
	size_t low = 0, high = s->n_by_group;

	if (!s->by_group) { /* a scan that was put together by hand */
		for (size_t k = 0; k < s->n_nics; k++) {
			if (s->nics[k].iommu_group == group && i-- == 0)
				return &s->nics[k];
		}
		return NULL;
	}
	while (low < high) {
		size_t mid = (low + high) / 2;

		if (s->nics[s->by_group[mid]].iommu_group < group)
			low = mid + 1;
		else
			high = mid;
	}
	if (i >= s->n_by_group - low || s->nics[s->by_group[low + i]].iommu_group != group)
		return NULL;
	return &s->nics[s->by_group[low + i]];
}

struct link *host_scan_link(const struct host_scan *s, int ifindex)
{
	struct link key = { .ifindex = ifindex };

	return s->n_links ? bsearch(&key, s->links, s->n_links, sizeof(key), cmp_link) : NULL;
}

struct link *host_scan_nic_link(const struct host_scan *s, const struct nic *n)
{
	for (unsigned i = 0; i < n->n_ifindex; i++) {
		struct link *l = host_scan_link(s, n->ifindex[i]);

		if (l)
			return l;
	}
	return NULL;
}

struct vf_attrs *host_scan_vf_attrs(const struct host_scan *s, const struct pci_addr *pf,
				    unsigned index)
{
	struct vf_attrs key = { .pf = *pf, .index = (int)index };

	return s->n_vfs ? bsearch(&key, s->vfs, s->n_vfs, sizeof(key), cmp_vf_attrs) : NULL;
}

void clean_text(char *s)
{
	json_t *j = json_string(s); /* NULL: no UTF-8 */
	size_t n;

	while (*s) {
		n = json_control_len(s);
		if (!n && !j && (unsigned char)*s >= 0x80)
			n = 1;
		memset(s, '?', n);
		s += n ? n : 1;
	}
	json_decref(j);
}
