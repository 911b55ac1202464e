/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vDPA of the fake kernel: generic netlink and the bus; tests/fake/kernel.h says what
 * fake.json has of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/host/vdpa.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "tests/fake/priv.h"

#define VDPA_DEV VDPA_BUS "/devices"
#define VDPA_DRV VDPA_BUS "/drivers"
#define VHOST "vhost_vdpa"

static int says(struct vnet_err *err, int r, const char *extack, const char *what, const char *name)
{
	if (r == 0)
		return 0;
	if (extack)
		return vnet_err_errno(err, r, "%s %s (%s)", what, name, extack);
	return vnet_err_errno(err, r, "%s %s", what, name);
}

static json_t *devices_of(struct fake *f)
{
	json_t *o = json_object_get(f->doc, "vdpas");

	if (!o) {
		o = json_object();
		json_object_set_new(f->doc, "vdpas", o);
	}
	return o;
}

/* ---- management devices ---- */

static bool is_up(struct fake *f, const char *bdf, const json_t *record)
{
	const char *native = json_string_value(json_object_get(record, "nativeDriver"));
	char driver[64];

	get_link(f, driver, sizeof(driver), PCI_DEV "/%s/driver", bdf);
	return native && strcmp(driver, native) == 0;
}

/* @name's record, NULL where there is none now. */
static json_t *mgmtdev_of(struct fake *f, const char *name)
{
	json_t *rows = json_object_get(f->doc, "mgmtdevs"), *row, *fn;
	size_t i;

	json_array_foreach (rows, i, row) {
		const char *n = json_string_value(json_object_get(row, "name"));

		if (n && strcmp(n, name) == 0)
			return json_integer_value(json_object_get(row, "hidden")) > 0 ? NULL : row;
	}
	if (strncmp(name, "pci/", 4) != 0)
		return NULL;
	fn = json_object_get(json_object_get(f->doc, "functions"), name + 4);
	return is_up(f, name + 4, fn) ? json_object_get(fn, "mgmtdev") : NULL;
}

static int add_mgmtdev(struct host_scan *s, const char *name, const json_t *row)
{
	struct vdpa_mgmtdev *more = reallocarray(s->mgmtdevs, s->n_mgmtdevs + 1, sizeof(*more));
	const char *features = json_string_value(json_object_get(row, "features"));

	if (!more)
		return -ENOMEM;
	s->mgmtdevs = more;
	more += s->n_mgmtdevs++;
	*more = (struct vdpa_mgmtdev){ .max_vqs = -1 };
	snprintf(more->name, sizeof(more->name), "%s", name);
	more->features = features ? strtoull(features, NULL, 16) : 0;
	if (json_is_integer(json_object_get(row, "maxVqs")))
		more->max_vqs = (int)json_integer_value(json_object_get(row, "maxVqs"));
	return 0;
}

static int list_mgmtdevs(struct fake *f, struct host_scan *s)
{
	json_t *rows = json_object_get(f->doc, "mgmtdevs"), *row, *fn;
	const char *bdf;
	size_t i;
	int r = 0;

	json_array_foreach (rows, i, row) {
		const char *name = json_string_value(json_object_get(row, "name"));
		json_int_t hidden = json_integer_value(json_object_get(row, "hidden"));

		if (hidden > 0)
			json_object_set_new(row, "hidden", json_integer(hidden - 1));
		else if (name && r == 0)
			r = add_mgmtdev(s, name, row);
	}
	json_object_foreach (json_object_get(f->doc, "functions"), bdf, fn) {
		char name[VDPA_MGMTDEV_MAX];

		if (!json_object_get(fn, "mgmtdev") || !is_up(f, bdf, fn) || r < 0)
			continue;
		snprintf(name, sizeof(name), "pci/%.40s", bdf);
		r = add_mgmtdev(s, name, json_object_get(fn, "mgmtdev"));
	}
	return r;
}

