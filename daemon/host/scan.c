/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation. A host may have thousands of VFs and a PF that is stuck in
 * the kernel, so the scan (a) asks a VF for nothing that its siblings know: all VFs
 * of a PF have the ids, class, node and capabilities of the first; and (b) reads
 * nothing that takes a device lock: not sriov_numvfs (virtfnN links are counted),
 * uevent, or driver_override, which takes the lock on most kernels and stays unknown
 * here (the driver knob reads it).
 *
 * Order: addresses; drivers, by listing each driver's directory once; every
 * function that is no VF, with its class and group; below a PF, its VFs by their
 * virtfnN links; then what is neither a network function, nor in a group with one,
 * nor SR-IOV goes, and the rest is described. A VF's address is above its PF's, so
 * by then it is known as a VF.
 */
#include <errno.h>
#include <libudev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "daemon/host/facts.h"
#include "lib/cleanup.h"

#define CLASS_NETWORK 0x02
#define CLASS_BRIDGE 0x0604

struct scan {
	struct kernel *k;
	struct nic *fns; /* every PCI function, by address */
	size_t n;
	int *groups; /* of network functions, sorted */
	size_t n_groups;
};

static int add_function(struct scan *sc, const char *name)
{
	struct pci_addr addr;
	struct nic *more;

	if (pci_addr_parse(name, &addr) < 0)
		return 0;
	if (!(sc->n & (sc->n - 1))) {
		more = reallocarray(sc->fns, sc->n ? 2 * sc->n : 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		sc->fns = more;
	}
	sc->fns[sc->n++] = nic_unknown(&addr);
	return 0;
}

static struct udev_enumerate *unref_enumerate(struct udev_enumerate *e)
{
	return e ? udev_enumerate_unref(e) : NULL;
}

/* List entries only: making a udev_device of one reads its uevent file. */
static int list_by_udev(struct scan *sc)
{
	struct udev *udev = udev_new();
	struct udev_enumerate *e = udev ? udev_enumerate_new(udev) : NULL;
	struct udev_list_entry *entry;
	int r = e ? udev_enumerate_add_match_subsystem(e, "pci") : -ENOMEM;

	if (r >= 0)
		r = udev_enumerate_scan_devices(e);
	if (r >= 0) {
		udev_list_entry_foreach (entry, udev_enumerate_get_list_entry(e)) {
			const char *path = udev_list_entry_get_name(entry);
			const char *base = strrchr(path, '/');

			r = add_function(sc, base ? base + 1 : path);
			if (r < 0)
				break;
		}
	}
	unref_enumerate(e);
	if (udev)
		udev_unref(udev);
	return r < 0 ? r : 0;
}

static int list_by_directory(struct scan *sc)
{
	_cleanup_closedir_ DIR *d = kernel_opendir(sc->k, PCI_DEVICES);
	const struct dirent *e;
	int r;

	if (!d)
		return errno == ENOENT ? 0 : -errno; /* a host without PCI */
	while ((e = next_entry(d))) {
		r = add_function(sc, e->d_name);
		if (r < 0)
			return r;
	}
	return 0;
}

static int cmp_nic(const void *a, const void *b)
{
	return pci_addr_cmp(&((const struct nic *)a)->addr, &((const struct nic *)b)->addr);
}

static int list_functions(struct scan *sc, struct vnet_err *err)
{
	/* libudev knows /sys alone, not one below another root. */
	int r = strcmp(sc->k->ops->name, "real") ? list_by_directory(sc) : list_by_udev(sc);

	if (r < 0)
		return vnet_err_errno(err, r, "list PCI functions");
	if (sc->n)
		qsort(sc->fns, sc->n, sizeof(*sc->fns), cmp_nic);
	return 0;
}

static struct nic *find(struct scan *sc, const struct pci_addr *addr)
{
	struct nic key = { .addr = *addr };

	return sc->n ? bsearch(&key, sc->fns, sc->n, sizeof(key), cmp_nic) : NULL;
}

/* One listing a driver instead of one readlink a function. */
static void find_drivers(struct scan *sc)
{
	_cleanup_closedir_ DIR *drivers = kernel_opendir(sc->k, PCI_DRIVERS);
	const struct dirent *e, *bound;

	while (drivers && (e = next_entry(drivers))) {
		_cleanup_closedir_ DIR *d = NULL;

		if (strlen(e->d_name) >= DRIVER_NAME_MAX)
			continue;
		d = kernel_opendir(sc->k, PCI_DRIVERS "/%s", e->d_name);
		while (d && (bound = next_entry(d))) {
			struct pci_addr addr;
			struct nic *n;

			if (pci_addr_parse(bound->d_name, &addr) < 0)
				continue;
			n = find(sc, &addr);
			if (n)
				memcpy(n->driver, e->d_name, strlen(e->d_name) + 1);
		}
	}
}

static int read_group(struct kernel *k, const char *addr)
{
	char group[16];

	if (kernel_readlink_base(k, group, sizeof(group), PCI_DEVICES "/%s/iommu_group", addr) < 0)
		return -1;
	return suffix_number(group, "");
}

/* The VFs that @pf's links name; those that came after the listing are announced
 * by an event and found by the next scan. */
static void find_vfs(struct scan *sc, struct nic *pf, DIR *d, const char *pf_addr)
{
	const struct dirent *e;

	while ((e = next_entry(d))) {
		int index = suffix_number(e->d_name, "virtfn");
		char vf_addr[PCI_ADDR_STR];
		struct pci_addr addr;
		struct nic *vf;

		if (index < 0)
			continue;
		pf->num_vfs++;
		if (index == 0)
			pf->vfs_id = e->d_ino;
		if (kernel_readlink_pci(sc->k, &addr, PCI_DEVICES "/%s/%s", pf_addr, e->d_name) < 0)
			continue;
		vf = find(sc, &addr);
		if (!vf || vf == pf)
			continue;
		vf->kind = NIC_VF;
		vf->pf = pf->addr;
		vf->vf_index = index;
		vf->iommu_group = read_group(sc->k, pci_addr_str(&addr, vf_addr));
		vf->class = pf->class;
		vf->network = pf->network;
	}
}

static void look_at_function(struct scan *sc, struct nic *n)
{
	_cleanup_closedir_ DIR *d = NULL;
	char addr[PCI_ADDR_STR];
	struct kernel *k = sc->k;

	d = kernel_opendir(k, PCI_DEVICES "/%s", pci_addr_str(&n->addr, addr));
	if (!d) {
		n->addr.set = false; /* gone meanwhile */
		return;
	}
	n->class = (uint32_t)kernel_read_number(k, 0, PCI_DEVICES "/%s/class", addr) & 0xffffff;
	n->network = n->class >> 16 == CLASS_NETWORK;
	n->bridge = n->class >> 8 == CLASS_BRIDGE;
	n->iommu_group = read_group(k, addr);
	if (kernel_exists(k, PCI_DEVICES "/%s/sriov_totalvfs", addr)) {
		n->kind = NIC_PF;
		n->total_vfs =
			(int)kernel_read_number(k, 0, PCI_DEVICES "/%s/sriov_totalvfs", addr);
		n->autoprobe = (int)kernel_read_number(k, -1,
						       PCI_DEVICES "/%s/sriov_drivers_autoprobe",
						       addr);
		find_vfs(sc, n, d, addr);
	} else if (kernel_exists(k, PCI_DEVICES "/%s/physfn", addr)) {
		n->addr.set = false; /* a VF that its PF does not show yet, or no longer */
	}
}

static int cmp_int(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static int collect_groups(struct scan *sc)
{
	sc->groups = calloc(sc->n + 1, sizeof(*sc->groups));
	if (!sc->groups)
		return -ENOMEM;
	for (size_t i = 0; i < sc->n; i++) {
		const struct nic *n = &sc->fns[i];

		if (n->addr.set && n->network && n->iommu_group >= 0)
			sc->groups[sc->n_groups++] = n->iommu_group;
	}
	qsort(sc->groups, sc->n_groups, sizeof(*sc->groups), cmp_int);
	return 0;
}

static bool is_wanted(const struct scan *sc, const struct nic *n)
{
	if (!n->addr.set)
		return false;
	if (n->network || n->kind != NIC_PLAIN)
		return true;
	return n->iommu_group >= 0 &&
	       bsearch(&n->iommu_group, sc->groups, sc->n_groups, sizeof(*sc->groups), cmp_int);
}

static void drop_unwanted(struct scan *sc)
{
	size_t kept = 0;

	for (size_t i = 0; i < sc->n; i++) {
		if (is_wanted(sc, &sc->fns[i]))
			sc->fns[kept++] = sc->fns[i];
	}
	sc->n = kept;
}

static uint16_t read_id(struct kernel *k, const char *addr, const char *name)
{
	return (uint16_t)kernel_read_number(k, 0, PCI_DEVICES "/%s/%s", addr, name);
}

static void describe(struct kernel *k, struct nic *n)
{
	char addr[PCI_ADDR_STR];

	pci_addr_str(&n->addr, addr);
	n->vendor = read_id(k, addr, "vendor");
	n->device = read_id(k, addr, "device");
	n->subvendor = read_id(k, addr, "subsystem_vendor");
	n->subdevice = read_id(k, addr, "subsystem_device");
	n->numa_node = (int)kernel_read_number(k, -1, PCI_DEVICES "/%s/numa_node", addr);
	if (kernel_read(k, n->reset_method, sizeof(n->reset_method), PCI_DEVICES "/%s/reset_method",
			addr) < 0)
		n->reset_method[0] = '\0';
	k->ops->describe(k, n);
}

/* What its driver made of it: an interface, or a VFIO device. */
static void find_children(struct kernel *k, struct nic *n)
{
	if (!*n->driver)
		return;
	n->vfio_dev = strstr(n->driver, "vfio") ? function_vfio_dev(k, &n->addr) : -1;
	if (n->network && n->vfio_dev < 0)
		n->n_ifindex = function_interfaces(k, &n->addr, n->ifindex, ARRAY_SIZE(n->ifindex));
}

static void describe_all(struct kernel *k, struct host_scan *s)
{
	const struct nic *first = NULL;

	for (size_t i = 0; i < s->n_nics; i++) {
		find_children(k, &s->nics[i]);
		if (s->nics[i].kind != NIC_VF)
			describe(k, &s->nics[i]);
	}
	/* By PF and index: a PF's first VF stands before its siblings. */
	for (size_t i = 0; i < s->n_by_vf; i++) {
		struct nic *vf = &s->nics[s->by_vf[i]];

		if (first && pci_addr_eq(&vf->pf, &first->pf)) {
			nic_describe_like(vf, first);
		} else {
			describe(k, vf);
			first = vf;
		}
	}
}

static int scan_functions(struct scan *sc, struct host_scan *ret, struct vnet_err *err)
{
	int r = list_functions(sc, err);

	if (r < 0)
		return r;
	find_drivers(sc);
	for (size_t i = 0; i < sc->n; i++) {
		if (sc->fns[i].kind != NIC_VF)
			look_at_function(sc, &sc->fns[i]);
	}
	r = collect_groups(sc);
	if (r == 0) {
		drop_unwanted(sc);
		ret->nics = sc->fns;
		ret->n_nics = sc->n;
		r = host_scan_sort(ret);
	}
	if (r < 0)
		return vnet_err_errno(err, r, "list PCI functions");
	describe_all(sc->k, ret);
	return 0;
}

int host_scan_nics(struct kernel *k, struct host_scan *ret, struct vnet_err *err)
{
	struct scan sc = { .k = k };
	struct host_scan s = { 0 };
	int r;

	r = scan_functions(&sc, &s, err);
	free(sc.groups);
	if (!s.nics)
		free(sc.fns);
	if (r == 0)
		r = facts_scan(k, &s, err);
	if (r == 0)
		r = k->ops->holders(k, &s, err);
	if (r < 0) {
		host_scan_done(&s);
		return r;
	}
	/* The other two parts stay with *ret. */
	s.links = take_ptr(ret->links);
	s.n_links = ret->n_links;
	s.vfs = take_ptr(ret->vfs);
	s.n_vfs = ret->n_vfs;
	host_scan_done(ret);
	*ret = s;
	return 0;
}

int host_scan_links(struct kernel *k, struct host_scan *ret, struct vnet_err *err)
{
	struct host_scan s = { 0 };
	int r = k->ops->links(k, &s, err);

	if (r == 0) {
		free(ret->links);
		ret->links = take_ptr(s.links);
		ret->n_links = s.n_links;
		if (host_scan_sort(ret) < 0)
			r = vnet_err_errno(err, -ENOMEM, "list interfaces");
	}
	host_scan_done(&s);
	return r;
}

int host_scan_vfs(struct kernel *k, const struct pci_addr *pf, struct host_scan *ret,
		  struct vnet_err *err)
{
	_cleanup_free_ struct vf_attrs *rows = NULL;
	struct vf_attrs *all;
	size_t n_rows = 0, n = 0;
	int r;

	r = k->ops->vf_get(k, pf, &rows, &n_rows, err);
	if (r < 0)
		return r;
	all = calloc(ret->n_vfs + n_rows + 1, sizeof(*all));
	if (!all)
		return vnet_err_errno(err, -ENOMEM, "read VF attributes");
	for (size_t i = 0; i < ret->n_vfs; i++) {
		if (!pci_addr_eq(&ret->vfs[i].pf, pf))
			all[n++] = ret->vfs[i];
	}
	if (n_rows)
		memcpy(all + n, rows, n_rows * sizeof(*all));
	free(ret->vfs);
	ret->vfs = all;
	ret->n_vfs = n + n_rows;
	return host_scan_sort(ret) < 0 ? vnet_err_errno(err, -ENOMEM, "read VF attributes") : 0;
}
