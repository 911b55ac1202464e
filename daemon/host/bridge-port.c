/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bridge-port knob: in which Linux bridge an interface is, in which VLANs there,
 * and whether it is kept from other isolated ports.
 *
 * Invariants: no interface is taken out of somebody else's bridge, bond or switch; a
 * port that could not get its VLANs does not stay in the bridge, where it would be in
 * the default one. The kernel takes these steps one by one: a worker that dies between
 * them leaves the port in the bridge with other VLANs, which half_set() tells.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/backend.h"

#define NONE "none"
#define BRIDGE "bridge" /* the kind */

struct membership {
	char bridge[IF_NAMESIZE]; /* "" none */
	bool has_vlans;		  /* else as the bridge has it for any port */
	bool is_default;	  /* read: its VLANs are what any port gets */
	struct port port;
};

/* ---- spelling ---- */

/* One word after the bridge, with its argument; @rest is at what follows. */
static bool parse_word(const char *word, char **rest, struct membership *m)
{
	struct port_vlans *v = &m->port.vlans;
	struct port_vlans id = { 0 };
	const char *arg;

	if (!strcmp(word, "isolated") && !m->port.isolated)
		return m->port.isolated = true;
	if (!strcmp(word, "default") && v->pvid && !m->is_default)
		return m->is_default = true;
	m->has_vlans = true;
	arg = strtok_r(NULL, " ", rest);
	if (!arg)
		return false;
	if (!strcmp(word, "trunk") && !v->n)
		return vlan_ranges_parse(arg, v);
	if (strcmp(word, "vlan") != 0 || v->pvid || !vlan_ranges_parse(arg, &id) || id.n != 1 ||
	    id.range[0].first != id.range[0].last)
		return false;
	v->pvid = id.range[0].first;
	return true;
}

/* The untagged one can't be among the tagged ones too. */
static bool is_apart(const struct port_vlans *v)
{
	for (unsigned i = 0; i < v->n; i++) {
		if (v->pvid >= v->range[i].first && v->pvid <= v->range[i].last)
			return false;
	}
	return true;
}

static bool parse(const char *s, struct membership *ret)
{
	struct membership m = { 0 };
	char copy[KNOB_VALUE_MAX], *rest = NULL;
	const char *word;

	if (strlen(s) >= sizeof(copy))
		return false;
	strcpy(copy, s);
	word = strtok_r(copy, " ", &rest);
	if (!word || !is_ifname(word) || !strcmp(word, KNOB_ABSENT))
		return false;
	if (strcmp(word, NONE) != 0)
		strcpy(m.bridge, word);
	while ((word = strtok_r(NULL, " ", &rest))) {
		if (!*m.bridge || !parse_word(word, &rest, &m))
			return false;
	}
	if (!is_apart(&m.port.vlans))
		return false;
	*ret = m;
	return true;
}

static void format(const struct membership *m, char ret[static KNOB_VALUE_MAX])
{
	const struct port_vlans *v = &m->port.vlans;
	char vlan[32] = "", trunk[KNOB_VALUE_MAX] = "";
	bool fits = vlan_ranges_str(v, trunk, sizeof(trunk));
	int n = 0;

	if (v->pvid)
		snprintf(vlan, sizeof(vlan), " vlan %u%s", v->pvid,
			 m->is_default ? " default" : "");
	if (fits && m->has_vlans && !v->odd && (v->pvid || v->n))
		n = snprintf(ret, KNOB_VALUE_MAX, "%s%s%s%s%s", m->bridge, vlan,
			     v->n ? " trunk " : "", trunk, m->port.isolated ? " isolated" : "");
	else if (!m->has_vlans)
		n = snprintf(ret, KNOB_VALUE_MAX, "%s%s", m->bridge,
			     m->port.isolated ? " isolated" : "");
	if (n <= 0 || n >= KNOB_VALUE_MAX)
		snprintf(ret, KNOB_VALUE_MAX, "%s vlans ?", m->bridge);
}