static int list_devices(struct fake *f, struct host_scan *s)
{
	json_t *all = devices_of(f), *d;
	const char *name;

	s->vdpas = calloc(json_object_size(all) + 1, sizeof(*s->vdpas));
	if (!s->vdpas)
		return -ENOMEM;
	json_object_foreach (all, name, d) {
		struct vdpa_dev *v = &s->vdpas[s->n_vdpas++];
		const char *mgmtdev = json_string_value(json_object_get(d, "mgmtdev"));

		snprintf(v->name, sizeof(v->name), "%s", name);
		snprintf(v->mgmtdev, sizeof(v->mgmtdev), "%s", mgmtdev ? mgmtdev : "");
	}
	return 0;
}

int fake_mgmtdevs(struct kernel *k, struct host_scan *s, struct vnet_err *err)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	int r = fake_begin(&f);

	if (r < 0)
		return says(err, r, NULL, "management devices of", k->root);
	r = fake_fault(&f, "mgmtdevs", false);
	if (r >= 0)
		r = is_there(&f, VDPA_BUS) ? list_mgmtdevs(&f, s) : -ENOENT;
	if (r == 0)
		r = list_devices(&f, s);
	fake_end(&f);
	return says(err, r, NULL, "management devices of", k->root);
}

int fake_vdpa_get(struct kernel *k, const char *name, struct vdpa_config *ret, struct vnet_err *err)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	char op[64];
	const json_t *d;
	const char *text;
	int r = fake_begin(&f);

	if (r < 0)
		return says(err, r, NULL, "vdpa_get", name);
	snprintf(op, sizeof(op), "vdpa_get:%s", name);
	r = fake_fault(&f, op, false);
	d = json_object_get(devices_of(&f), name);
	if (r >= 0)
		r = d ? 0 : is_there(&f, VDPA_DEV "/%s", name) ? -EINVAL : -ENODEV;
	if (r == 0) {
		*ret = (struct vdpa_config){ 0 };
		text = json_string_value(json_object_get(d, "mgmtdev"));
		snprintf(ret->mgmtdev, sizeof(ret->mgmtdev), "%s", text ? text : "");
		text = json_string_value(json_object_get(d, "mac"));
		ret->has_mac = text && mac_parse(text, &ret->mac) == 0;
		ret->mtu = (int)json_integer_value(json_object_get(d, "mtu"));
		ret->max_vqp = (int)json_integer_value(json_object_get(d, "maxVqp"));
	}
	fake_end_look(&f);
	return says(err, r, NULL, "vdpa_get", name);
}

/* ---- the bus ---- */

static int vhost_number(struct fake *f, const char *name)
{
	for (int i = 0; i < 1024; i++) {
		if (is_there(f, VDPA_DEV "/%s/vhost-vdpa-%d", name, i))
			return i;
	}
	return -1;
}

static bool is_held(struct fake *f, const char *name)
{
	json_t *rows = json_object_get(f->doc, "holders"), *row;
	char node[32];
	size_t i;

	snprintf(node, sizeof(node), "/dev/vhost-vdpa-%d", vhost_number(f, name));
	json_array_foreach (rows, i, row) {
		const char *n = json_string_value(json_object_get(row, "node"));

		if (n && strcmp(n, node) == 0)
			return true;
	}
	return false;
}

/* Where it is below sys/, and the way back up to there. */
static void place(struct fake *f, const char *name, const char *mgmtdev,
		  char dir[static FAKE_PATH_MAX], char up[static FAKE_PATH_MAX])
{
	char parent[FAKE_PATH_MAX];
	size_t n = 0;

	if (strncmp(mgmtdev, "pci/", 4) == 0)
		below_sys(f, mgmtdev + 4, parent);
	else
		snprintf(parent, sizeof(parent), "devices/%s", mgmtdev);
	snprintf(dir, FAKE_PATH_MAX, "%.400s/%s", parent, name);
	for (const char *s = dir; s; s = strchr(s + 1, '/'))
		n += (size_t)snprintf(up + n, FAKE_PATH_MAX - n, "%s..", n ? "/" : "");
}

