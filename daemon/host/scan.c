/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation. A host may have thousands of VFs and a PF that is stuck in
 * the kernel, so the scan (a) asks a VF for nothing that its siblings know: all VFs
 * of a PF have the ids, class, node and capabilities of the first; (b) asks of each
 * VF by itself only its IOMMU group and, where it is bound to VFIO, its number there;
 * what it is bound to, where it lies and which interface it has comes from lists; and
 * (c) reads nothing that takes a device lock: not sriov_numvfs (virtfnN links are
 * counted), uevent, or driver_override, which takes the lock on most kernels and stays
 * unknown here (the driver knob reads it).
 *
 * Order: interfaces; addresses; drivers, by listing each driver's directory once; every
 * function that is no VF, with its class and group; below a PF, its VFs by their
 * virtfnN links; then what is neither a network function, nor in a group with one,
 * nor SR-IOV goes, and the rest is described. A VF's address is above its PF's, so
 * by then it is known as a VF.
 *
 * libudev does not list the functions: to make a list it looks each of them up by
 * itself, with some forty system calls, of which we need nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "daemon/host/facts.h"
#include "daemon/host/listing.h"
#include "lib/cleanup.h"
#include "lib/file.h"

#define CLASS_NETWORK 0x02
#define CLASS_BRIDGE 0x0604
#define VFS_MAX 65536 /* as SR-IOV counts them */

/* A number that something at @addr has: an interface's index, a VFIO device's. */
struct numbered {
	struct pci_addr addr;
	int number;
};

struct table {
	struct numbered *rows; /* by address, then number */
	size_t n;
};

struct scan {
	struct kernel *k;
	int devices;	 /* where paths begin that are asked of each VF */
	struct nic *fns; /* every PCI function, by address */
	size_t n;
	int *groups; /* of network functions, sorted */
	size_t n_groups;
	struct table links; /* what netlink says of whose interface each is */
	struct table vfios;
};

/* ---- tables ---- */

