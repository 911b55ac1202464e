/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who has a queue of a tap or macvtap: /proc/PID/fd and fdinfo. A QEMU with a /dev of
 * its own shows the nodes below another path, so only the end of it is asked. The name
 * in fdinfo says nothing of the network namespace: a tap of the same name elsewhere is
 * taken for this one, on the safe side.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "daemon/host/holders.h"
#include "lib/cleanup.h"
#include "lib/file.h"

bool holders_is_queue(const char *target, const struct netdev *d)
{
	int ifindex = 0;

	if (!strcmp(d->link.kind, "macvtap"))
		return holders_queue_node(target, &ifindex) == QUEUE_NODE_MACVTAP &&
		       ifindex == d->link.ifindex;
	return holders_queue_node(target, &ifindex) == QUEUE_NODE_TUN;
}

bool holders_fdinfo_is_of(const char *fdinfo, const char *name)
{
	char is[IF_NAMESIZE];

	return holders_fdinfo_name(fdinfo, is) && !strcmp(is, name);
}

/* A macvtap's node is its own; /dev/net/tun is every tap's. */
static bool is_of(struct kernel *k, int pid, const char *fd, const struct netdev *d)
{
	char fdinfo[1024];

	if (strcmp(d->link.kind, "tun") != 0)
		return true;
	return kernel_read(k, fdinfo, sizeof(fdinfo), "proc/%d/fdinfo/%s", pid, fd) > 0 &&
	       holders_fdinfo_is_of(fdinfo, d->link.name);
}

static bool process_has(struct kernel *k, int pid, const struct netdev *d)
{
	_cleanup_closedir_ DIR *dir = kernel_opendir(k, "proc/%d/fd", pid);
	const struct dirent *e;
	char target[256];

	while (dir && (e = next_entry(dir))) {
		if (file_readlink_at(dirfd(dir), e->d_name, target, sizeof(target)) >= 0 &&
		    holders_is_queue(target, d) && is_of(k, pid, e->d_name, d))
			return true;
	}
	return false;
}

int holders_of_queue(struct kernel *k, const struct netdev *d, struct holder *ret,
		     struct vnet_err *err)
{
	_cleanup_closedir_ DIR *dir = kernel_opendir(k, "proc");
	const struct dirent *e;
	char path[32];

	if (!dir)
		return vnet_err_errno(err, -errno, "look in /proc for who has %s open",
				      d->link.name);
	while ((e = next_entry(dir))) {
		struct holder h = { .iommu_group = -1, .vfio_dev = -1 };
		_cleanup_close_ int procfd = -1;
		int pid = suffix_number(e->d_name, "");

		if (pid <= 0 || !process_has(k, pid, d))
			continue;
		h.pid = pid;
		snprintf(path, sizeof(path), "proc/%d", pid);
		procfd = openat(k->rootfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (procfd < 0) /* it ended */
			continue;
		holders_describe(procfd, &h);
		*ret = h;
		return 1;
	}
	return 0;
}