bool bridge_port_matches(const char *wanted, const char *actual)
{
	struct membership w, a;

	if (!parse(wanted, &w) || !parse(actual, &a))
		return !strcmp(wanted, KNOB_ABSENT) && !strcmp(actual, KNOB_ABSENT);
	if (strcmp(w.bridge, a.bridge) != 0 || w.port.isolated != a.port.isolated)
		return false;
	if (!w.has_vlans || w.is_default)
		return !a.has_vlans || a.is_default;
	return a.has_vlans && port_vlans_eq(&w.port.vlans, &a.port.vlans);
}

static bool is_in(const char *value, const char *bridge)
{
	size_t n = strcspn(value, " ");

	return n == strlen(bridge) && !strncmp(value, bridge, n) && !strchr(value, '(');
}

bool bridge_port_half_set(const char *before, const char *after, const char *actual)
{
	struct membership a;

	return parse(after, &a) && *a.bridge && is_in(actual, a.bridge) && !is_in(before, a.bridge);
}

/* ---- reading ---- */

static void default_vlans(const struct netdev *bridge, struct port_vlans *ret)
{
	*ret = (struct port_vlans){ .pvid = bridge->default_pvid };
}

static int read_port(struct kernel *k, const struct netdev *d, const struct netdev *bridge,
		     struct membership *ret, struct vnet_err *err)
{
	struct membership m = { 0 };
	struct port_vlans usual;
	int r = k->ops->port_get(k, d, &m.port, err);

	if (r < 0)
		return r;
	strcpy(m.bridge, bridge->link.name);
	default_vlans(bridge, &usual);
	m.is_default = port_vlans_eq(&m.port.vlans, &usual);
	m.has_vlans = bridge->link.vlan_filtering && !(m.is_default && !usual.pvid);
	if (!m.has_vlans)
		m.port.vlans = (struct port_vlans){ 0 };
	*ret = m;
	return 0;
}

int bridge_port_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		    struct vnet_err *err)
{
	struct netdev d = { 0 }, master = { 0 };
	struct membership m = { 0 };
	int r = netdev_find(k, object, &d, err);

	if (r < 0)
		return r;
	if (!r) {
		strcpy(ret, KNOB_ABSENT);
		return 0;
	}
	if (d.link.master)
		r = k->ops->netdev_get(k, NULL, d.link.master, &master, err);
	if (!d.link.master || r == -ENODEV) { /* or it went meanwhile */
		strcpy(ret, NONE);
		return 0;
	}
	if (r < 0)
		return r;
	if (strcmp(master.link.kind, BRIDGE) != 0) {
		snprintf(ret, KNOB_VALUE_MAX, "%s (%s)", master.link.name,
			 *master.link.kind ? master.link.kind : "no bridge");
		return 0;
	}
	if (!parse(master.link.name, &m) || !*m.bridge)
		return vnet_err_set(
			err, -EINVAL, VNET_E_FAILED,
			"bridge-port %s: it is in a bridge called '%s', which is a word of "
			"vnetd's own: rename the bridge",
			object, master.link.name);
	r = read_port(k, &d, &master, &m, err);
	if (r == 0)
		format(&m, ret);
	return r;
}

/* ---- setting ---- */

static int set_master(struct kernel *k, const struct netdev *d, int master, struct vnet_err *err)
{
	const struct netdev_change c = { .which = NETDEV_MASTER, .number = master };

	return k->ops->netdev_set(k, d, &c, err);
}

static int leave(struct kernel *k, const struct netdev *d, struct vnet_err *err)
{
	struct netdev master = { 0 };
	int r;

	if (!d->link.master)
		return 0;
	r = k->ops->netdev_get(k, NULL, d->link.master, &master, err);
	if (r == -ENODEV)
		return 0;
	if (r == 0 && strcmp(master.link.kind, BRIDGE) != 0)
		return vnet_err_set(err, -EBUSY, VNET_E_IN_USE,
				    "it is in %s, which is no Linux bridge: left alone",
				    master.link.name);
	return r < 0 ? r : set_master(k, d, 0, err);
}

