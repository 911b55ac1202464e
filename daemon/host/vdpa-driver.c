/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Knob vdpa-driver. Any driver of the bus takes any device, so which one it is to be is
 * said by driver_override. Before a driver is taken off, nobody may have the device
 * open or its host interface in use: the unbind would wait for the one, and tear the
 * other out.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/host/backend.h"
#include "daemon/host/facts.h"
#include "daemon/host/in-use.h"

#define NONE "none"
#define VHOST "vhost_vdpa"
#define NODE_MS 2000
#define NODE_STEP_MS 20

static bool is_none(const char *value)
{
	return !strcmp(value, NONE) || !strcmp(value, KNOB_ABSENT);
}

static int check_value(const char *value, struct vnet_err *err)
{
	if (is_none(value) || !strcmp(value, VHOST) || !strcmp(value, "virtio_vdpa"))
		return 0;
	return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
			    "'%.32s': expected none, vhost_vdpa or virtio_vdpa", value);
}

static int write_override(struct kernel *k, const char *name, const char *driver,
			  struct vnet_err *err)
{
	/* A newline clears it; a write of nothing does not reach the kernel. */
	int r = kernel_write(k, *driver ? driver : "\n", VDPA_DEVICES "/%s/driver_override", name);

	return r < 0 ? vnet_err_errno(err, r, "set driver_override to '%s'", driver) : 0;
}

static bool is_bound(struct kernel *k, const char *name)
{
	return kernel_exists(k, VDPA_DEVICES "/%s/driver", name);
}

static int unbind(struct kernel *k, const char *name, const char *driver, struct vnet_err *err)
{
	int r = check_vdpa_free(k, name, err);

	if (r < 0)
		return r;
	r = kernel_write(k, name, VDPA_DRIVERS "/%s/unbind", driver);
	if (r == 0 && is_bound(k, name))
		return vnet_err_set(err, -EIO, VNET_E_FAILED,
				    "unbind from %s: the kernel said yes, but it is still bound",
				    driver);
	if (r == -ENODEV && !is_bound(k, name)) /* somebody was faster */
		return 0;
	return r < 0 ? vnet_err_errno(err, r, "unbind from %s", driver) : 0;
}

/* devtmpfs makes the node before the bind returns; another manager of /dev may not. */
static int wait_for_node(struct kernel *k, const char *name, struct vnet_err *err)
{
	const struct timespec step = { .tv_nsec = NODE_STEP_MS * 1000000L };
	int number = facts_vhost_vdpa(k, name);

	for (int waited = 0; number >= 0 && waited <= NODE_MS; waited += NODE_STEP_MS) {
		if (kernel_exists(k, "dev/vhost-vdpa-%d", number))
			return 0;
		nanosleep(&step, NULL);
	}
	if (number < 0)
		return vnet_err_set(err, -ENODEV, VNET_E_FAILED,
				    "it is bound to " VHOST ", but got no node: see the kernel's "
				    "log");
	return vnet_err_set(err, -ENODEV, VNET_E_FAILED,
			    "it is bound to " VHOST ", but /dev/vhost-vdpa-%d is not there: is "
			    "devtmpfs on /dev?",
			    number);
}

static int check_bound(struct kernel *k, const char *name, const char *driver, struct vnet_err *err)
{
	char now[KNOB_VALUE_MAX];
	int r = vdpa_driver_get(k, name, now, err);

	if (r < 0)
		return r;
	if (strcmp(now, driver) != 0)
		return vnet_err_set(err, -EIO, VNET_E_FAILED,
				    "the kernel said yes, but it reads back as '%s'", now);
	return strcmp(driver, VHOST) ? 0 : wait_for_node(k, name, err);
}

static int bind_to(struct kernel *k, const char *name, const char *driver, struct vnet_err *err)
{
	int r = write_override(k, name, driver, err);

	if (r < 0)
		return r;
	r = kernel_write(k, name, VDPA_DRIVERS "/%s/bind", driver);
	if (r < 0)
		return vnet_err_errno(err, r, "bind to %s%s", driver,
				      r == -EOPNOTSUPP ? " (it does not take this device: its "
							 "queues share no address space)"
						       : "");
	return check_bound(k, name, driver, err);
}

/* Best effort: the error that brought us here is the one to report. */
static void put_back(struct kernel *k, const char *name, const char *before)
{
	char now[KNOB_VALUE_MAX];

	if (vdpa_driver_get(k, name, now, NULL) < 0 || !strcmp(now, KNOB_ABSENT))
		return;
	if (!is_none(now) && strcmp(now, before) != 0 && unbind(k, name, now, NULL) < 0)
		return;
	if (!is_none(before) && strcmp(now, before) != 0)
		bind_to(k, name, before, NULL);
	else if (is_none(before))
		write_override(k, name, "", NULL);
}

static int change(struct kernel *k, const char *name, const char *now, const char *want,
		  struct vnet_err *err)
{
	int r = 0;

	if (!is_none(want) && !kernel_exists(k, VDPA_DRIVERS "/%s", want))
		return vnet_err_set(err, -ENOENT, VNET_E_FAILED,
				    "driver %s is not loaded: modprobe %s", want, want);
	if (!is_none(want) && !strcmp(now, want))
		return check_bound(k, name, want, err);
	if (!is_none(now))
		r = unbind(k, name, now, err);
	if (r < 0)
		return r;
	if (is_none(want))
		return write_override(k, name, "", err);
	r = bind_to(k, name, want, err);
	if (r < 0)
		put_back(k, name, now);
	return r;
}

int vdpa_driver_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		    struct vnet_err *err)
{
	ssize_t n;

	if (!is_component(object))
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "'%.64s' can't name a vDPA device", object);
	n = kernel_readlink_base(k, ret, DRIVER_NAME_MAX, VDPA_DEVICES "/%s/driver", object);
	if (n < 0 && n != -ENOENT)
		return vnet_err_errno(err, (int)n, "read driver of vDPA device %s", object);
	if (n < 0)
		strcpy(ret, kernel_exists(k, VDPA_DEVICES "/%s", object) ? NONE : KNOB_ABSENT);
	return 0;
}

int vdpa_driver_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	char now[KNOB_VALUE_MAX];
	int r = check_value(value, err);

	if (r == 0)
		r = vdpa_driver_get(k, object, now, err);
	if (r < 0)
		return r;
	if (!strcmp(now, KNOB_ABSENT))
		r = is_none(value) ? 0
				   : vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND,
						  "there is no such device");
	else
		r = change(k, object, now, value, err);
	if (r < 0)
		vnet_err_wrap(err, "vDPA device %s: %s -> %s", object, now, value);
	return r;
}

/* No device has no driver: what was so before it was made is so again without one. */
bool vdpa_driver_matches(const char *wanted, const char *actual)
{
	return !strcmp(wanted, actual) || (is_none(wanted) && is_none(actual));
}
