/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Knob vdpa: a vDPA device. It is made without a driver: with the bus probing new
 * devices, virtio_vdpa might make a host interface of it. So the bus is told not to for
 * that moment; what it was told before is kept in RUNTIME/vdpa, for whoever comes next
 * in case this worker is killed in between. All of it runs in one lane.
 *
 * A device is deleted without a driver too: the kernel would wait for whoever has its
 * node open, holding up generic netlink for the whole host (facts: R3).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/host/backend.h"
#include "daemon/host/facts.h"
#include "daemon/host/in-use.h"
#include "daemon/host/vdpa.h"
#include "lib/cleanup.h"
#include "lib/file.h"

#define AUTOPROBE "sys/bus/vdpa/drivers_autoprobe"
#define KEPT ".autoprobe"
#define VDUSE "vduse" /* makes devices of what programs offer, each by its name */
#define VDUSE_DEVICES "sys/class/vduse"
#define APPEAR_MS 6000 /* octep_vdpa is at work for up to 5 s after it was bound */
#define APPEAR_STEP_MS 100

static bool exists(struct kernel *k, const char *name)
{
	return kernel_exists(k, VDPA_DEVICES "/%s", name);
}

static int check_name(const char *name, struct vnet_err *err)
{
	if (is_component(name))
		return 0;
	return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "'%.64s' can't name a vDPA device", name);
}

/* ---- drivers_autoprobe ---- */

/* Also finishes what a worker that was killed left behind. */
static int autoprobe_back(struct kernel *k, struct vnet_err *err)
{
	_cleanup_close_ int dir = -1;
	char was[16];
	int r;

	if (vdpa_runtime(k, false, &dir, NULL) < 0 || file_read_at(dir, KEPT, was, sizeof(was)) < 0)
		return 0;
	r = kernel_write(k, was, AUTOPROBE);
	if (r < 0)
		return vnet_err_errno(err, r, "put /" AUTOPROBE " back to %s", was);
	if (unlinkat(dir, KEPT, 0) < 0)
		return vnet_err_errno(err, -errno, "remove %s/vdpa/" KEPT, k->runtime);
	return 0;
}

static int autoprobe_off(struct kernel *k, struct vnet_err *err)
{
	_cleanup_close_ int dir = -1;
	char was[16];
	ssize_t n;
	int r;

	n = kernel_read(k, was, sizeof(was), AUTOPROBE);
	if (n < 0)
		return vnet_err_errno(err, (int)n, "read /" AUTOPROBE);
	if (!strcmp(was, "0"))
		return 0;
	r = vdpa_runtime(k, true, &dir, err);
	if (r == 0)
		r = file_replace_at(dir, KEPT, was, strlen(was), 0644, err);
	if (r < 0)
		return r;
	r = kernel_write(k, "0", AUTOPROBE);
	if (r < 0) {
		unlinkat(dir, KEPT, 0);
		return vnet_err_errno(err, r,
				      "keep drivers from the new vDPA device (/" AUTOPROBE ")");
	}
	return 0;
}

/* ---- make ---- */

static bool has_mgmtdev(const struct host_scan *s, const char *name)
{
	for (size_t i = 0; i < s->n_mgmtdevs; i++) {
		if (!strcmp(s->mgmtdevs[i].name, name))
			return true;
	}
	return false;
}

/* It may come some time after its driver was bound, and nothing announces it. */
static int wait_for_mgmtdev(struct kernel *k, const char *name, struct host_scan *s,
			    struct vnet_err *err)
{
	const struct timespec step = { .tv_nsec = APPEAR_STEP_MS * 1000000L };
	struct vnet_err why;
	int r;

	for (int waited = 0;; waited += APPEAR_STEP_MS) {
		host_scan_done(s);
		why = VNET_ERR_INIT;
		r = k->ops->mgmtdevs(k, s, &why);
		if (r == 0 && has_mgmtdev(s, name))
			return 0;
		if (waited >= APPEAR_MS || (r < 0 && r != -ENOENT))
			break;
		nanosleep(&step, NULL);
	}
	if (r < 0) {
		if (err)
			*err = why;
		return r;
	}
	return vnet_err_set(err, -ENODEV, VNET_E_FAILED,
			    "vDPA management device %s is not there, and did not come within %d s: "
			    "its driver makes it (modprobe mlx5_vdpa, vdpa_sim_net ...; a VF must "
			    "be bound to its vDPA driver)",
			    name, APPEAR_MS / 1000);
}

/* Some drivers (vp_vdpa, ifcvf) make a second device of the same queues without a
 * word; none whose management device is on a bus has room for two. */
static int check_vacant(const struct host_scan *s, const char *mgmtdev, struct vnet_err *err)
{
	if (!strchr(mgmtdev, '/'))
		return 0;
	for (size_t i = 0; i < s->n_vdpas; i++) {
		if (!strcmp(s->vdpas[i].mgmtdev, mgmtdev))
			return vnet_err_set(err, -EBUSY, VNET_E_IN_USE,
					    "vDPA management device %s has a device already: %s",
					    mgmtdev, s->vdpas[i].name);
	}
	return 0;
}

static int check_made(struct kernel *k, const char *name, const char *wanted, struct vnet_err *err)
{
	char actual[KNOB_VALUE_MAX];
	int r = vdpa_knob_get(k, name, actual, err);

	if (r < 0 || vdpa_knob_matches(wanted, actual))
		return r;
	return vnet_err_set(err, -EIO, VNET_E_FAILED,
			    "the kernel said yes, but it reads back as '%s'", actual);
}