static int bind_vdpa(struct fake *f, const char *driver, const char *name)
{
	char override[64], target[FAKE_PATH_MAX + 64], dir[FAKE_PATH_MAX], up[FAKE_PATH_MAX];
	const char *mgmtdev =
		json_string_value(json_object_get(json_object_get(devices_of(f), name), "mgmtdev"));
	int n;

	if (!is_there(f, VDPA_DRV "/%s", driver))
		return -ENOENT;
	if (!is_there(f, VDPA_DEV "/%s", name) || !mgmtdev)
		return -ENODEV;
	get_text(f, override, sizeof(override), VDPA_DEV "/%s/driver_override", name);
	if (override[0] && strcmp(override, "(null)") != 0 && strcmp(override, driver) != 0)
		return -ENODEV;
	if (is_there(f, VDPA_DEV "/%s/driver", name))
		return -EBUSY;
	place(f, name, mgmtdev, dir, up);
	snprintf(target, sizeof(target), "%s/bus/vdpa/drivers/%s", up, driver);
	put_link(f, target, VDPA_DEV "/%s/driver", name);
	if (strcmp(driver, VHOST) != 0)
		return 0;
	n = take_number(f, "nextVhostVdpa", 0);
	put_dir(f, VDPA_DEV "/%s/vhost-vdpa-%d", name, n);
	return put_file(f, "", "dev/vhost-vdpa-%d", n);
}

/* As the real one: waits for whoever has it open. */
static int unbind_vdpa(struct fake *f, const char *name)
{
	bool said = false;
	int n, r;

	while (is_held(f, name)) {
		if (!said)
			fake_log(f, "hangs", name, "", 0, false);
		said = true;
		r = fake_wait(f);
		if (r < 0)
			return r;
	}
	n = vhost_number(f, name);
	if (n >= 0) {
		take_away(f, VDPA_DEV "/%s/vhost-vdpa-%d", name, n);
		take_away(f, "dev/vhost-vdpa-%d", n);
	}
	take_away(f, VDPA_DEV "/%s/driver", name);
	return 0;
}

int react_vdpa(struct fake *f, const char *path, const char *value)
{
	char name[64], bound[64];
	int end = 0;

	if (!is_there(f, VDPA_BUS "/%s", path))
		return -ENOENT;
	if (sscanf(path, "drivers/%63[^/]/bind%n", name, &end) == 1 && end && !path[end])
		return bind_vdpa(f, name, value);
	if (sscanf(path, "drivers/%63[^/]/unbind%n", name, &end) == 1 && end && !path[end]) {
		get_link(f, bound, sizeof(bound), VDPA_DEV "/%s/driver", value);
		return strcmp(bound, name) ? -ENODEV : unbind_vdpa(f, value);
	}
	if (!value[0])
		value = "(null)";
	return put_file(f, value, VDPA_BUS "/%s", path);
}

/* ---- make, delete ---- */

static bool takes(const json_t *mgmtdev, const char *what)
{
	const json_t *list = json_object_get(mgmtdev, "takes"), *e;
	size_t i;

	json_array_foreach (list, i, e) {
		if (json_is_string(e) && strcmp(json_string_value(e), what) == 0)
			return true;
	}
	return false;
}

