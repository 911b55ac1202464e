/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tap knob, and what macvtap.c shares with it.
 *
 * Invariant: only what reads as a tap of ours is ever deleted, and only while nobody
 * has a queue of it. Of the number of queues the kernel keeps whether it may be more
 * than one; how many there are is up to who opens them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/host/backend.h"
#include "daemon/host/holders.h"

#define QUEUES_MAX 256 /* MAX_TAP_QUEUES */
/* For udev, which sets MAC addresses of new interfaces: its is not to be the last word. */
#define UDEV_STEP_MS 5
#define UDEV_TRIES 400

/* 0: not to be read. */
static int queues_parse(const char *s)
{
	int n = suffix_number(s, "queues ");

	return n >= 1 && n <= QUEUES_MAX ? n : 0;
}

static bool is_our_tap(const struct netdev *d)
{
	return !strcmp(d->link.kind, "tun") && !d->ip && d->link.tap_persistent;
}

void netdev_foreign(const struct netdev *d, char ret[static KNOB_VALUE_MAX])
{
	snprintf(ret, KNOB_VALUE_MAX, "foreign %s",
		 *d->link.kind ? d->link.kind : "physical interface");
}

int netdev_find(struct kernel *k, const char *name, struct netdev *ret, struct vnet_err *err)
{
	int r;

	if (!is_ifname(name))
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "'%.64s' is no name of an interface", name);
	r = k->ops->netdev_get(k, name, 0, ret, err);
	return r == -ENODEV ? 0 : r < 0 ? r : 1;
}

int netdev_taken(const struct netdev *d, struct vnet_err *err)
{
	char is[KNOB_VALUE_MAX];

	netdev_foreign(d, is);
	return vnet_err_set(
		err, -EEXIST, VNET_E_EXISTS,
		"interface %s is there already and not vnetd's (%s): rename or delete it",
		d->link.name, is);
}

void netdev_await_udev(struct kernel *k, const struct netdev *d)
{
	const struct timespec step = { .tv_nsec = UDEV_STEP_MS * 1000000L };

	for (int i = 0; i < UDEV_TRIES && !udev_is_done(k, d->link.ifindex); i++)
		nanosleep(&step, NULL);
}

static int check_holder(struct kernel *k, const struct netdev *d, struct vnet_err *err)
{
	char who[HOLDER_STR];
	struct holder h = { 0 };
	int r = k->ops->netdev_holder(k, d, &h, err);

	if (r > 0)
		return vnet_err_set(err, -EBUSY, VNET_E_IN_USE,
				    "interface %s: %s has it open: shut the guest down, or end it",
				    d->link.name, holder_str(&h, who));
	return r;
}

int netdev_check_free(struct kernel *k, const char *object, struct vnet_err *err)
{
	struct netdev d = { 0 };
	int r = netdev_find(k, object, &d, err);

	return r > 0 ? check_holder(k, &d, err) : r;
}

int netdev_delete(struct kernel *k, const struct netdev *d, struct vnet_err *err)
{
	int r = check_holder(k, d, err);

	return r < 0 ? vnet_err_wrap(err, "delete it") : k->ops->netdev_del(k, d, err);
}

int tap_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
	    struct vnet_err *err)
{
	struct netdev d = { 0 };
	int r = netdev_find(k, object, &d, err);

	if (r < 0)
		return r;
	if (!r)
		strcpy(ret, KNOB_ABSENT);
	else if (is_our_tap(&d))
		strcpy(ret, d.multi_queue ? "queues 2" : "queues 1");
	else
		netdev_foreign(&d, ret);
	return 0;
}

static int make(struct kernel *k, const char *object, int queues, struct vnet_err *err)
{
	struct netdev want = { .link.kind = "tun", .multi_queue = queues > 1 }, d = { 0 };
	int r;

	snprintf(want.link.name, sizeof(want.link.name), "%s", object);
	r = k->ops->netdev_add(k, &want, err);
	if (r == 0 && netdev_find(k, object, &d, err) > 0)
		netdev_await_udev(k, &d);
	return r;
}

int tap_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	int r, queues = queues_parse(value);
	bool absent = !strcmp(value, KNOB_ABSENT);
	struct netdev d = { 0 };

	if (!queues && !absent)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "tap '%.32s': expected queues N (1 to %d), or absent", value,
				    QUEUES_MAX);
	r = netdev_find(k, object, &d, err);
	if (r < 0)
		return r;
	if (r && !is_our_tap(&d))
		return netdev_taken(&d, err);
	if (absent)
		return r ? netdev_delete(k, &d, err) : 0;
	if (!r)
		return make(k, object, queues, err);
	if (d.multi_queue == (queues > 1))
		return 0;
	return vnet_err_set(err, -EEXIST, VNET_E_EXISTS,
			    "tap %s is there already, %s: delete it first", object,
			    d.multi_queue ? "for many queues" : "for one queue");
}

bool tap_matches(const char *wanted, const char *actual)
{
	int w = queues_parse(wanted), a = queues_parse(actual);

	if (!w || !a)
		return !strcmp(wanted, KNOB_ABSENT) && !strcmp(actual, KNOB_ABSENT);
	return (w > 1) == (a > 1);
}