/* The kernel says EINVAL, and no more, of a device that no program offers yet. */
static void explain_vduse(struct kernel *k, const char *name, const struct vdpa_config *c, int r,
			  struct vnet_err *err)
{
	if (r != -EINVAL || strcmp(c->mgmtdev, VDUSE) != 0)
		return;
	if (kernel_exists(k, VDUSE_DEVICES "/%s", name))
		vnet_err_set(err, r, VNET_E_FAILED,
			     "the program that offers the VDUSE device of this name has not set "
			     "up all of its queues, or it is not for a network (%s)",
			     strerror(-r));
	else
		vnet_err_set(err, r, VNET_E_FAILED,
			     "no program offers a VDUSE device of this name: start one that does "
			     "(%s)",
			     strerror(-r));
}

static int make(struct kernel *k, const char *name, const struct vdpa_config *c, const char *wanted,
		struct vnet_err *err)
{
	bool made = false;
	int r = autoprobe_off(k, err);

	if (r == 0) {
		r = k->ops->vdpa_new(k, name, c, err);
		made = r == 0;
		if (r < 0) {
			autoprobe_back(k, NULL); /* the error that counts is the other one */
			explain_vduse(k, name, c, r, err);
		} else {
			r = autoprobe_back(k, err);
		}
	}
	if (r == 0)
		r = check_made(k, name, wanted, err);
	if (r < 0 && made && exists(k, name) && !kernel_exists(k, VDPA_DEVICES "/%s/driver", name))
		k->ops->vdpa_del(k, name, NULL);
	return r;
}

static int set_device(struct kernel *k, const char *name, const char *value, struct vnet_err *err)
{
	struct host_scan s = { 0 };
	char now[KNOB_VALUE_MAX];
	struct vdpa_config c;
	int r;

	if (vdpa_config_parse(value, &c) < 0)
		return vnet_err_set(
			err, -EINVAL, VNET_E_INVALID,
			"'%s': expected a management device, and maybe mac M, mtu N, max_vqp N",
			value);
	r = vdpa_knob_get(k, name, now, err);
	if (r < 0 || vdpa_knob_matches(value, now))
		return r;
	if (strcmp(now, KNOB_ABSENT) != 0)
		return vnet_err_set(err, -EEXIST, VNET_E_EXISTS, "it is there already, made of %s",
				    now);
	r = wait_for_mgmtdev(k, c.mgmtdev, &s, err);
	if (r == 0)
		r = check_vacant(&s, c.mgmtdev, err);
	host_scan_done(&s);
	return r < 0 ? r : make(k, name, &c, value, err);
}

/* ---- delete ---- */

static int remove_device(struct kernel *k, const char *name, struct vnet_err *err)
{
	char driver[DRIVER_NAME_MAX];
	int r;

	if (!exists(k, name))
		return 0;
	if (kernel_exists(k, VDPA_DEVICES "/%s/driver", name)) {
		if (kernel_readlink_base(k, driver, sizeof(driver), VDPA_DEVICES "/%s/driver",
					 name) < 0)
			strcpy(driver, "a driver");
		return vnet_err_set(err, -EBUSY, VNET_E_IN_USE,
				    "it is bound to %s, which must let go of it first: deleting it "
				    "would wait for whoever has it open",
				    driver);
	}
	r = k->ops->vdpa_del(k, name, err);
	if (r == 0 && exists(k, name))
		return vnet_err_set(err, -EIO, VNET_E_FAILED,
				    "the kernel said yes, but it is still there");
	return r == -ENODEV ? 0 : r;
}

/* ---- the knob ---- */

int vdpa_knob_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		  struct vnet_err *err)
{
	struct vnet_err why = VNET_ERR_INIT;
	struct vdpa_config c = { 0 };
	int r = check_name(object, err);

	if (r < 0)
		return r;
	autoprobe_back(k, NULL);
	strcpy(ret, KNOB_ABSENT);
	if (!exists(k, object))
		return 0;
	r = k->ops->vdpa_get(k, object, &c, &why);
	if (r == -ENODEV)
		return 0;
	if (r == -EINVAL || r == -ENOENT) { /* its driver made it, not somebody's request */
		facts_vdpa_parent(k, object, c.mgmtdev);
	} else if (r < 0) {
		if (err)
			*err = why;
		return r;
	}
	vdpa_config_str(&c, ret);
	return 0;
}

int vdpa_knob_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	int r = check_name(object, err);

	if (r == 0)
		r = autoprobe_back(k, err);
	if (r == 0)
		r = strcmp(value, KNOB_ABSENT) ? set_device(k, object, value, err)
					       : remove_device(k, object, err);
	if (r < 0)
		vnet_err_wrap(err, "vDPA device %s", object);
	return r;
}

/* What the device does not tell, it may have. */
bool vdpa_knob_matches(const char *wanted, const char *actual)
{
	struct vdpa_config w, a;

	if (vdpa_config_parse(wanted, &w) < 0 || vdpa_config_parse(actual, &a) < 0)
		return !strcmp(wanted, actual);
	return !strcmp(w.mgmtdev, a.mgmtdev) &&
	       (!w.has_mac || !a.has_mac || mac_eq(&w.mac, &a.mac)) &&
	       (!w.mtu || !a.mtu || w.mtu == a.mtu) &&
	       (!w.max_vqp || !a.max_vqp || w.max_vqp == a.max_vqp);
}

int vdpa_check_free(struct kernel *k, const char *object, struct vnet_err *err)
{
	if (!kernel_exists(k, VDPA_DEVICES "/%s", object))
		return 0;
	return check_vdpa_free(k, object, err);
}
