/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interfaces of the fake kernel that are made, set and put into bridges. Of each there
 * is a row of links, as a scan sees it; what more there is of it is in netdevs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "tests/fake/priv.h"

static const char *text_of(const json_t *o, const char *field)
{
	const char *s = json_string_value(json_object_get(o, field));

	return s ? s : "";
}

static int says(struct vnet_err *err, int r, const char *what, const char *object)
{
	return r < 0 ? vnet_err_errno(err, r, "%s %s", what, object) : r;
}

/* ---- state ---- */

static json_t *record_of(struct fake *f, const char *name)
{
	return member_object(member_object(f->doc, "netdevs"), name);
}

static void forget(struct fake *f, const char *name)
{
	json_object_del(member_object(f->doc, "netdevs"), name);
}

static int load(struct fake *f, struct host_scan *s)
{
	return host_links_from_json(json_object_get(f->doc, "links"), s, NULL);
}

static void save(struct fake *f, const struct host_scan *s)
{
	json_object_set_new(f->doc, "links", host_links_to_json(s));
}

static struct link *by_name(const struct host_scan *s, const char *name)
{
	for (size_t i = 0; i < s->n_links; i++) {
		if (!strcmp(s->links[i].name, name))
			return &s->links[i];
	}
	return NULL;
}

/* Row of holders for a queue of it, or NULL. */
static const json_t *holder_of(struct fake *f, const char *name)
{
	const json_t *rows = json_object_get(f->doc, "holders"), *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		if (!strcmp(text_of(row, "interface"), name))
			return row;
	}
	return NULL;
}

static void describe(struct fake *f, const struct link *l, struct netdev *ret)
{
	const json_t *o = json_object_get(json_object_get(f->doc, "netdevs"), l->name);
	const json_t *pvid = json_object_get(o, "defaultPvid");

	*ret = (struct netdev){ .link = *l };
	ret->ip = json_is_true(json_object_get(o, "ip"));
	ret->multi_queue = json_is_true(json_object_get(o, "multiQueue"));
	ret->queues = ret->multi_queue && holder_of(f, l->name) ? 1 : 0;
	snprintf(ret->mode, sizeof(ret->mode), "%s", text_of(o, "mode"));
	if (!strcmp(l->kind, "bridge"))
		ret->default_pvid =
			(uint16_t)(json_is_integer(pvid) ? json_integer_value(pvid) : 1);
}

int fake_netdev_get(struct kernel *k, const char *name, int ifindex, struct netdev *ret,
		    struct vnet_err *err)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	struct host_scan s = { 0 };
	const struct link *l = NULL;
	char op[64];
	int r = fake_begin(&f);

	if (r < 0)
		return says(err, r, "netdev_get", k->root);
	r = load(&f, &s);
	if (r == 0)
		l = ifindex ? host_scan_link(&s, ifindex) : by_name(&s, name);
	snprintf(op, sizeof(op), "netdev_get:%s", l ? l->name : ifindex ? "?" : name);
	if (r == 0)
		r = fake_fault(&f, op, false);
	r = r < 0 ? says(err, r, "read interface", op + strlen("netdev_get:")) : 0;
	if (r == 0 && l)
		describe(&f, l, ret);
	else if (r == 0)
		r = -ENODEV;
	host_scan_done(&s);
	fake_end_look(&f);
	return r;
}

/* ---- a write: fault, deed, log ---- */

struct deed {
	const char *op, *name;
	char value[256];
	int (*act)(struct fake *f, struct host_scan *s, const void *arg);
	const void *arg;
};

static int perform(struct kernel *k, const struct deed *d, struct vnet_err *err)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	struct host_scan s = { 0 };
	char op[96];
	int r, fault;

	snprintf(op, sizeof(op), "%s:%s", d->op, d->name);
	r = fake_begin(&f);
	if (r < 0)
		return says(err, r, d->op, d->name);
	fault = fake_fault(&f, op, true);
	r = fault < 0 ? fault : load(&f, &s);
	if (r == 0 && fault == FAULT_NONE)
		r = d->act(&f, &s, d->arg);
	fake_log(&f, d->op, d->name, d->value, r, fault != FAULT_NONE);
	host_scan_done(&s);
	fake_end(&f);
	return says(err, r, d->op, d->name);
}