static int table_add(struct table *t, const struct pci_addr *addr, int number)
{
	struct numbered *more;

	if (!(t->n & (t->n - 1))) {
		more = reallocarray(t->rows, t->n ? 2 * t->n : 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		t->rows = more;
	}
	t->rows[t->n++] = (struct numbered){ *addr, number };
	return 0;
}

static int cmp_numbered(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;
	int r = pci_addr_cmp(&x->addr, &y->addr);

	return r ? r : (x->number > y->number) - (x->number < y->number);
}

static void table_sort(struct table *t)
{
	if (t->n)
		qsort(t->rows, t->n, sizeof(*t->rows), cmp_numbered);
}

/* At most @max numbers of @addr, which are the smallest. */
static unsigned table_get(const struct table *t, const struct pci_addr *addr, int *ret,
			  unsigned max)
{
	size_t low = 0, high = t->n;
	unsigned n = 0;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (pci_addr_cmp(&t->rows[mid].addr, addr) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < t->n && n < max && pci_addr_eq(&t->rows[low].addr, addr); low++)
		ret[n++] = t->rows[low].number;
	return n;
}

/* /sys/class/vfio-dev has a link ".../0000:01:10.2/vfio-dev/vfio7" for each, so one look
 * a device instead of a listing. Where it is missing the functions are listed. */
static int list_vfios(struct scan *sc)
{
	static const char between[] = "/vfio-dev/";
	_cleanup_listing_ struct listing l;
	const char *name;

	if (!listing_open(&l, sc->k->rootfd, "sys/class/vfio-dev"))
		return 0;
	while ((name = listing_next(&l, NULL))) {
		char target[SYSFS_PATH_MAX], *end;
		struct pci_addr addr;
		const char *start;
		int n = suffix_number(name, "vfio");

		if (n < 0 || file_readlink_at(l.fd, name, target, sizeof(target)) < 0)
			continue;
		end = strstr(target, between);
		if (!end)
			continue;
		*end = '\0';
		start = strrchr(target, '/');
		if (pci_addr_parse(start ? start + 1 : target, &addr) == 0 &&
		    table_add(&sc->vfios, &addr, n) < 0)
			return -ENOMEM;
	}
	table_sort(&sc->vfios);
	return 0;
}

static int index_links(struct scan *sc, const struct host_scan *s)
{
	for (size_t i = 0; i < s->n_links; i++) {
		const struct link *l = &s->links[i];

		if (l->pci.set && table_add(&sc->links, &l->pci, l->ifindex) < 0)
			return -ENOMEM;
	}
	table_sort(&sc->links);
	return 0;
}

/* ---- functions ---- */

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

static int cmp_nic(const void *a, const void *b)
{
	return pci_addr_cmp(&((const struct nic *)a)->addr, &((const struct nic *)b)->addr);
}

static int list_functions(struct scan *sc)
{
	_cleanup_listing_ struct listing l;
	const char *name;
	int r = 0;

	if (!listing_open(&l, sc->k->rootfd, PCI_DEVICES))
		return errno == ENOENT ? 0 : -errno; /* a host without PCI */
	while (r == 0 && (name = listing_next(&l, NULL)))
		r = add_function(sc, name);
	if (r == 0 && sc->n)
		qsort(sc->fns, sc->n, sizeof(*sc->fns), cmp_nic);
	sc->devices = take_fd(&l.fd);
	return r;
}

static struct nic *find(struct scan *sc, const struct pci_addr *addr)
{
	struct nic key = { .addr = *addr };

	return sc->n ? bsearch(&key, sc->fns, sc->n, sizeof(key), cmp_nic) : NULL;
}

static void find_bound(struct scan *sc, int drivers, const char *driver)
{
	_cleanup_listing_ struct listing l;
	const char *name;

	if (!listing_open(&l, drivers, driver))
		return;
	while ((name = listing_next(&l, NULL))) {
		struct pci_addr addr;
		struct nic *n = pci_addr_parse(name, &addr) < 0 ? NULL : find(sc, &addr);

		if (n)
			memcpy(n->driver, driver, strlen(driver) + 1);
	}
}

/* One listing a driver instead of one readlink a function. */
static void find_drivers(struct scan *sc)
{
	_cleanup_listing_ struct listing l;
	const char *name;

	if (!listing_open(&l, sc->k->rootfd, PCI_DRIVERS))
		return;
	while ((name = listing_next(&l, NULL))) {
		if (strlen(name) < DRIVER_NAME_MAX)
			find_bound(sc, l.fd, name);
	}
}

static int read_group(const struct scan *sc, const char *addr)
{
	char path[PCI_ADDR_STR + sizeof("/iommu_group")], group[16];

	snprintf(path, sizeof(path), "%s/iommu_group", addr);
	if (file_readlink_base_at(sc->devices, path, group, sizeof(group)) < 0)
		return -1;
	return suffix_number(group, "");
}

/* ---- VFs ---- */

static bool follow_virtfn(int pf_fd, int index, struct pci_addr *ret)
{
	char name[24], base[64];

	snprintf(name, sizeof(name), "virtfn%d", index);
	return file_readlink_base_at(pf_fd, name, base, sizeof(base)) >= 0 &&
	       pci_addr_parse(base, ret) == 0;
}

static int routing_id(const struct pci_addr *a)
{
	return a->bus << 8 | a->dev << 3 | a->fn;
}

/* VF @index, where the first one and the distance are known. */
static struct pci_addr vf_at(const struct pci_addr *first, int distance, int index)
{
	int rid = routing_id(first) + distance * index;

	return (struct pci_addr){
		.set = true,
		.domain = first->domain,
		.bus = (uint8_t)(rid >> 8),
		.dev = (uint8_t)(rid >> 3 & 31),
		.fn = (uint8_t)(rid & 7),
	};
}

/*
 * VFs lie at equal distances (SR-IOV specification: First VF Offset, VF Stride), and
 * three links say which: the first two and the last. False where they do not agree
 * (VFs come or go at this moment, or it is no such host): then each link is followed.
 */
static bool vf_distance(int pf_fd, int n, struct pci_addr *ret_first, int *ret_distance)
{
	struct pci_addr second, last;
	int distance;

	if (n < 3 || !follow_virtfn(pf_fd, 0, ret_first) || !follow_virtfn(pf_fd, 1, &second) ||
	    !follow_virtfn(pf_fd, n - 1, &last))
		return false;
	distance = routing_id(&second) - routing_id(ret_first);
	*ret_distance = distance;
	return distance > 0 && ret_first->domain == last.domain &&
	       routing_id(&last) == routing_id(ret_first) + distance * (n - 1);
}

static void found_vf(struct scan *sc, const struct nic *pf, const struct pci_addr *addr, int index)
{
	struct nic *vf = find(sc, addr);
	char vf_addr[PCI_ADDR_STR];

	if (!vf || vf == pf)
		return;
	vf->kind = NIC_VF;
	vf->pf = pf->addr;
	vf->vf_index = index;
	vf->iommu_group = read_group(sc, pci_addr_str(addr, vf_addr));
	vf->class = pf->class;
	vf->network = pf->network;
}

/* The VFs that @pf's links name; those that came after the listing are announced
 * by an event and found by the next scan. */
static void find_vfs(struct scan *sc, struct nic *pf, struct listing *l)
{
	struct pci_addr first, addr;
	const char *name;
	ino_t inode;
	int max = -1, distance = 0;
	bool even;

	while ((name = listing_next(l, &inode))) {
		int index = suffix_number(name, "virtfn");

		if (index < 0 || index >= VFS_MAX)
			continue;
		pf->num_vfs++;
		max = index > max ? index : max;
		if (index == 0)
			pf->vfs_id = inode;
	}
	even = max + 1 == pf->num_vfs && vf_distance(l->fd, pf->num_vfs, &first, &distance);
	for (int i = 0; i <= max; i++) {
		if (even)
			addr = vf_at(&first, distance, i);
		else if (!follow_virtfn(l->fd, i, &addr))
			continue;
		found_vf(sc, pf, &addr, i);
	}
}

static void look_at_pf(struct scan *sc, struct nic *n, const char *addr)
{
	_cleanup_listing_ struct listing l;

	n->kind = NIC_PF;
	if (listing_open(&l, sc->devices, addr))
		find_vfs(sc, n, &l);
	n->autoprobe =
		(int)kernel_read_number(sc->k, -1, PCI_DEVICES "/%s/sriov_drivers_autoprobe", addr);
}

static void look_at_function(struct scan *sc, struct nic *n)
{
	char addr[PCI_ADDR_STR];
	struct kernel *k = sc->k;
	long long class, vfs;

	pci_addr_str(&n->addr, addr);
	class = kernel_read_number(k, -1, PCI_DEVICES "/%s/class", addr);
	if (class < 0 && !kernel_exists(k, PCI_DEVICES "/%s", addr)) {
		n->addr.set = false; /* gone meanwhile */
		return;
	}
	n->class = class < 0 ? 0 : (uint32_t) class & 0xffffff;
	n->network = n->class >> 16 == CLASS_NETWORK;
	n->bridge = n->class >> 8 == CLASS_BRIDGE;
	n->iommu_group = read_group(sc, addr);
	vfs = kernel_read_number(k, -1, PCI_DEVICES "/%s/sriov_totalvfs", addr);
	if (vfs >= 0) {
		n->total_vfs = (int)vfs;
		look_at_pf(sc, n, addr);
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

/* What its driver made of it: an interface, or a VFIO device. What the lists do not
 * know of is looked for below the function: a virtio NIC's interface hangs one deeper. */
static void find_children(struct scan *sc, struct nic *n)
{
	if (!*n->driver)
		return;
	n->vfio_dev = -1;
	if (strstr(n->driver, "vfio") && !table_get(&sc->vfios, &n->addr, &n->vfio_dev, 1))
		n->vfio_dev = function_vfio_dev(sc->k, &n->addr);
	if (!n->network || n->vfio_dev >= 0)
		return;
	n->n_ifindex = table_get(&sc->links, &n->addr, n->ifindex, ARRAY_SIZE(n->ifindex));
	if (!n->n_ifindex)
		n->n_ifindex =
			function_interfaces(sc->k, &n->addr, n->ifindex, ARRAY_SIZE(n->ifindex));
}

static void describe_all(struct scan *sc, struct host_scan *s)
{
	struct kernel *k = sc->k;
	const struct nic *first = NULL;

	for (size_t i = 0; i < s->n_nics; i++) {
		find_children(sc, &s->nics[i]);
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

static int scan_functions(struct scan *sc, struct host_scan *ret)
{
	int r = list_functions(sc);

	if (r == 0)
		r = list_vfios(sc);
	if (r < 0)
		return r;
	find_drivers(sc);
	for (size_t i = 0; i < sc->n; i++) {
		if (sc->fns[i].kind != NIC_VF)
			look_at_function(sc, &sc->fns[i]);
	}
	r = collect_groups(sc);
	if (r < 0)
		return r;
	drop_unwanted(sc);
	ret->nics = take_ptr(sc->fns);
	ret->n_nics = sc->n;
	r = host_scan_sort(ret);
	if (r == 0)
		describe_all(sc, ret);
	return r;
}

static void scan_done(struct scan *sc)
{
	close_fd(sc->devices);
	free(sc->fns);
	free(sc->groups);
	free(sc->links.rows);
	free(sc->vfios.rows);
}

int host_scan_nics(struct kernel *k, struct host_scan *ret, struct vnet_err *err)
{
	struct scan sc = { .k = k, .devices = -1 };
	struct host_scan s = { 0 };
	int r;

	r = host_scan_links(k, &s, err);
	if (r == 0) {
		r = index_links(&sc, &s);
		if (r == 0)
			r = scan_functions(&sc, &s);
		if (r < 0)
			vnet_err_errno(err, r, "list PCI functions");
	}
	scan_done(&sc);
	if (r == 0)
		r = facts_scan(k, &s, err);
	if (r == 0)
		r = k->ops->holders(k, &s, err);
	if (r < 0) {
		host_scan_done(&s);
		return r;
	}
	s.vfs = take_ptr(ret->vfs); /* the other parts stay with *ret */
	s.n_vfs = ret->n_vfs;
	s.mgmtdevs = take_ptr(ret->mgmtdevs);
	s.n_mgmtdevs = ret->n_mgmtdevs;
	host_scan_done(ret);
	*ret = s;
	return 0;
}

/* Only who has what open: as for a scan that is not old. */
int host_scan_holders(struct kernel *k, struct host_scan *ret, struct vnet_err *err)
{
	struct host_scan s = { 0 };
	int r = k->ops->holders(k, &s, err);

	if (r == 0) {
		free(ret->holders);
		ret->holders = take_ptr(s.holders);
		ret->n_holders = s.n_holders;
	}
	host_scan_done(&s);
	return r;
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
