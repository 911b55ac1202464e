/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What QEMU does with a device: opens it, and lets go of it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/options.h"
#include "tests/fake/kernel.h"
#include "tests/fake/priv.h"

static int open_dir(struct fake *f, const char *dir)
{
	int r;

	f->lockfd = -1;
	f->rootfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (f->rootfd < 0)
		return -errno;
	r = fake_begin(f);
	if (r < 0)
		f->rootfd = close_fd(f->rootfd);
	return r;
}

static bool viable(struct fake *f, int group)
{
	json_t *functions = json_object_get(f->doc, "functions"), *fn;
	const char *bdf;

	json_object_foreach (functions, bdf, fn) {
		char driver[64];

		get_link(f, driver, sizeof(driver), PCI_DEV "/%s/driver", bdf);
		if (group_of(f, bdf) == group && driver[0] && strcmp(driver, "pcieport") != 0 &&
		    strncmp(driver, FAKE_VFIO, strlen(FAKE_VFIO)) != 0)
			return false;
	}
	return true;
}

static void add_row(struct fake *f, const char *field, const char *what, pid_t pid,
		    const char *guest)
{
	json_t *rows = json_object_get(f->doc, "holders"), *row = json_object();

	if (!rows) {
		rows = json_array();
		json_object_set_new(f->doc, "holders", rows);
	}
	json_put_str(row, field, what);
	json_put_int(row, "pid", pid);
	json_put_str(row, "comm", "qemu-system-x86");
	json_put_str(row, "guest", guest);
	json_array_append_new(rows, row);
}

/* What a device's row in holders is known by: field and value. -ENOENT: the host has no
 * such; 0: QEMU holds nothing of the host's for it. */
static int row_of(struct fake *f, enum delivery_kind kind, const char *device,
		  const char **ret_field, char value[static FAKE_PATH_MAX])
{
	char path[PATH_MAX];
	json_t *link;
	ssize_t n;
	size_t i;

	snprintf(value, FAKE_PATH_MAX, "%s", device);
	switch (kind) {
	case DL_HOSTDEV:
	case DL_PCI:
		*ret_field = "address";
		return 1;
	case DL_LINK:
		*ret_field = "interface";
		json_array_foreach (json_object_get(f->doc, "links"), i, link) {
			const char *name = json_string_value(json_object_get(link, "name"));

			if (name && strcmp(name, device) == 0)
				return 1;
		}
		return -ENOENT;
	case DL_CHARDEV:
		*ret_field = "node";
		n = readlink(device, path, sizeof(path) - 1);
		if (n < 0)
			return -errno;
		path[n] = '\0';
		snprintf(value, FAKE_PATH_MAX, "%.500s", path);
		return 1;
	default:
		return 0;
	}
}

static int add_holder(struct fake *f, const char *bdf, pid_t pid, const char *guest)
{
	_cleanup_close_ int fd = -1;
	int r = take_fence(f, group_of(f, bdf), &fd); /* nobody else has it */

	if (r < 0)
		return r;
	if (vfio_number(f, bdf) < 0)
		return -ENOENT;
	if (!viable(f, group_of(f, bdf)))
		return -EPERM;
	add_row(f, "address", bdf, pid, guest);
	return 0;
}

/* Its queues, and the kernel's own hands for each. */
static void put_queues(struct fake *f, const char *how)
{
	json_t *rows = json_object_get(f->doc, "holders");
	json_t *row = json_array_get(rows, json_array_size(rows) - 1);
	int queues = options_get_number(how, "queues", 1, 256, 1);
	char vhost[8] = "";

	options_get(how, "vhost", vhost, sizeof(vhost));
	json_put_int(row, "queues", queues);
	json_put_int(row, "vhost", strcmp(vhost, "on") == 0 ? queues : 0);
}

int fake_kernel_hold_device(const char *dir, enum delivery_kind kind, const char *device,
			    const char *how, pid_t pid, const char *guest, struct vnet_err *err)
{
	const char *field = "";
	char value[FAKE_PATH_MAX];
	struct fake f;
	int r = open_dir(&f, dir);

	if (r < 0)
		return kernel_says(err, r, "open fake kernel", dir);
	r = row_of(&f, kind, device, &field, value);
	if (r > 0 && strcmp(field, "address") == 0)
		r = add_holder(&f, value, pid, guest);
	else if (r > 0)
		add_row(&f, field, value, pid, guest);
	if (r > 0 && strcmp(field, "interface") == 0)
		put_queues(&f, how);
	fake_end(&f);
	close_fd(f.rootfd);
	return kernel_says(err, r < 0 ? r : 0, "open", device);
}

int fake_kernel_hold(const char *dir, const struct pci_addr *addr, pid_t pid, const char *guest,
		     struct vnet_err *err)
{
	char bdf[PCI_ADDR_STR];

	return fake_kernel_hold_device(dir, DL_HOSTDEV, pci_addr_str(addr, bdf), "", pid, guest,
				       err);
}

int fake_kernel_release_row(const char *dir, const char *field, const char *value,
			    struct vnet_err *err)
{
	json_t *rows;
	struct fake f;
	int r = open_dir(&f, dir);

	if (r < 0)
		return kernel_says(err, r, "open fake kernel", dir);
	rows = json_object_get(f.doc, "holders");
	for (size_t i = json_array_size(rows); i-- > 0;) {
		const json_t *row = json_array_get(rows, i);
		const char *is = json_string_value(json_object_get(row, field));

		if (is && strcmp(is, value) == 0)
			json_array_remove(rows, i);
	}
	fake_end(&f);
	close_fd(f.rootfd);
	return 0;
}

int fake_kernel_release(const char *dir, const struct pci_addr *addr, struct vnet_err *err)
{
	char bdf[PCI_ADDR_STR];

	return fake_kernel_release_row(dir, "address", pci_addr_str(addr, bdf), err);
}

bool fake_kernel_is_row(const char *dir, enum delivery_kind kind, const char *device,
			const char *field, const char *value)
{
	char is[FAKE_PATH_MAX];
	const char *of = "";
	struct fake f;
	int r;

	if (open_dir(&f, dir) < 0)
		return false;
	r = row_of(&f, kind, device, &of, is);
	fake_end_look(&f);
	close_fd(f.rootfd);
	return r > 0 && strcmp(of, field) == 0 && strcmp(is, value) == 0;
}