/* ---- made and taken away ---- */

static void show(struct fake *f, const struct link *l)
{
	char number[16], target[64];

	snprintf(number, sizeof(number), "%d\n", l->ifindex);
	put_dir(f, "sys/devices/virtual/net/%s", l->name);
	put_file(f, number, "sys/devices/virtual/net/%s/ifindex", l->name);
	snprintf(target, sizeof(target), "../../devices/virtual/net/%s", l->name);
	put_link(f, target, "sys/class/net/%s", l->name);
}

/* As the kernel: a device has one that receives for it, a bridge or its macvlans. */
static int check_lower(struct fake *f, const struct host_scan *s, const struct netdev *want)
{
	const struct link *lower = host_scan_link(s, want->link.lower);

	if (!lower)
		return -ENODEV;
	if (lower->master)
		return -EBUSY;
	for (size_t i = 0; i < s->n_links; i++) {
		const struct link *l = &s->links[i];
		struct netdev d;

		if (l->lower != lower->ifindex || strcmp(l->kind, "macvtap") != 0)
			continue;
		describe(f, l, &d);
		if (!strcmp(d.mode, "passthru") || !strcmp(want->mode, "passthru"))
			return -EINVAL;
	}
	return 0;
}

static int add(struct fake *f, struct host_scan *s, const void *arg)
{
	const struct netdev *want = arg;
	bool tap = !strcmp(want->link.kind, "tun");
	struct link new = { .mtu = 1500, .has_mac = true }, *links;
	int r = 0;

	if (by_name(s, want->link.name))
		return -EEXIST;
	if (!tap)
		r = check_lower(f, s, want);
	if (r < 0)
		return r;
	links = reallocarray(s->links, s->n_links + 1, sizeof(*links));
	if (!links)
		return -ENOMEM;
	s->links = links;
	strcpy(new.name, want->link.name);
	strcpy(new.kind, want->link.kind);
	new.ifindex = take_number(f, "nextIfindex", 100);
	new.lower = want->link.lower;
	new.tap_persistent = tap;
	new.passthru = !tap && !strcmp(want->mode, "passthru");
	mac_generate(&new.mac);
	s->links[s->n_links++] = new;
	save(f, s);
	show(f, &new);
	if (tap)
		json_put_bool(record_of(f, new.name), "multiQueue", want->multi_queue);
	else
		json_put_str(record_of(f, new.name), "mode", want->mode);
	if (!tap)
		put_file(f, "", "dev/tap%d", new.ifindex);
	return 0;
}

int fake_netdev_add(struct kernel *k, const struct netdev *d, struct vnet_err *err)
{
	struct deed deed = { .op = "netdev_add", .name = d->link.name, .act = add, .arg = d };

	if (!strcmp(d->link.kind, "tun"))
		snprintf(deed.value, sizeof(deed.value), "tap %s", d->multi_queue ? "many" : "one");
	else
		snprintf(deed.value, sizeof(deed.value), "%s on %d mode %s", d->link.kind,
			 d->link.lower, d->mode);
	return perform(k, &deed, err);
}

void drop_netdev(struct fake *f, struct host_scan *s, int ifindex)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_links; i++) {
		struct link *l = &s->links[i];

		if (l->ifindex == ifindex || (l->lower == ifindex && !strcmp(l->kind, "macvtap"))) {
			take_away(f, "sys/class/net/%s", l->name);
			take_away(f, "sys/devices/virtual/net/%s", l->name);
			take_away(f, "dev/tap%d", l->ifindex);
			forget(f, l->name);
			continue;
		}
		if (l->master == ifindex)
			l->master = 0;
		s->links[n++] = *l;
	}
	s->n_links = n;
	save(f, s);
}

static int del(struct fake *f, struct host_scan *s, const void *arg)
{
	const struct netdev *d = arg;
	const struct link *now = host_scan_link(s, d->link.ifindex);

	if (!now)
		return 0;
	if (strcmp(now->name, d->link.name) != 0 || strcmp(now->kind, d->link.kind) != 0)
		return -ESTALE;
	if (!strcmp(now->kind, "tun") && holder_of(f, now->name))
		return -EBUSY;
	drop_netdev(f, s, now->ifindex);
	return 0;
}

