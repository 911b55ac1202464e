/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hold a VFIO device as a foreign program would: `vfio-holder group|cdev ADDRESS`.
 * It prints "held" once it has the device fd and waits to be killed. cdev opens
 * the device's node and binds it to a fresh iommufd; cdev-unbound only opens it,
 * which no other opener of the group notices.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* <linux/vfio.h> of Debian 12 is older than the device's own node (Linux 6.6). */
struct bind_iommufd {
	__u32 argsz, flags;
	__s32 iommufd;
	__u32 out_devid;
};
#define BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)

static int die(const char *what)
{
	fprintf(stderr, "vfio-holder: %s: %s\n", what, strerror(errno));
	return 1;
}

static int hold_group(const char *address)
{
	char path[256], link[256];
	int container = open("/dev/vfio/vfio", O_RDWR);
	int group;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
	n = readlink(path, link, sizeof(link) - 1);
	if (container < 0 || n < 0)
		return die("open the container");
	link[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	group = open(path, O_RDWR);
	if (group < 0)
		return die(path);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0 ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
		return die("set the container up");
	if (ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address) < 0)
		return die("get the device");
	return 0;
}

static int hold_cdev(const char *address, int bound)
{
	struct bind_iommufd bind = { .argsz = sizeof(bind) };
	char path[512], name[64] = "";
	struct dirent *d;
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", address);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		if (strncmp(d->d_name, "vfio", 4) == 0)
			snprintf(name, sizeof(name), "%.60s", d->d_name);
	}
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return die(path);
	if (!bound)
		return 0;
	bind.iommufd = open("/dev/iommu", O_RDWR);
	if (bind.iommufd < 0 || ioctl(fd, BIND_IOMMUFD, &bind) < 0)
		return die("bind to an iommufd");
	return 0;
}

int main(int argc, char **argv)
{
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: vfio-holder group|cdev|cdev-unbound ADDRESS\n");
		return 2;
	}
	r = strcmp(argv[1], "group") == 0 ? hold_group(argv[2])
					  : hold_cdev(argv[2], strcmp(argv[1], "cdev") == 0);
	if (r)
		return r;
	puts("held");
	fflush(stdout);
	for (;;)
		pause();
}
