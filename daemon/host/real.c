/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The real kernel: sysfs below the root, rtnetlink, /proc and /dev/vfio. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "daemon/host/holders.h"
#include "daemon/host/link.h"
#include "daemon/host/open.h"
#include "daemon/host/pci.h"
#include "lib/cleanup.h"

struct real {
	struct nl_sock *nl; /* opened when first needed */
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

static void real_describe(struct kernel *k, struct nic *n)
{
	struct real *real = k->priv;

	pci_describe(&real->pci, "/", n);
}

static void real_close(struct kernel *k)
{
	struct real *real = k->priv;

	link_close(real->nl);
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
	.holders = holders_scan,
	.fence = real_fence,
	.open_node = dev_open,
	.tun_queue = dev_tun_queue,
	.tun_by_fds = dev_tun_by_fds,
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
