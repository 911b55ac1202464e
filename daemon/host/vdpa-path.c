/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Knob vdpa-path: the number of a vDPA device's node is the kernel's choice, and may be
 * another after each bind; a guest's description names a link to it. The link is our
 * own file, so nothing else than a link is ever replaced or taken away.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "daemon/host/facts.h"
#include "daemon/host/vdpa.h"
#include "lib/cleanup.h"
#include "lib/file.h"

#define FOREIGN "foreign" /* no link */
#define GONE "gone"	  /* a link to no device that is there */
#define NODE "/dev/vhost-vdpa-"

int vdpa_runtime(struct kernel *k, bool make, int *ret_fd, struct vnet_err *err)
{
	_cleanup_close_ int runtime = -1;

	if (!k->runtime)
		return make ? vnet_err_set(err, -EINVAL, VNET_E_INVALID,
					   "no runtime directory was said: --runtime")
			    : -ENOENT;
	runtime = open(k->runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (runtime < 0)
		return vnet_err_errno(err, -errno, "open %s", k->runtime);
	if (make)
		return file_opendir_at(runtime, "vdpa", 0755, ret_fd, err);
	*ret_fd = openat(runtime, "vdpa", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0)
		return errno == ENOENT ? -ENOENT
				       : vnet_err_errno(err, -errno, "open %s/vdpa", k->runtime);
	return 0;
}

static int check_id(const char *id, struct vnet_err *err)
{
	if (*id && *id != '.' && !strchr(id, '/'))
		return 0;
	return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
			    "'%.64s' is no attachment: expected UUID.NIC", id);
}

/* In words what the link is; -EINVAL without err: it is none. */
static int read_path(struct kernel *k, int dir, const char *id, char ret[static KNOB_VALUE_MAX],
		     struct vnet_err *err)
{
	char target[64], name[VDPA_NAME_MAX];
	ssize_t n = file_readlink_at(dir, id, target, sizeof(target));
	int number;

	if (n == -ENOENT) {
		strcpy(ret, KNOB_ABSENT);
		return 0;
	}
	strcpy(ret, FOREIGN);
	if (n == -EINVAL)
		return -EINVAL;
	if (n < 0 && n != -EFBIG && n != -ENAMETOOLONG)
		return vnet_err_errno(err, (int)n, "read %s/vdpa/%s", k->runtime, id);
	number = n < 0 ? -1 : suffix_number(target, NODE);
	strcpy(ret, number >= 0 && facts_vdpa_at(k, number, name) ? name : GONE);
	return 0;
}

int vdpa_path_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		  struct vnet_err *err)
{
	_cleanup_close_ int dir = -1;
	int r = check_id(object, err);

	if (r < 0)
		return r;
	r = vdpa_runtime(k, false, &dir, err);
	if (r == -ENOENT) {
		strcpy(ret, KNOB_ABSENT);
		return 0;
	}
	if (r < 0)
		return r;
	r = read_path(k, dir, object, ret, err);
	return r == -EINVAL ? 0 : r;
}

static int put_link(int dir, const char *target, const char *id)
{
	char tmp[KNOB_OBJECT_MAX + sizeof("..tmp")];

	snprintf(tmp, sizeof(tmp), ".%s.tmp", id);
	if (unlinkat(dir, tmp, 0) < 0 && errno != ENOENT)
		return -errno;
	if (symlinkat(target, dir, tmp) < 0 || renameat(dir, tmp, dir, id) < 0)
		return -errno;
	return 0;
}

static int set_path(struct kernel *k, int dir, const char *id, const char *device,
		    struct vnet_err *err)
{
	char now[KNOB_VALUE_MAX], target[32];
	int number, r = read_path(k, dir, id, now, err);

	if (r == -EINVAL)
		return vnet_err_set(err, -EEXIST, VNET_E_EXISTS,
				    "%s/vdpa/%s is no link: vnetd did not make it, move it away",
				    k->runtime, id);
	if (r < 0 || !strcmp(now, device))
		return r;
	if (!strcmp(device, KNOB_ABSENT))
		return unlinkat(dir, id, 0) < 0 && errno != ENOENT
			       ? vnet_err_errno(err, -errno, "remove %s/vdpa/%s", k->runtime, id)
			       : 0;
	number = is_component(device) ? facts_vhost_vdpa(k, device) : -1;
	if (number < 0)
		return vnet_err_set(err, -ENODEV, VNET_E_FAILED,
				    "vDPA device %.31s has no node to link to: it is not bound to "
				    "vhost_vdpa",
				    device);
	snprintf(target, sizeof(target), NODE "%d", number);
	r = put_link(dir, target, id);
	return r < 0 ? vnet_err_errno(err, r, "link %s/vdpa/%s to %s", k->runtime, id, target) : 0;
}

int vdpa_path_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	bool make = strcmp(value, KNOB_ABSENT) != 0;
	_cleanup_close_ int dir = -1;
	int r = check_id(object, err);

	if (r == 0)
		r = vdpa_runtime(k, make, &dir, err);
	if (r == -ENOENT && !make)
		return 0;
	return r < 0 ? r : set_path(k, dir, object, value, err);
}

/* The device may have gone, and another have its number: the link is ours all the same. */
bool vdpa_path_is_link(const char *before, const char *after, const char *actual)
{
	(void)before;
	(void)after;
	return strcmp(actual, FOREIGN) != 0;
}
