/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/holders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "lib/cleanup.h"
#include "lib/file.h"

#define CMDLINE_MAX (16 * 1024) /* -name comes first in what libvirt starts */

bool holders_parse_node(const char *target, struct holder *h)
{
	static const char gone[] = " (deleted)";
	size_t len = strlen(target);

	/* The node goes when an unbind has begun; who holds it still holds it. */
	if (len > strlen(gone) && !strcmp(target + len - strlen(gone), gone))
		len -= strlen(gone);
	if (len >= sizeof(h->node))
		return false;
	memcpy(h->node, target, len);
	h->node[len] = '\0';
	h->vfio_dev = suffix_number(h->node, "/dev/vfio/devices/vfio");
	h->iommu_group = suffix_number(h->node, "/dev/vfio/");
	if (h->iommu_group < 0)
		h->iommu_group = suffix_number(h->node, "/dev/vfio/noiommu-");
	return h->vfio_dev >= 0 || h->iommu_group >= 0 || suffix_number(h->node, "/dev/uio") >= 0 ||
	       suffix_number(h->node, "/dev/vhost-vdpa-") >= 0;
}

/* The value of "-name": "guest=vm1,debug-threads=on" or "vm1,process=x"; a comma in
 * a name is doubled. */
static void copy_name(const char *value, char ret[static GUEST_NAME_MAX])
{
	const char *p = strstr(value, "guest=");
	size_t n = 0;

	if (p && (p == value || p[-1] == ','))
		value = p + strlen("guest=");
	else if (value[strcspn(value, ",=")] == '=')
		return;
	for (; *value; value++) {
		if (*value == ',' && *++value != ',')
			break;
		if (n == GUEST_NAME_MAX - 1) { /* no name that we know */
			*ret = '\0';
			return;
		}
		ret[n++] = *value;
	}
	ret[n] = '\0';
	clean_text(ret);
}

void holders_guest_name(const char *cmdline, size_t len, char ret[static GUEST_NAME_MAX])
{
	const char *end = cmdline + len, *arg, *next;

	memset(ret, 0, GUEST_NAME_MAX);
	for (arg = cmdline; arg < end; arg = next) {
		next = arg + strnlen(arg, (size_t)(end - arg)) + 1;
		if (next >= end)
			return;
		if (strcmp(arg, "-name") != 0 && strcmp(arg, "--name") != 0)
			continue;
		if (!memchr(next, '\0', (size_t)(end - next)))
			return;
		copy_name(next, ret);
		return;
	}
}

static void read_guest(int procfd, struct holder *h)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *buf = NULL;
	size_t n = 0;
	ssize_t r;

	fd = openat(procfd, "cmdline", O_RDONLY | O_CLOEXEC);
	buf = malloc(CMDLINE_MAX + 1);
	if (fd < 0 || !buf)
		return;
	while (n < CMDLINE_MAX && (r = read(fd, buf + n, CMDLINE_MAX - n)) > 0)
		n += (size_t)r;
	buf[n] = '\0';
	if (strstr(buf, "qemu") || strstr(buf, "kvm")) /* of its program's name */
		holders_guest_name(buf, n + 1, h->guest);
}

/* Another worker of this daemon: it holds a group for the moment of an unbind. */
bool holders_is_sibling(int procfd)
{
	char buf[512];
	const char *p;
	int ppid;

	if (file_read_at(procfd, "stat", buf, sizeof(buf)) < 0)
		return false;
	p = strrchr(buf, ')'); /* the name before it may hold anything */
	return p && sscanf(p + 1, " %*c %d", &ppid) == 1 && ppid == getppid() && ppid > 1;
}

void holders_describe(int procfd, struct holder *h)
{
	if (file_read_at(procfd, "comm", h->comm, sizeof(h->comm)) < 0)
		strcpy(h->comm, "?");
	clean_text(h->comm);
	read_guest(procfd, h);
}

static bool known(const struct host_scan *s, const struct holder *h)
{
	for (size_t i = s->n_holders; i > 0; i--) {
		const struct holder *o = &s->holders[i - 1];

		if (o->pid != h->pid)
			return false; /* a process's are together */
		if (!strcmp(o->node, h->node))
			return true;
	}
	return false;
}

static int add_holder(struct host_scan *s, int procfd, struct holder *h)
{
	struct holder *more;

	if (known(s, h))
		return 0;
	holders_describe(procfd, h);
	more = reallocarray(s->holders, s->n_holders + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->holders = more;
	s->holders[s->n_holders++] = *h;
	return 0;
}

/* A process that ends meanwhile, or that we may not look at, is passed over. */
static int scan_process(struct kernel *k, pid_t pid, struct host_scan *s)
{
	_cleanup_closedir_ DIR *d = NULL;
	_cleanup_close_ int procfd = -1;
	const struct dirent *e;
	char target[256], path[32];
	int r;

	d = kernel_opendir(k, "proc/%d/fd", (int)pid);
	if (!d)
		return 0;
	while ((e = next_entry(d))) {
		struct holder h = { .pid = pid };

		if (file_readlink_at(dirfd(d), e->d_name, target, sizeof(target)) < 0 ||
		    !holders_parse_node(target, &h))
			continue;
		if (procfd < 0) {
			snprintf(path, sizeof(path), "proc/%d", (int)pid);
			procfd = openat(k->rootfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (procfd < 0 || holders_is_sibling(procfd))
				return 0;
		}
		r = add_holder(s, procfd, &h);
		if (r < 0)
			return r;
	}
	return 0;
}

int holders_scan(struct kernel *k, struct host_scan *s, struct vnet_err *err)
{
	_cleanup_closedir_ DIR *d = kernel_opendir(k, "proc");
	const struct dirent *e;

	if (!d)
		return vnet_err_errno(err, -errno, "look for holders in /proc");
	while ((e = next_entry(d))) {
		int pid = suffix_number(e->d_name, "");

		if (pid <= 0 || pid == getpid() || pid == getppid())
			continue;
		if (scan_process(k, pid, s) < 0)
			return vnet_err_errno(err, -ENOMEM, "look for holders in /proc");
	}
	return 0;
}

const char *holder_str(const struct holder *h, char buf[static HOLDER_STR])
{
	if (*h->guest)
		snprintf(buf, HOLDER_STR, "%s (pid %d, guest %s)", h->comm, (int)h->pid, h->guest);
	else
		snprintf(buf, HOLDER_STR, "%s (pid %d)", h->comm, (int)h->pid);
	return buf;
}
