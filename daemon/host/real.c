/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The real kernel: sysfs below the root, netlink, /proc and /dev/vfio. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "daemon/host/holders.h"
#include "daemon/host/link.h"
#include "daemon/host/open.h"
#include "daemon/host/pci.h"
#include "daemon/host/tun.h"
#include "daemon/host/vdpa.h"
#include "lib/cleanup.h"

struct real {
	struct nl_sock *nl; /* opened when first needed */
	struct vdpa vdpa;
	struct pci pci;
};

static int need_netlink(struct kernel *k, struct vnet_err *err)
{
	struct real *real = k->priv;

	return real->nl ? 0 : link_open(&real->nl, err);
}

/* An attribute is written by one write(2), or not at all. */
static int real_write(struct kernel *k, const char *path, const char *value)
{
	_cleanup_close_ int fd = openat(k->rootfd, path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(value);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, value, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

static int real_links(struct kernel *k, struct host_scan *s, struct vnet_err *err)
{
	struct real *real = k->priv;
	int r = need_netlink(k, err);

	return r < 0 ? r : link_dump(real->nl, s, err);
}

/* The interface through which a PF's VFs are configured, and a socket for it. */
static int reach_pf(struct kernel *k, const struct pci_addr *pf, int *ret_ifindex,
		    struct vnet_err *err)
{
	char name[IF_NAMESIZE];
	int r = pf_interface(k, pf, name, ret_ifindex, err);

	return r < 0 ? r : need_netlink(k, err);
}

static int real_vf_get(struct kernel *k, const struct pci_addr *pf, struct vf_attrs **ret,
		       size_t *ret_n, struct vnet_err *err)
{
	struct real *real = k->priv;
	int ifindex = 0, r = reach_pf(k, pf, &ifindex, err);

	return r < 0 ? r : link_get_vfs(real->nl, ifindex, pf, ret, ret_n, err);
}

static int real_vf_set(struct kernel *k, const struct pci_addr *pf, unsigned index,
		       const struct vf_change *change, struct vnet_err *err)
{
	struct real *real = k->priv;
	int ifindex = 0, r = reach_pf(k, pf, &ifindex, err);

	return r < 0 ? r : link_set_vf(real->nl, ifindex, index, change, err);
}

static int real_link_up(struct kernel *k, int ifindex, bool up, struct vnet_err *err)
{
	struct real *real = k->priv;
	int r = need_netlink(k, err);

	return r < 0 ? r : link_set_up(real->nl, ifindex, up, err);
}

static int real_netdev_get(struct kernel *k, const char *name, int ifindex, struct netdev *ret,
			   struct vnet_err *err)
{
	struct real *real = k->priv;
	int r = need_netlink(k, err);

	return r < 0 ? r : link_get(real->nl, name, ifindex, ret, err);
}

static int real_netdev_add(struct kernel *k, const struct netdev *d, struct vnet_err *err)
{
	struct real *real = k->priv;
	int r;

	if (!strcmp(d->link.kind, "tun"))
		return tun_make_tap(k, d->link.name, d->multi_queue, err);
	r = need_netlink(k, err);
	return r < 0 ? r : link_add_macvtap(real->nl, d, err);
}

static int real_netdev_del(struct kernel *k, const struct netdev *d, struct vnet_err *err)
{
	_cleanup_close_ int fence = -1;
	struct real *real = k->priv;
	int r = need_netlink(k, err);

	if (r == 0 && !strcmp(d->link.kind, "tun"))
		r = tun_fence(k, d, &fence, err);
	return r < 0 ? r : link_del(real->nl, d, err);
}

static int real_netdev_set(struct kernel *k, const struct netdev *d, const struct netdev_change *c,
			   struct vnet_err *err)
{
	struct real *real = k->priv;
	int r = need_netlink(k, err);

	return r < 0 ? r : link_set(real->nl, d, c, err);
}

static int real_port_get(struct kernel *k, const struct netdev *d, struct port *ret,
			 struct vnet_err *err)
{
	struct real *real = k->priv;
	int r = need_netlink(k, err);

	return r < 0 ? r : link_get_port(real->nl, d, ret, err);
}

static int real_port_set(struct kernel *k, const struct netdev *d, enum port_attr which,
			 const struct port *p, struct vnet_err *err)
{
	struct real *real = k->priv;
	int r = need_netlink(k, err);

	return r < 0 ? r : link_set_port(real->nl, d, which, p, err);
}

static int real_fence(struct kernel *k, int group, int *ret_fd)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "dev/vfio/%d", group);
	fd = openat(k->rootfd, path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) { /* without an IOMMU */
		snprintf(path, sizeof(path), "dev/vfio/noiommu-%d", group);
		fd = openat(k->rootfd, path, O_RDWR | O_CLOEXEC);
	}
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int real_mgmtdevs(struct kernel *k, struct host_scan *s, struct vnet_err *err)
{
	struct real *real = k->priv;

	return vdpa_mgmtdevs(&real->vdpa, s, err);
}

static int real_vdpa_get(struct kernel *k, const char *name, struct vdpa_config *ret,
			 struct vnet_err *err)
{
	struct real *real = k->priv;

	return vdpa_get(&real->vdpa, name, ret, err);
}

static int real_vdpa_new(struct kernel *k, const char *name, const struct vdpa_config *c,
			 struct vnet_err *err)
{
	struct real *real = k->priv;

	return vdpa_new(&real->vdpa, name, c, err);
}

static int real_vdpa_del(struct kernel *k, const char *name, struct vnet_err *err)
{
	struct real *real = k->priv;

	return vdpa_del(&real->vdpa, name, err);
}

static void real_describe(struct kernel *k, struct nic *n)
{
	struct real *real = k->priv;

	pci_describe(&real->pci, "/", n);
}

static void real_close(struct kernel *k)
{
	struct real *real = k->priv;

	link_close(real->nl);
	vdpa_done(&real->vdpa);
	pci_done(&real->pci);
	free(real);
}

static const struct kernel_ops real_ops = {
	.name = "real",
	.write = real_write,
	.links = real_links,
	.vf_get = real_vf_get,
	.vf_set = real_vf_set,
	.link_up = real_link_up,
	.netdev_get = real_netdev_get,
	.netdev_add = real_netdev_add,
	.netdev_del = real_netdev_del,
	.netdev_set = real_netdev_set,
	.netdev_holder = holders_of_queue,
	.queue_users = holders_queue_users,
	.port_get = real_port_get,
	.port_set = real_port_set,
	.holders = holders_scan,
	.fence = real_fence,
	.mgmtdevs = real_mgmtdevs,
	.vdpa_get = real_vdpa_get,
	.vdpa_new = real_vdpa_new,
	.vdpa_del = real_vdpa_del,
	.open_node = dev_open,
	.tun_queue = dev_tun_queue,
	.tun_by_fds = dev_tun_by_fds,
	.node_owner = dev_owner,
	.node_give = dev_give,
	.iommufd_own = dev_iommufd_own,
	.describe = real_describe,
	.close = real_close,
};

int real_open(struct kernel *k, struct vnet_err *err)
{
	k->priv = calloc(1, sizeof(struct real));
	if (!k->priv)
		return vnet_err_errno(err, -ENOMEM, "open the kernel");
	k->ops = &real_ops;
	return 0;
}
