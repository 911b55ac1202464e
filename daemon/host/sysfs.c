/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small readers of sysfs that more than one file needs. Everything read here is
 * free of device locks, so that it answers also while a PF is stuck.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "lib/cleanup.h"

const struct dirent *next_entry(DIR *d)
{
	const struct dirent *e;

	do
		e = readdir(d);
	while (e && (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")));
	return e;
}

int suffix_number(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);
	long n;
	char *end;

	if (strncmp(name, prefix, len) != 0 || !isdigit((unsigned char)name[len]))
		return -1;
	errno = 0;
	n = strtol(name + len, &end, 10);
	return errno || *end || n > INT32_MAX ? -1 : (int)n;
}

bool is_component(const char *name)
{
	return *name && *name != '.' && strlen(name) < DRIVER_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.+") ==
		       strlen(name);
}

int count_vfs(struct kernel *k, const struct pci_addr *pf)
{
	_cleanup_closedir_ DIR *d = NULL;
	char addr[PCI_ADDR_STR];
	const struct dirent *e;
	int n = 0;

	d = kernel_opendir(k, PCI_DEVICES "/%s", pci_addr_str(pf, addr));
	if (!d)
		return -errno;
	while ((e = next_entry(d)))
		n += suffix_number(e->d_name, "virtfn") >= 0;
	return n;
}

/* Keep the @max smallest, in order. */
static unsigned insert_sorted(int *v, unsigned n, unsigned max, int value)
{
	unsigned i;

	if (n == max) {
		if (value >= v[n - 1])
			return n;
		n--;
	}
	for (i = n; i > 0 && v[i - 1] > value; i--)
		v[i] = v[i - 1];
	v[i] = value;
	return n + 1;
}

static unsigned interfaces_in(struct kernel *k, const char *dir, int *ret, unsigned n, unsigned max)
{
	_cleanup_closedir_ DIR *d = kernel_opendir(k, "%s", dir);
	const struct dirent *e;

	while (d && (e = next_entry(d))) {
		int ifindex = (int)kernel_read_number(k, 0, "%s/%s/ifindex", dir, e->d_name);

		if (ifindex > 0)
			n = insert_sorted(ret, n, max, ifindex);
	}
	return n;
}

unsigned interfaces_below(struct kernel *k, const char *dir, int *ret, unsigned max)
{
	_cleanup_closedir_ DIR *d = kernel_opendir(k, "%s", dir);
	char net[SYSFS_PATH_MAX];
	const struct dirent *e;
	unsigned n = 0;

	while (d && (e = next_entry(d))) {
		/* A virtio NIC's interface hangs below the virtio device. */
		if (!strcmp(e->d_name, "net"))
			snprintf(net, sizeof(net), "%.128s/net", dir);
		else if (suffix_number(e->d_name, "virtio") >= 0)
			snprintf(net, sizeof(net), "%.128s/%.64s/net", dir, e->d_name);
		else
			continue;
		n = interfaces_in(k, net, ret, n, max);
	}
	return n;
}

unsigned function_interfaces(struct kernel *k, const struct pci_addr *addr, int *ret, unsigned max)
{
	char dir[SYSFS_PATH_MAX / 4], bdf[PCI_ADDR_STR];

	snprintf(dir, sizeof(dir), PCI_DEVICES "/%s", pci_addr_str(addr, bdf));
	return interfaces_below(k, dir, ret, max);
}

/* In switchdev mode the PF's net/ lists its uplink and a representor for each VF:
 * "p0" against "pf0vf3". Reading it takes RTNL, which a worker may wait for. */
static bool is_representor(struct kernel *k, const char *pf, const char *ifname)
{
	char port[32];

	return kernel_read(k, port, sizeof(port), PCI_DEVICES "/%s/net/%s/phys_port_name", pf,
			   ifname) > 0 &&
	       strstr(port, "pf");
}

int pf_interface(struct kernel *k, const struct pci_addr *pf, char name[static IF_NAMESIZE],
		 int *ret_ifindex, struct vnet_err *err)
{
	_cleanup_closedir_ DIR *d = NULL;
	char addr[PCI_ADDR_STR];
	const struct dirent *e;
	int best = 0;

	d = kernel_opendir(k, PCI_DEVICES "/%s/net", pci_addr_str(pf, addr));
	while (d && (e = next_entry(d))) {
		int ifindex = (int)kernel_read_number(k, 0, PCI_DEVICES "/%s/net/%s/ifindex", addr,
						      e->d_name);

		if (ifindex <= 0 || strlen(e->d_name) >= IF_NAMESIZE || (best && ifindex > best) ||
		    is_representor(k, addr, e->d_name))
			continue;
		best = ifindex;
		strcpy(name, e->d_name);
	}
	if (!best)
		return vnet_err_set(
			err, -ENODEV, VNET_E_FAILED,
			"PF %s has no network interface in the host's namespace: load its driver, or move "
			"the interface back",
			addr);
	*ret_ifindex = best;
	return 0;
}

int function_vfio_dev(struct kernel *k, const struct pci_addr *addr)
{
	_cleanup_closedir_ DIR *d = NULL;
	char bdf[PCI_ADDR_STR];
	const struct dirent *e;

	d = kernel_opendir(k, PCI_DEVICES "/%s/vfio-dev", pci_addr_str(addr, bdf));
	while (d && (e = next_entry(d))) {
		int n = suffix_number(e->d_name, "vfio");

		if (n >= 0)
			return n;
	}
	return -1;
}

int parse_pf_object(const char *object, struct pci_addr *ret, struct vnet_err *err)
{
	if (pci_addr_parse(object, ret) == 0)
		return 0;
	return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
			    "'%.64s' is no PF: expected a PCI address like 0000:65:00.0", object);
}

int parse_vf_object(const char *object, struct pci_addr *ret_pf, unsigned *ret_index,
		    struct vnet_err *err)
{
	if (vf_object_parse(object, ret_pf, ret_index) == 0)
		return 0;
	return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
			    "'%.64s' is no VF: expected PF and index like 0000:65:00.0/vf3",
			    object);
}
