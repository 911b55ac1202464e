/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Knobs of an interface that vnetd made: MAC, MTU, up and down. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/host/backend.h"

#define MTU_MIN 68 /* ETH_MIN_MTU */
#define MTU_MAX 65535

static int need(struct kernel *k, const char *object, struct netdev *ret, struct vnet_err *err)
{
	int r = netdev_find(k, object, ret, err);

	return r ? r
		 : vnet_err_set(err, -ENODEV, VNET_E_NOT_FOUND, "there is no interface %s", object);
}

/* ---- MAC ---- */

int net_mac_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		struct vnet_err *err)
{
	struct netdev d = { 0 };
	char buf[MAC_STR];
	int r = netdev_find(k, object, &d, err);

	if (r < 0)
		return r;
	strcpy(ret, !r ? KNOB_ABSENT : d.link.has_mac ? mac_str(&d.link.mac, buf) : "none");
	return 0;
}

int net_mac_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	struct netdev_change c = { .which = NETDEV_MAC };
	struct netdev d = { 0 };
	int r;

	if (mac_parse(value, &c.mac) < 0 || mac_is_zero(&c.mac) || mac_is_multicast(&c.mac))
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "net-mac '%.32s': expected a MAC of one station", value);
	r = need(k, object, &d, err);
	return r < 0 ? r : k->ops->netdev_set(k, &d, &c, err);
}

bool net_mac_matches(const char *wanted, const char *actual)
{
	struct mac w, a;

	return mac_parse(wanted, &w) == 0 && mac_parse(actual, &a) == 0 && mac_eq(&w, &a);
}

/* ---- MTU ---- */

int net_mtu_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		struct vnet_err *err)
{
	struct netdev d = { 0 };
	int r = netdev_find(k, object, &d, err);

	if (r < 0)
		return r;
	if (r)
		snprintf(ret, KNOB_VALUE_MAX, "%d", d.link.mtu);
	else
		strcpy(ret, KNOB_ABSENT);
	return 0;
}

int net_mtu_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	struct netdev_change c = { .which = NETDEV_MTU, .number = suffix_number(value, "") };
	struct netdev d = { 0 };
	int r;

	if (c.number < MTU_MIN || c.number > MTU_MAX)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "net-mtu '%.32s': expected a number of bytes, %d to %d", value,
				    MTU_MIN, MTU_MAX);
	r = need(k, object, &d, err);
	return r < 0 ? r : k->ops->netdev_set(k, &d, &c, err);
}

/* ---- up, down ---- */

int net_up_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
	       struct vnet_err *err)
{
	struct netdev d = { 0 };
	int r = netdev_find(k, object, &d, err);

	if (r < 0)
		return r;
	strcpy(ret, !r ? KNOB_ABSENT : d.link.up ? "up" : "down");
	return 0;
}

int net_up_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	bool up = !strcmp(value, "up");
	struct netdev d = { 0 };
	int r;

	if (!up && strcmp(value, "down") != 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "net-up '%.32s': expected up or down", value);
	r = need(k, object, &d, err);
	if (r < 0)
		return r;
	r = k->ops->link_up(k, d.link.ifindex, up, err);
	return r < 0 ? vnet_err_wrap(err, "interface %s", object) : 0;
}
