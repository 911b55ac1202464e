/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/facts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "lib/cleanup.h"
#include "lib/file.h"

#define DEVICES_MAX 16384
#define IRQS_MAX 128 /* where interrupts are remapped, nearly every one shows it */

static bool has_x86_iommu(struct kernel *k)
{
	_cleanup_closedir_ DIR *d = kernel_opendir(k, "sys/class/iommu");
	const struct dirent *e;

	while (d && (e = next_entry(d))) {
		if (suffix_number(e->d_name, "dmar") >= 0 || suffix_number(e->d_name, "ivhd") >= 0)
			return true;
	}
	return false;
}

/*
 * The kernel has no flag for it, but on x86 the interrupt chips of remapped
 * interrupts are called "IR-PCI-MSI", "IR-IO-APIC". None of them beside an Intel or
 * AMD IOMMU: not remapped. Elsewhere (ARM's GIC isolates in its own way, no IOMMU
 * at all) the names say nothing.
 */
static int interrupt_remapping(struct kernel *k)
{
	_cleanup_closedir_ DIR *d = kernel_opendir(k, "sys/kernel/irq");
	const struct dirent *e;
	char chip[64];
	int seen = 0;

	while (d && seen < IRQS_MAX && (e = next_entry(d))) {
		if (kernel_read(k, chip, sizeof(chip), "sys/kernel/irq/%s/chip_name", e->d_name) <=
		    0)
			continue;
		if (!strncmp(chip, "IR-", 3))
			return 1;
		seen++;
	}
	return seen && has_x86_iommu(k) ? 0 : -1;
}

/* Each PCI address among a path's components, the last one: the function below
 * which it lies. */
static void innermost_function(const char *path, struct pci_addr *ret)
{
	char part[64];

	while (*path) {
		size_t len = strcspn(path, "/");
		struct pci_addr addr;

		if (len < sizeof(part)) {
			memcpy(part, path, len);
			part[len] = '\0';
			if (pci_addr_parse(part, &addr) == 0)
				*ret = addr;
		}
		path += len;
		path += *path == '/';
	}
}

int facts_vhost_vdpa(struct kernel *k, const char *name)
{
	_cleanup_closedir_ DIR *d = kernel_opendir(k, VDPA_DEVICES "/%s", name);
	const struct dirent *e;
	int n = -1;

	while (d && n < 0 && (e = next_entry(d)))
		n = suffix_number(e->d_name, "vhost-vdpa-");
	return n;
}

bool facts_vdpa_at(struct kernel *k, int number, char ret[static VDPA_NAME_MAX])
{
	_cleanup_closedir_ DIR *d = kernel_opendir(k, VDPA_DEVICES);
	const struct dirent *e;

	while (d && (e = next_entry(d))) {
		if (strlen(e->d_name) < VDPA_NAME_MAX &&
		    kernel_exists(k, VDPA_DEVICES "/%s/vhost-vdpa-%d", e->d_name, number)) {
			strcpy(ret, e->d_name);
			return true;
		}
	}
	return false;
}

/* As `vdpa mgmtdev` spells it: the parent's bus, where it has one, and its name. */
static void name_mgmtdev(struct kernel *k, struct vdpa_dev *v, const char *target)
{
	char parent[32] = "", bus[15];
	const char *end = strrchr(target, '/'), *start;

	if (!end)
		return;
	for (start = end; start > target && start[-1] != '/';)
		start--;
	snprintf(parent, sizeof(parent), "%.*s", (int)(end - start), start);
	if (kernel_readlink_base(k, bus, sizeof(bus), VDPA_DEVICES "/%s/../subsystem", v->name) > 0)
		snprintf(v->mgmtdev, sizeof(v->mgmtdev), "%s/%s", bus, parent);
	else
		snprintf(v->mgmtdev, sizeof(v->mgmtdev), "%s", parent);
}

