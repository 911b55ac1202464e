/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Device nodes of the fake kernel: an empty file in memory stands for each descriptor. That
 * of a tap's queue becomes a file taps/NAME with a lock, which is held until the last copy of
 * the descriptor is closed, wherever it went: then a tap that lives by them goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "tests/fake/priv.h"

/* Run as a write, so that it is logged and may be made to fail. */
static int begin(struct fake *f, const char *op)
{
	int r = fake_begin(f);

	return r < 0 ? r : fake_fault(f, op, true);
}

static json_t *link_row(struct fake *f, const char *name)
{
	json_t *row;
	size_t i;

	json_array_foreach (json_object_get(f->doc, "links"), i, row) {
		const char *n = json_string_value(json_object_get(row, "name"));

		if (n && strcmp(n, name) == 0)
			return row;
	}
	return NULL;
}

int fake_open_node(struct kernel *k, const char *path, int *ret_fd)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	char op[FAKE_PATH_MAX];
	int r, fault;

	snprintf(op, sizeof(op), "open:/%s", path);
	r = fault = begin(&f, op);
	/* What VFIO makes is in the tree; the others come with their modules. */
	if (r == 0 && strncmp(path, "dev/vfio/", strlen("dev/vfio/")) == 0 &&
	    !is_there(&f, "%s", path))
		r = -ENOENT;
	if (r >= 0) {
		*ret_fd = memfd_create(path, MFD_CLOEXEC);
		r = *ret_fd < 0 ? -errno : 0;
	}
	fake_log(&f, "open", path, "", r, fault != 0);
	fake_end(&f);
	return r;
}

/* In the node itself, so that a new one of its name is root's again. */
int fake_node_owner(struct kernel *k, const char *path, struct node_owner *ret)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	char text[64];
	int r = fake_begin(&f);

	if (r < 0)
		return r;
	*ret = (struct node_owner){ .mode = 0600 };
	r = is_there(&f, "%s", path) ? 0 : -ENOENT;
	get_text(&f, text, sizeof(text), "%s", path);
	sscanf(text, "%u %u %o", &ret->uid, &ret->gid, &ret->mode);
	fake_end_look(&f);
	return r;
}

int fake_node_give(struct kernel *k, const char *path, unsigned uid, unsigned gid)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	char op[FAKE_PATH_MAX], text[64], was[64] = "";
	unsigned mode = 0600;
	int r, fault;

	snprintf(op, sizeof(op), "give:/%s", path);
	r = fault = begin(&f, op);
	if (r == 0 && !is_there(&f, "%s", path))
		r = -ENOENT;
	get_text(&f, was, sizeof(was), "%s", path);
	sscanf(was, "%*u %*u %o", &mode);
	snprintf(text, sizeof(text), "%u %u %o\n", uid, gid, mode);
	if (r == 0)
		r = put_file(&f, uid || gid || mode != 0600 ? text : "", "%s", path);
	text[strcspn(text, "\n")] = '\0';
	fake_log(&f, "give", path, text, r < 0 ? r : 0, fault != 0);
	fake_end(&f);
	return r < 0 ? r : 0;
}

static int open_queue(struct fake *f, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "taps/%s", name);
	mkdirat(f->rootfd, "taps", 0777);
	return openat(f->rootfd, path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
}

static int be_queue(struct fake *f, int fd, const char *name)
{
	_cleanup_close_ int queue = open_queue(f, name);

	if (queue < 0 || flock(queue, LOCK_SH | LOCK_NB) < 0 || dup3(queue, fd, O_CLOEXEC) < 0)
		return -errno;
	return 0;
}

static bool is_open(struct fake *f, const char *name)
{
	_cleanup_close_ int queue = open_queue(f, name);

	return queue >= 0 && flock(queue, LOCK_EX | LOCK_NB) < 0;
}

void drop_closed_taps(struct fake *f)
{
	json_t *rows = json_object_get(f->doc, "netdevs"), *row;
	struct host_scan s = { 0 };
	const char *name;
	void *next;

	json_object_foreach_safe(rows, next, name, row)
	{
		const json_t *l = link_row(f, name);

		if (!l || !json_is_true(json_object_get(row, "byFds")) || is_open(f, name) ||
		    host_links_from_json(json_object_get(f->doc, "links"), &s, NULL) < 0)
			continue;
		drop_netdev(f, &s, (int)json_integer_value(json_object_get(l, "ifindex")));
		host_scan_done(&s);
		fake_save(f);
	}
}

int fake_tun_queue(struct kernel *k, int fd, const char *name, bool many)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	char op[64];
	int r, fault;

	snprintf(op, sizeof(op), "queue:%s", name);
	r = fault = begin(&f, op);
	if (r >= 0)
		r = link_row(&f, name) ? 0 : -ENODEV;
	if (r == 0 && fault == FAULT_NONE)
		r = be_queue(&f, fd, name);
	fake_log(&f, "queue", name, many ? "one of many" : "the only one", r, fault != 0);
	fake_end(&f);
	return r;
}

static void live_by_fds(struct fake *f, const char *name)
{
	json_put_bool(link_row(f, name), "tapPersistent", false);
	json_put_bool(json_object_get(json_object_get(f->doc, "netdevs"), name), "byFds", true);
}

int fake_tun_by_fds(struct kernel *k, int fd, const char *name)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	char op[64];
	int r, fault;

	(void)fd;
	snprintf(op, sizeof(op), "by_fds:%s", name);
	r = fault = begin(&f, op);
	if (r >= 0)
		r = link_row(&f, name) ? 0 : -ENODEV;
	if (r == 0 && fault == FAULT_NONE)
		live_by_fds(&f, name);
	fake_log(&f, "by_fds", name, "", r, fault != 0);
	fake_end(&f);
	return r;
}

int fake_iommufd_own(struct kernel *k, int fd)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	int r = begin(&f, "iommufd_own"), fault = r;

	(void)fd;
	r = r > 0 ? 0 : r;
	fake_log(&f, "iommufd_own", "dev/iommu", "", r, fault != 0);
	fake_end(&f);
	return r;
}
