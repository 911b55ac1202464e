/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The macvtap knob. What opens it is the node /dev/tapIFINDEX, which comes with the
 * interface: one that has none is of no use, and is taken away again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/host/backend.h"

#define NODE_TRIES 100
#define NODE_STEP_MS 50 /* devtmpfs has it at once; udev elsewhere */

struct macvtap {
	char lower[IF_NAMESIZE], mode[12];
};

static bool parse(const char *s, struct macvtap *ret)
{
	static const char *const modes[] = { "private", "vepa", "bridge", "passthru" };
	struct macvtap m = { 0 };
	int end = -1;

	if (sscanf(s, "on %15s mode %11s%n", m.lower, m.mode, &end) != 2 || end < 0 || s[end] ||
	    !is_ifname(m.lower))
		return false;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!strcmp(modes[i], m.mode)) {
			*ret = m;
			return true;
		}
	}
	return false;
}

static bool is_macvtap(const struct netdev *d)
{
	return !strcmp(d->link.kind, "macvtap");
}

/* "?" where the lower one is in another namespace, or gone meanwhile. */
static int lower_name(struct kernel *k, const struct netdev *d, char ret[static IF_NAMESIZE],
		      struct vnet_err *err)
{
	struct netdev lower = { 0 };
	int r = -ENODEV;

	if (d->link.lower)
		r = k->ops->netdev_get(k, NULL, d->link.lower, &lower, err);
	if (r < 0 && r != -ENODEV)
		return r;
	strcpy(ret, r < 0 ? "?" : lower.link.name);
	return 0;
}

int macvtap_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		struct vnet_err *err)
{
	char lower[IF_NAMESIZE];
	struct netdev d = { 0 };
	int r = netdev_find(k, object, &d, err);

	if (r < 0)
		return r;
	if (!r) {
		strcpy(ret, KNOB_ABSENT);
		return 0;
	}
	if (!is_macvtap(&d)) {
		netdev_foreign(&d, ret);
		return 0;
	}
	r = lower_name(k, &d, lower, err);
	if (r == 0)
		snprintf(ret, KNOB_VALUE_MAX, "on %s mode %s", lower, *d.mode ? d.mode : "?");
	return r;
}

static int wait_for_node(struct kernel *k, int ifindex)
{
	const struct timespec step = { .tv_nsec = NODE_STEP_MS * 1000000L };

	for (int i = 0; i < NODE_TRIES; i++) {
		if (kernel_exists(k, "dev/tap%d", ifindex))
			return 0;
		nanosleep(&step, NULL);
	}
	return -ENOENT;
}

static int make(struct kernel *k, const char *object, const struct macvtap *m, struct vnet_err *err)
{
	struct netdev lower = { 0 }, d = { .link.kind = "macvtap" };
	int r = netdev_find(k, m->lower, &lower, err);

	if (r == 0)
		return vnet_err_set(err, -ENODEV, VNET_E_NOT_FOUND,
				    "macvtap %s: there is no interface %s below it", object,
				    m->lower);
	if (r < 0)
		return r;
	snprintf(d.link.name, sizeof(d.link.name), "%s", object);
	strcpy(d.mode, m->mode);
	d.link.lower = lower.link.ifindex;
	r = k->ops->netdev_add(k, &d, err);
	if (r < 0)
		return vnet_err_wrap(err, "on %s in mode %s", m->lower, m->mode);
	r = netdev_find(k, object, &d, err);
	if (r <= 0)
		return r < 0 ? r
			     : vnet_err_set(err, -EIO, VNET_E_FAILED,
					    "macvtap %s: the kernel said yes, but it is not there",
					    object);
	r = wait_for_node(k, d.link.ifindex);
	if (r == 0) {
		netdev_await_udev(k, &d);
		return 0;
	}
	k->ops->netdev_del(k, &d, NULL);
	return vnet_err_errno(err, r, "macvtap %s: /dev/tap%d does not come: is udev running?",
			      object, d.link.ifindex);
}

int macvtap_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	bool absent = !strcmp(value, KNOB_ABSENT);
	char is[KNOB_VALUE_MAX];
	struct macvtap want;
	struct netdev d = { 0 };
	int r;

	if (!absent && !parse(value, &want))
		return vnet_err_set(
			err, -EINVAL, VNET_E_INVALID,
			"macvtap '%.64s': expected on INTERFACE mode private, vepa, bridge or passthru",
			value);
	r = netdev_find(k, object, &d, err);
	if (r < 0)
		return r;
	if (r && !is_macvtap(&d))
		return netdev_taken(&d, err);
	if (absent)
		return r ? netdev_delete(k, &d, err) : 0;
	if (!r)
		return make(k, object, &want, err);
	r = macvtap_get(k, object, is, err);
	if (r < 0 || macvtap_matches(value, is))
		return r;
	return vnet_err_set(err, -EEXIST, VNET_E_EXISTS,
			    "macvtap %s is there already, %s: delete it first", object, is);
}

bool macvtap_matches(const char *wanted, const char *actual)
{
	struct macvtap w, a;

	if (!parse(wanted, &w) || !parse(actual, &a))
		return !strcmp(wanted, KNOB_ABSENT) && !strcmp(actual, KNOB_ABSENT);
	return !strcmp(w.lower, a.lower) && !strcmp(w.mode, a.mode);
}
