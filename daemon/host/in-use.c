/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/in-use.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "daemon/host/facts.h"
#include "daemon/host/holders.h"
#include "lib/cleanup.h"

static int in_use(struct vnet_err *err, const char *who, const char *how)
{
	return vnet_err_set(err, -EBUSY, VNET_E_IN_USE, "in use by %s, %s", who, how);
}

/* By @group or @vfio_dev, whichever is not -1; NULL: nobody that /proc shows us. */
static const struct holder *find_holder(const struct host_scan *s, int group, int vfio_dev)
{
	for (size_t i = 0; i < s->n_holders; i++) {
		const struct holder *h = &s->holders[i];

		if ((group >= 0 && h->iommu_group == group) ||
		    (vfio_dev >= 0 && h->vfio_dev == vfio_dev))
			return h;
	}
	return NULL;
}

static int refuse_holder(const struct holder *h, struct vnet_err *err)
{
	char who[HOLDER_STR];

	return in_use(err, holder_str(h, who), h->node);
}

static int take_fence(struct kernel *k, int group, int *ret_fd, struct vnet_err *err)
{
	struct host_scan s = { 0 };
	const struct holder *h;
	int r = k->ops->fence(k, group, ret_fd);

	if (r == 0 || r == -ENOENT)
		return 0;
	if (r != -EBUSY)
		return vnet_err_errno(err, r, "open /dev/vfio/%d as a fence", group);
	/* Who it is, is a courtesy: without it the refusal stands all the same. */
	if (k->ops->holders(k, &s, NULL) == 0 && (h = find_holder(&s, group, -1)))
		r = refuse_holder(h, err);
	else
		r = vnet_err_set(err, -EBUSY, VNET_E_IN_USE,
				 "in use: somebody that /proc does not show has /dev/vfio/%d open",
				 group);
	host_scan_done(&s);
	return r;
}

int check_vfio_free(struct kernel *k, const struct pci_addr *addr, int *ret_fd,
		    struct vnet_err *err)
{
	char bdf[PCI_ADDR_STR], text[16];
	int vfio_dev = function_vfio_dev(k, addr), group = -1, r = 0;
	struct host_scan s = { 0 };
	_cleanup_close_ int fd = -1;
	const struct holder *h;

	if (kernel_readlink_base(k, text, sizeof(text), PCI_DEVICES "/%s/iommu_group",
				 pci_addr_str(addr, bdf)) > 0)
		group = suffix_number(text, "");
	if (group >= 0)
		r = take_fence(k, group, &fd, err);
	if (r < 0)
		return r;
	/* A cdev that is open does not show as EBUSY of its group, but an unbind waits
	 * for it as well. Without a group node /proc is all there is for both. */
	r = k->ops->holders(k, &s, err);
	if (r == 0 && (h = find_holder(&s, fd < 0 ? group : -1, vfio_dev)))
		r = refuse_holder(h, err);
	host_scan_done(&s);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

/* @is_vf: a VF is up for its own sake, a PF may be for its VFs'. */
static int check_link(const struct host_scan *s, const struct link *l, bool is_vf,
		      struct vnet_err *err)
{
	const struct link *master = l->master ? host_scan_link(s, l->master) : NULL;
	char how[64];