static bool read_vdpa(struct kernel *k, const char *name, struct vdpa_dev *v)
{
	char path[SYSFS_PATH_MAX], target[SYSFS_PATH_MAX];
	int vhost;

	if (strlen(name) >= sizeof(v->name))
		return false;
	*v = (struct vdpa_dev){ 0 };
	snprintf(v->name, sizeof(v->name), "%s", name);
	snprintf(path, sizeof(path), VDPA_DEVICES "/%s", name);
	if (file_readlink_at(k->rootfd, path, target, sizeof(target)) < 0)
		return false;
	name_mgmtdev(k, v, target);
	innermost_function(target, &v->pci);
	if (kernel_readlink_base(k, v->driver, sizeof(v->driver), VDPA_DEVICES "/%s/driver", name) <
	    0)
		v->driver[0] = '\0';
	vhost = facts_vhost_vdpa(k, name);
	if (vhost >= 0)
		snprintf(v->chardev, sizeof(v->chardev), "/dev/vhost-vdpa-%d", vhost);
	return true;
}

void facts_vdpa_parent(struct kernel *k, const char *name, char ret[static VDPA_MGMTDEV_MAX])
{
	struct vdpa_dev v = { 0 };

	if (read_vdpa(k, name, &v))
		memcpy(ret, v.mgmtdev, sizeof(v.mgmtdev));
	else
		ret[0] = '\0';
}

static int cmp_vdpa(const void *a, const void *b)
{
	return strcmp(((const struct vdpa_dev *)a)->name, ((const struct vdpa_dev *)b)->name);
}

static int scan_vdpas(struct kernel *k, struct host_scan *s)
{
	_cleanup_closedir_ DIR *d = kernel_opendir(k, VDPA_DEVICES);
	const struct dirent *e;

	s->has_vdpa = d != NULL;
	while (d && (e = next_entry(d))) {
		struct vdpa_dev v, *more;

		if (!read_vdpa(k, e->d_name, &v))
			continue;
		more = reallocarray(s->vdpas, s->n_vdpas + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->vdpas = more;
		s->vdpas[s->n_vdpas++] = v;
	}
	if (s->n_vdpas)
		qsort(s->vdpas, s->n_vdpas, sizeof(*s->vdpas), cmp_vdpa);
	return 0;
}

bool facts_vdpa_of(struct kernel *k, const struct pci_addr *addr, char *ret, size_t size)
{
	_cleanup_closedir_ DIR *d = kernel_opendir(k, VDPA_DEVICES);
	const struct dirent *e;

	while (d && (e = next_entry(d))) {
		struct vdpa_dev v;

		if (!read_vdpa(k, e->d_name, &v) || !pci_addr_eq(&v.pci, addr))
			continue;
		snprintf(ret, size, "%s", v.name);
		return true;
	}
	return false;
}

/* A kernel may have iommufd, and a VFIO without device nodes: those have a number of their own
 * from the moment that VFIO is loaded. */
static bool has_vfio_cdev(struct kernel *k)
{
	char text[DEVICES_MAX];

	return kernel_read(k, text, sizeof(text), "proc/devices") <= 0 || strstr(text, " vfio-dev");
}

int facts_scan(struct kernel *k, struct host_scan *s, struct vnet_err *err)
{
	char flag[8];

	s->has_iommufd = kernel_exists(k, "dev/iommu") && has_vfio_cdev(k);
	s->has_vfio_pci = kernel_exists(k, PCI_DRIVERS "/vfio-pci");
	s->has_tun = kernel_exists(k, "dev/net/tun");
	s->has_vhost_net = kernel_exists(k, "dev/vhost-net");
	s->has_vhost_vdpa = kernel_exists(k, "sys/bus/vdpa/drivers/vhost_vdpa");
	s->intr_remap = interrupt_remapping(k);
	s->unsafe_interrupts =
		kernel_read(k, flag, sizeof(flag),
			    "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts") > 0 &&
		flag[0] == 'Y';
	if (scan_vdpas(k, s) < 0)
		return vnet_err_errno(err, -ENOMEM, "list vDPA devices");
	return 0;
}