static int find_bridge(struct kernel *k, const struct membership *want, struct netdev *ret,
		       struct vnet_err *err)
{
	int r = netdev_find(k, want->bridge, ret, err);

	if (r < 0)
		return r;
	if (!r)
		return vnet_err_set(err, -ENODEV, VNET_E_NOT_FOUND,
				    "there is no bridge %s: ip link add %s type bridge",
				    want->bridge, want->bridge);
	if (strcmp(ret->link.kind, BRIDGE) != 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "%s is no Linux bridge but %s",
				    want->bridge,
				    *ret->link.kind ? ret->link.kind : "a physical interface");
	if (want->has_vlans && !want->is_default && !ret->link.vlan_filtering)
		return vnet_err_set(
			err, -EINVAL, VNET_E_INVALID,
			"bridge %s does not tell VLANs apart: ip link set %s type bridge vlan_filtering 1",
			want->bridge, want->bridge);
	return 0;
}

static int check_free(struct kernel *k, const struct netdev *d, const struct netdev *bridge,
		      struct vnet_err *err)
{
	struct netdev master = { 0 };
	int r;

	if (!d->link.master || d->link.master == bridge->link.ifindex)
		return 0;
	r = k->ops->netdev_get(k, NULL, d->link.master, &master, err);
	if (r == -ENODEV)
		return 0;
	return r < 0 ? r
		     : vnet_err_set(err, -EBUSY, VNET_E_IN_USE,
				    "it is a port of %s already: ip link set %s nomaster",
				    master.link.name, d->link.name);
}

static int set_port(struct kernel *k, const struct netdev *d, const struct netdev *bridge,
		    const struct membership *want, struct vnet_err *err)
{
	struct port now = { 0 }, p = want->port;
	int r = k->ops->port_get(k, d, &now, err);

	if (!want->has_vlans || want->is_default)
		default_vlans(bridge, &p.vlans);
	if (r == 0 && bridge->link.vlan_filtering && !port_vlans_eq(&now.vlans, &p.vlans))
		r = k->ops->port_set(k, d, PORT_VLANS, &p, err);
	if (r == 0 && now.isolated != p.isolated)
		r = k->ops->port_set(k, d, PORT_ISOLATED, &p, err);
	return r;
}

static int join(struct kernel *k, const struct netdev *d, const struct membership *want,
		struct vnet_err *err)
{
	struct netdev bridge = { 0 };
	bool joined = false;
	int r = find_bridge(k, want, &bridge, err);

	if (r == 0)
		r = check_free(k, d, &bridge, err);
	if (r == 0 && d->link.master != bridge.link.ifindex) {
		r = set_master(k, d, bridge.link.ifindex, err);
		joined = r == 0;
	}
	if (r == 0)
		r = set_port(k, d, &bridge, want, err);
	if (r < 0 && joined)
		set_master(k, d, 0, NULL);
	return r;
}

int bridge_port_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	struct netdev d = { 0 };
	struct membership want;
	int r;

	if (!parse(value, &want))
		return vnet_err_set(
			err, -EINVAL, VNET_E_INVALID,
			"bridge-port '%.64s': expected none, or BRIDGE, maybe with "
			"vlan ID, trunk IDS (at most %d ranges of 1 to %d) and isolated",
			value, VLAN_RANGES_MAX, VLAN_MAX);
	r = netdev_find(k, object, &d, err);
	if (r == 0)
		r = vnet_err_set(err, -ENODEV, VNET_E_NOT_FOUND, "there is no interface %s",
				 object);
	if (r > 0)
		r = *want.bridge ? join(k, &d, &want, err) : leave(k, &d, err);
	if (r < 0)
		vnet_err_wrap(err, "bridge-port %s: '%.64s'", object, value);
	return r;
}