int fake_netdev_del(struct kernel *k, const struct netdev *d, struct vnet_err *err)
{
	struct deed deed = { .op = "netdev_del", .name = d->link.name, .act = del, .arg = d };

	return perform(k, &deed, err);
}

/* ---- set ---- */

struct set {
	const struct netdev *d;
	const struct netdev_change *c;
};

static int set_master(struct fake *f, struct host_scan *s, struct link *l, int master)
{
	const struct link *to = master ? host_scan_link(s, master) : NULL;
	json_t *vlans;
	struct netdev bridge;

	if (master && !to)
		return -ENODEV;
	if (to && strcmp(to->kind, "bridge") != 0)
		return -EOPNOTSUPP;
	if (!strcmp(l->kind, "bridge"))
		return -ELOOP;
	for (size_t i = 0; to && i < s->n_links; i++) {
		if (s->links[i].lower == l->ifindex && !strcmp(s->links[i].kind, "macvtap"))
			return -EBUSY;
	}
	l->master = master;
	json_object_del(record_of(f, l->name), "port");
	if (!to)
		return 0;
	describe(f, to, &bridge);
	vlans = member_object(record_of(f, l->name), "port");
	if (bridge.default_pvid)
		json_put_int(vlans, "pvid", bridge.default_pvid);
	return 0;
}

static int set(struct fake *f, struct host_scan *s, const void *arg)
{
	const struct set *a = arg;
	struct link *l = host_scan_link(s, a->d->link.ifindex);
	int r = 0;

	if (!l)
		return -ENODEV;
	if (a->c->which == NETDEV_MASTER)
		r = set_master(f, s, l, a->c->number);
	else if (a->c->which == NETDEV_MTU && (a->c->number < 68 || a->c->number > 65521))
		r = -EINVAL;
	else if (a->c->which == NETDEV_MTU)
		l->mtu = a->c->number;
	else if (mac_is_multicast(&a->c->mac) || mac_is_zero(&a->c->mac))
		r = -EADDRNOTAVAIL;
	else
		l->mac = a->c->mac;
	if (r == 0)
		save(f, s);
	return r;
}

int fake_netdev_set(struct kernel *k, const struct netdev *d, const struct netdev_change *c,
		    struct vnet_err *err)
{
	static const char *const ops[NETDEV_ATTR_MAX] = { "netdev_set:mac", "netdev_set:mtu",
							  "netdev_set:master" };
	struct set arg = { d, c };
	struct deed deed = { .op = ops[c->which], .name = d->link.name, .act = set, .arg = &arg };
	char mac[MAC_STR];

	if (c->which == NETDEV_MAC)
		strcpy(deed.value, mac_str(&c->mac, mac));
	else
		snprintf(deed.value, sizeof(deed.value), "%d", c->number);
	return perform(k, &deed, err);
}

int fake_netdev_holder(struct kernel *k, const struct netdev *d, struct holder *ret,
		       struct vnet_err *err)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	const json_t *row;
	int r = fake_begin(&f);

	if (r == 0 && (r = fake_fault(&f, "netdev_holder", false)) < 0)
		fake_end_look(&f);
	if (r < 0)
		return says(err, r, "holders of", d->link.name);
	row = holder_of(&f, d->link.name);
	if (row) {
		*ret = (struct holder){ .iommu_group = -1, .vfio_dev = -1 };
		ret->pid = (pid_t)json_integer_value(json_object_get(row, "pid"));
		snprintf(ret->comm, sizeof(ret->comm), "%s", text_of(row, "comm"));
		snprintf(ret->guest, sizeof(ret->guest), "%s", text_of(row, "guest"));
	}
	fake_end_look(&f);
	return row != NULL;
}

/* As many descriptors as that QEMU has, whichever tap they are for: all guests of the fake
 * libvirt have one pid. */
static unsigned vhost_of(const json_t *rows, const json_t *of)
{
	const json_t *row;
	json_int_t n = 0;
	size_t i;

	json_array_foreach (rows, i, row) {
		if (json_equal(json_object_get(row, "pid"), json_object_get(of, "pid")) &&
		    !strcmp(text_of(row, "guest"), text_of(of, "guest")))
			n += json_integer_value(json_object_get(row, "vhost"));
	}
	return (unsigned)n;
}

