/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Device nodes of the real kernel, and the few requests that are made of them before they
 * are handed on. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "daemon/host/open.h"
#include "lib/cleanup.h"

int dev_open(struct kernel *k, const char *path, int *ret_fd)
{
	_cleanup_close_ int fd = openat(k->rootfd, path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISCHR(st.st_mode))
		return -ENODEV;
	/* Only opening must not wait: what becomes of it is QEMU's matter. */
	if (fcntl(fd, F_SETFL, 0) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* The node itself, without opening what is behind it. */
static int find_node(struct kernel *k, const char *path, struct stat *st)
{
	_cleanup_close_ int fd = openat(k->rootfd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, st) < 0)
		return -errno;
	return S_ISCHR(st->st_mode) ? take_fd(&fd) : -ENODEV;
}

int dev_owner(struct kernel *k, const char *path, struct node_owner *ret)
{
	struct stat st = { 0 };
	_cleanup_close_ int fd = find_node(k, path, &st);

	if (fd < 0)
		return fd;
	*ret = (struct node_owner){ .uid = st.st_uid,
				    .gid = st.st_gid,
				    .mode = st.st_mode & 0777,
				    .major = major(st.st_rdev),
				    .minor = minor(st.st_rdev) };
	return 0;
}

int dev_give(struct kernel *k, const char *path, unsigned uid, unsigned gid)
{
	struct stat st = { 0 };
	_cleanup_close_ int fd = find_node(k, path, &st);

	if (fd < 0)
		return fd;
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int dev_tun_queue(struct kernel *k, int fd, const char *name, bool many)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	(void)k;
	if (many)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(fd, TUNSETIFF, &ifr) < 0 ? -errno : 0;
}

int dev_tun_by_fds(struct kernel *k, int fd, const char *name)
{
	(void)k;
	(void)name;
	return ioctl(fd, TUNSETPERSIST, 0) < 0 ? -errno : 0;
}

/* <linux/iommufd.h>, which is newer than the headers that this builds with. */
struct iommu_option {
	uint32_t size, option_id;
	uint16_t op, reserved;
	uint32_t object_id;
	uint64_t val64 __attribute__((aligned(8)));
};
#define IOMMU_OPTION _IO(';', 0x87)
#define IOMMU_OPTION_RLIMIT_MODE 0
#define IOMMU_OPTION_OP_SET 0

int dev_iommufd_own(struct kernel *k, int fd)
{
	struct iommu_option o = {
		.size = sizeof(o),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_SET,
		.val64 = 1, /* of the process; 0: of all of its user's together */
	};

	(void)k;
	return ioctl(fd, IOMMU_OPTION, &o) < 0 ? -errno : 0;
}
