/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Device nodes of the fake kernel: an empty file in memory stands for each descriptor. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

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

int fake_tun_queue(struct kernel *k, int fd, const char *name, bool many)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	char op[64];
	int r, fault;

	(void)fd;
	snprintf(op, sizeof(op), "queue:%s", name);
	r = fault = begin(&f, op);
	if (r >= 0)
		r = link_row(&f, name) ? 0 : -ENODEV;
	fake_log(&f, "queue", name, many ? "one of many" : "the only one", r, fault != 0);
	fake_end(&f);
	return r;
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
		json_put_bool(link_row(&f, name), "tapPersistent", false);
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