	if (l->up && is_vf)
		return in_use(err, "the host", "its interface is up");
	if (l->master) {
		snprintf(how, sizeof(how), "its interface is in %s",
			 master ? master->name : "a bridge");
		return in_use(err, "the host", how);
	}
	if (l->addresses)
		return in_use(err, "the host", "its interface has addresses");
	if (l->routes)
		return in_use(err, "the host", "routes go through its interface");
	for (size_t i = 0; i < s->n_links; i++) {
		if (s->links[i].lower != l->ifindex)
			continue;
		snprintf(how, sizeof(how), "%s is on top of its interface", s->links[i].name);
		return in_use(err, "the host", how);
	}
	return 0;
}

/* net/ shows what is in our namespace; the folder itself stays as long as there is
 * an interface in any. */
static bool has_net(struct kernel *k, const char *dir)
{
	_cleanup_closedir_ DIR *d = NULL;
	const struct dirent *e;

	if (kernel_exists(k, "%s/net", dir))
		return true;
	d = kernel_opendir(k, "%s", dir);
	while (d && (e = next_entry(d))) {
		if (suffix_number(e->d_name, "virtio") >= 0 &&
		    kernel_exists(k, "%s/%s/net", dir, e->d_name))
			return true;
	}
	return false;
}

/* Interfaces that the driver of the device at @dir made. */
static int check_links(struct kernel *k, const char *dir, struct vnet_err *err)
{
	/* Its interface being up is use of all but a PF, which is up for its VFs' sake. */
	bool is_vf = kernel_exists(k, "%s/physfn", dir) ||
		     strncmp(dir, VDPA_DEVICES, strlen(VDPA_DEVICES)) == 0;
	struct host_scan s = { 0 };
	int ifindex[8], r;
	unsigned n;

	if (!has_net(k, dir))
		return 0;
	n = interfaces_below(k, dir, ifindex, ARRAY_SIZE(ifindex));
	if (!n)
		return in_use(err, "the host", "its interface is in another network namespace");
	r = k->ops->links(k, &s, err);
	for (unsigned i = 0; r == 0 && i < n; i++) {
		const struct link *l = host_scan_link(&s, ifindex[i]);

		if (l)
			r = check_link(&s, l, is_vf, err);
	}
	host_scan_done(&s);
	return r;
}

/* DPDK on igb_uio or uio_pci_generic. */
static int check_uio(struct kernel *k, const char *bdf, struct vnet_err *err)
{
	_cleanup_closedir_ DIR *d = kernel_opendir(k, PCI_DEVICES "/%s/uio", bdf);
	const struct dirent *e;
	struct host_scan s = { 0 };
	char node[48];
	int r;

	if (!d)
		return 0;
	r = k->ops->holders(k, &s, err);
	while (r == 0 && (e = next_entry(d))) {
		snprintf(node, sizeof(node), "/dev/%.32s", e->d_name);
		for (size_t i = 0; r == 0 && i < s.n_holders; i++) {
			if (!strcmp(s.holders[i].node, node))
				r = refuse_holder(&s.holders[i], err);
		}
	}
	host_scan_done(&s);
	return r;
}

int check_native_free(struct kernel *k, const struct pci_addr *addr, struct vnet_err *err)
{
	char bdf[PCI_ADDR_STR], dir[64], vdpa[VDPA_NAME_MAX], how[80];
	int r;

	snprintf(dir, sizeof(dir), PCI_DEVICES "/%s", pci_addr_str(addr, bdf));
	if (facts_vdpa_of(k, addr, vdpa, sizeof(vdpa))) {
		snprintf(how, sizeof(how), "vDPA device %s is made from it", vdpa);
		return in_use(err, "the host", how);
	}
	r = check_links(k, dir, err);
	return r < 0 ? r : check_uio(k, bdf, err);
}

int check_vdpa_free(struct kernel *k, const char *name, struct vnet_err *err)
{
	int vhost = facts_vhost_vdpa(k, name), r = 0;
	char dir[64 + VDPA_NAME_MAX], node[32];
	struct host_scan s = { 0 };

	snprintf(dir, sizeof(dir), VDPA_DEVICES "/%s", name);
	if (vhost < 0)
		return check_links(k, dir, err);
	snprintf(node, sizeof(node), "/dev/vhost-vdpa-%d", vhost);
	r = k->ops->holders(k, &s, err);
	for (size_t i = 0; r == 0 && i < s.n_holders; i++) {
		if (!strcmp(s.holders[i].node, node))
			r = refuse_holder(&s.holders[i], err);
	}
	host_scan_done(&s);
	return r;
}

int check_group_free(struct kernel *k, const char *bdf, struct vnet_err *err)
{
	_cleanup_closedir_ DIR *d = kernel_opendir(k, PCI_DEVICES "/%s/iommu_group/devices", bdf);
	char driver[DRIVER_NAME_MAX];
	const struct dirent *e;

	while (d && (e = next_entry(d))) {
		if (!strcmp(e->d_name, bdf) ||
		    kernel_readlink_base(k, driver, sizeof(driver), PCI_DEVICES "/%s/driver",
					 e->d_name) < 0 ||
		    !driver_blocks_group(driver) ||
		    kernel_read_number(k, 0, PCI_DEVICES "/%s/class", e->d_name) >> 8 == 0x0604)
			continue;
		return vnet_err_set(err, -EBUSY, VNET_E_IN_USE,
				    "its IOMMU group also holds %s (%s): enable ACS on the port "
				    "above or use another slot",
				    e->d_name, driver);
	}
	return 0;
}
