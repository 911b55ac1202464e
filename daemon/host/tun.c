/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/cleanup.h"

#define TUN_NODE "dev/net/tun"
#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

static int open_tun(struct kernel *k, struct vnet_err *err)
{
	int fd = openat(k->rootfd, TUN_NODE, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return vnet_err_errno(err, -errno, "open /dev/net/tun (modprobe tun)");
	return vnet_err_errno(err, -errno, "open /dev/net/tun");
}

static int attach(int fd, const char *name, int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)flags };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(fd, TUNSETIFF, &ifr) < 0 ? -errno : 0;
}

int tun_make_tap(struct kernel *k, const char *name, bool multi_queue, struct vnet_err *err)
{
	_cleanup_close_ int fd = open_tun(k, err);
	int r;

	if (fd < 0)
		return fd;
	r = attach(fd, name, TAP_FLAGS | IFF_TUN_EXCL | (multi_queue ? IFF_MULTI_QUEUE : 0));
	if (r == -EBUSY)
		r = -EEXIST;
	if (r < 0)
		return vnet_err_errno(err, r, "make tap %s", name);
	/* Until here the tap goes with the descriptor: nothing is left of a failure. */
	if (ioctl(fd, TUNSETPERSIST, 1) < 0)
		return vnet_err_errno(err, -errno, "make tap %s persistent", name);
	return 0;
}

int tun_fence(struct kernel *k, const struct netdev *d, int *ret_fd, struct vnet_err *err)
{
	_cleanup_close_ int fd = -1;
	int r = 0;

	if (d->multi_queue) {
		r = d->queues ? -EBUSY : 0;
	} else {
		fd = open_tun(k, err);
		if (fd < 0)
			return fd;
		r = attach(fd, d->link.name, TAP_FLAGS);
	}
	if (r == -EBUSY)
		return vnet_err_set(err, r, VNET_E_IN_USE,
				    "a process has a queue of tap %s: let it end", d->link.name);
	if (r < 0)
		return vnet_err_errno(err, r, "take the queue of tap %s", d->link.name);
	*ret_fd = take_fd(&fd);
	return 0;
}