int fake_queue_users(struct kernel *k, struct queue_user **ret, size_t *ret_n, struct vnet_err *err)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	const json_t *rows, *row;
	size_t i;
	int r = fake_begin(&f);

	if (r == 0 && (r = fake_fault(&f, "queue_users", false)) < 0)
		fake_end_look(&f);
	if (r < 0)
		return says(err, r, "queues of", k->root);
	rows = json_object_get(f.doc, "holders");
	*ret = calloc(json_array_size(rows) + 1, sizeof(**ret));
	*ret_n = 0;
	json_array_foreach (rows, i, row) {
		struct queue_user *q = &(*ret)[*ret_n];

		if (!*text_of(row, "interface"))
			continue;
		snprintf(q->name, sizeof(q->name), "%s", text_of(row, "interface"));
		q->pid = (pid_t)json_integer_value(json_object_get(row, "pid"));
		q->queues = (unsigned)json_integer_value(json_object_get(row, "queues"));
		q->vhost = vhost_of(rows, row);
		(*ret_n)++;
	}
	fake_end_look(&f);
	return 0;
}

/* ---- ports of bridges ---- */

static int port_of(struct fake *f, const char *name, struct port *ret)
{
	const json_t *o = json_object_get(record_of(f, name), "port");
	const char *trunk = text_of(o, "trunk");

	*ret = (struct port){ 0 };
	ret->isolated = json_is_true(json_object_get(o, "isolated"));
	ret->vlans.pvid = (uint16_t)json_integer_value(json_object_get(o, "pvid"));
	return *trunk && !vlan_ranges_parse(trunk, &ret->vlans) ? -EBADMSG : 0;
}

int fake_port_get(struct kernel *k, const struct netdev *d, struct port *ret, struct vnet_err *err)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	struct host_scan s = { 0 };
	const struct link *l;
	char op[64];
	int r = fake_begin(&f);

	if (r < 0)
		return says(err, r, "port_get", d->link.name);
	snprintf(op, sizeof(op), "port_get:%s", d->link.name);
	r = fake_fault(&f, op, false);
	if (r >= 0)
		r = load(&f, &s);
	l = r == 0 ? host_scan_link(&s, d->link.ifindex) : NULL;
	if (r == 0)
		r = l && l->master ? port_of(&f, l->name, ret) : -ENOENT;
	host_scan_done(&s);
	fake_end_look(&f);
	return says(err, r, "port_get", d->link.name);
}

struct set_port {
	const struct netdev *d;
	enum port_attr which;
	const struct port *p;
};

static int set_port(struct fake *f, struct host_scan *s, const void *arg)
{
	const struct set_port *a = arg;
	const struct link *l = host_scan_link(s, a->d->link.ifindex);
	char trunk[KNOB_VALUE_MAX];
	json_t *o;

	if (!l)
		return -ENODEV;
	if (!l->master)
		return -EOPNOTSUPP;
	o = member_object(record_of(f, l->name), "port");
	if (a->which == PORT_ISOLATED) {
		json_put_bool(o, "isolated", a->p->isolated);
		return 0;
	}
	json_put_int(o, "pvid", a->p->vlans.pvid);
	if (!vlan_ranges_str(&a->p->vlans, trunk, sizeof(trunk)))
		return -ENOBUFS;
	json_put_str(o, "trunk", trunk);
	return 0;
}

int fake_port_set(struct kernel *k, const struct netdev *d, enum port_attr which,
		  const struct port *p, struct vnet_err *err)
{
	static const char *const ops[PORT_ATTR_MAX] = { "port_set:vlans", "port_set:isolated" };
	struct set_port arg = { d, which, p };
	struct deed deed = { .op = ops[which], .name = d->link.name, .act = set_port, .arg = &arg };
	char trunk[KNOB_VALUE_MAX];

	if (which == PORT_ISOLATED) {
		strcpy(deed.value, p->isolated ? "on" : "off");
	} else {
		vlan_ranges_str(&p->vlans, trunk, sizeof(trunk));
		snprintf(deed.value, sizeof(deed.value), "%u/%s", p->vlans.pvid, trunk);
	}
	return perform(k, &deed, err);
}