static int make(struct fake *f, const char *name, const struct vdpa_config *c, const char **extack)
{
	char dir[FAKE_PATH_MAX], up[FAKE_PATH_MAX], target[FAKE_PATH_MAX + 16], mac[MAC_STR];
	json_t *m = mgmtdev_of(f, c->mgmtdev), *d;

	if (!m) {
		*extack = "Fail to find the specified management device";
		return -ENODEV;
	}
	if ((c->has_mac && !takes(m, "mac")) || (c->mtu && !takes(m, "mtu")) ||
	    (c->max_vqp && !takes(m, "max_vqp"))) {
		*extack = "Some provided attributes are not supported";
		return -EOPNOTSUPP;
	}
	if (is_there(f, VDPA_DEV "/%s", name))
		return -EEXIST;
	/* Of what a program offers under this name, all of its queues being set up. */
	if (strcmp(c->mgmtdev, "vduse") == 0 &&
	    get_number(f, 0, "sys/class/vduse/%s/queues_set_up", name) != 1)
		return -EINVAL;
	d = json_object();
	json_put_str(d, "mgmtdev", c->mgmtdev);
	if (c->has_mac)
		json_put_str(d, "mac", mac_str(&c->mac, mac));
	if (c->mtu)
		json_put_int(d, "mtu", c->mtu);
	if (c->max_vqp)
		json_put_int(d, "maxVqp", c->max_vqp);
	json_object_set_new(devices_of(f), name, d);
	place(f, name, c->mgmtdev, dir, up);
	put_dir(f, "sys/%s", dir);
	put_file(f, "(null)\n", "sys/%s/driver_override", dir);
	snprintf(target, sizeof(target), "../../../%s", dir);
	put_link(f, target, VDPA_DEV "/%s", name);
	if (get_number(f, 1, VDPA_BUS "/drivers_autoprobe") == 1)
		bind_vdpa(f, "virtio_vdpa", name);
	return 0;
}

static int delete_device(struct fake *f, const char *name, const char **extack)
{
	const json_t *d = json_object_get(devices_of(f), name);
	char dir[FAKE_PATH_MAX], up[FAKE_PATH_MAX];
	int r;

	if (!d) {
		*extack = "device not found";
		return -ENODEV;
	}
	r = unbind_vdpa(f, name);
	if (r < 0)
		return r;
	place(f, name, json_string_value(json_object_get(d, "mgmtdev")), dir, up);
	take_away(f, VDPA_DEV "/%s", name);
	take_away(f, "sys/%s", dir);
	json_object_del(devices_of(f), name);
	return 0;
}

void drop_vdpas(struct fake *f, const char *bdf)
{
	const char *name, *extack = NULL;
	json_t *d;
	void *next;

	json_object_foreach_safe(devices_of(f), next, name, d)
	{
		const char *mgmtdev = json_string_value(json_object_get(d, "mgmtdev"));

		if (mgmtdev && strncmp(mgmtdev, "pci/", 4) == 0 && strcmp(mgmtdev + 4, bdf) == 0)
			delete_device(f, name, &extack);
	}
}

static int change(struct kernel *k, const char *what, const char *name, const struct vdpa_config *c,
		  struct vnet_err *err)
{
	struct fake f = { .rootfd = k->rootfd, .lockfd = -1 };
	char op[64], value[KNOB_VALUE_MAX] = "";
	const char *extack = NULL;
	int fault, r = fake_begin(&f);

	if (r < 0)
		return says(err, r, NULL, what, name);
	snprintf(op, sizeof(op), "%s:%s", what, name);
	fault = fake_fault(&f, op, true);
	if (fault == FAULT_NONE)
		r = c ? make(&f, name, c, &extack) : delete_device(&f, name, &extack);
	else
		r = fault < 0 ? fault : 0;
	if (c)
		vdpa_config_str(c, value);
	fake_log(&f, what, name, value, r, fault != FAULT_NONE);
	fake_end(&f);
	return says(err, r, extack, what, name);
}

int fake_vdpa_new(struct kernel *k, const char *name, const struct vdpa_config *c,
		  struct vnet_err *err)
{
	return change(k, "vdpa_new", name, c, err);
}

int fake_vdpa_del(struct kernel *k, const char *name, struct vnet_err *err)
{
	return change(k, "vdpa_del", name, NULL, err);
}
