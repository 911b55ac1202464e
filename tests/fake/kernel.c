/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake kernel as a back end: what tests/fake/kernel.h says, op by op. */
#include "tests/fake/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "tests/fake/priv.h"

static struct fake fake_at(struct kernel *k)
{
	return (struct fake){ .rootfd = k->rootfd, .lockfd = -1 };
}

int kernel_says(struct vnet_err *err, int r, const char *what, const char *object)
{
	return r < 0 ? vnet_err_errno(err, r, "%s %s", what, object) : 0;
}

/* ---- sysfs ---- */

/* Split "sys/bus/pci/devices/BDF/attribute" after @dir: into BDF and the rest. */
static bool below(const char *path, const char *dir, char name[static 64], const char **rest)
{
	size_t len = strlen(dir);
	const char *slash;

	if (strncmp(path, dir, len) != 0 || path[len] != '/')
		return false;
	path += len + 1;
	slash = strchr(path, '/');
	if (!slash || slash - path >= 64)
		return false;
	snprintf(name, 64, "%.*s", (int)(slash - path), path);
	*rest = slash + 1;
	return true;
}

static int write_device(struct fake *f, const char *bdf, const char *attr, const char *value)
{
	char text[192];

	if (!is_there(f, PCI_DEV "/%s/%s", bdf, attr))
		return -ENOENT;
	if (strcmp(attr, "sriov_numvfs") == 0)
		return react_numvfs(f, bdf, value);
	if (strcmp(attr, "reset") == 0) {
		get_text(f, text, sizeof(text), PCI_DEV "/%s/reset_method", bdf);
		return strcmp(value, "1") != 0 ? -EINVAL : text[0] ? 0 : -ENOTTY;
	}
	if (strcmp(attr, "sriov_drivers_autoprobe") == 0 && strcmp(value, "0") != 0 &&
	    strcmp(value, "1") != 0)
		return -EINVAL;
	if (strcmp(attr, "driver_override") == 0 && !value[0])
		value = "(null)";
	snprintf(text, sizeof(text), "%s\n", value);
	return put_file(f, text, PCI_DEV "/%s/%s", bdf, attr);
}

static int react(struct fake *f, const char *path, const char *value)
{
	const char *attr;
	char name[64];

	if (below(path, PCI_DEV, name, &attr))
		return write_device(f, name, attr, value);
	if (below(path, PCI_DRV, name, &attr) && strcmp(attr, "bind") == 0)
		return react_bind(f, name, value);
	if (below(path, PCI_DRV, name, &attr) && strcmp(attr, "unbind") == 0)
		return react_unbind(f, name, value);
	if (strcmp(path, "sys/bus/pci/drivers_probe") == 0)
		return react_probe(f, value);
	if (strncmp(path, VDPA_BUS "/", strlen(VDPA_BUS "/")) == 0)
		return react_vdpa(f, path + strlen(VDPA_BUS "/"), value);
	if (!is_there(f, "%s", path))
		return -ENOENT;
	return put_file(f, value, "%s", path);
}

static int fake_write(struct kernel *k, const char *path, const char *value)
{
	struct fake f = fake_at(k);
	char op[FAKE_PATH_MAX + 16], line[128];
	int r, fault;

	r = fake_begin(&f);
	if (r < 0)
		return r;
	/* echo ends a value with a newline, others don't: the kernel takes both */
	snprintf(line, sizeof(line), "%s", value);
	line[strcspn(line, "\n")] = '\0';
	snprintf(op, sizeof(op), "write:%s", path);
	fault = fake_fault(&f, op, true);
	r = fault < 0 ? fault : fault == FAULT_SILENT ? 0 : react(&f, path, line);
	fake_log(&f, "write", path, value, r, fault != FAULT_NONE);
	fake_end(&f);
	return r;
}

/* ---- netlink ---- */

/* Begin a look: a fault, or 0 with the state at hand. */
static int begin_look(struct fake *f, const char *op)
{
	int r = fake_begin(f);

	if (r < 0)
		return r;
	r = fake_fault(f, op, false);
	if (r < 0)
		fake_end_look(f);
	return r < 0 ? r : 0;
}

static int fake_links(struct kernel *k, struct host_scan *s, struct vnet_err *err)
{
	struct fake f = fake_at(k);
	int r = begin_look(&f, "links");

	if (r < 0)
		return kernel_says(err, r, "links of", k->root);
	r = host_links_from_json(json_object_get(f.doc, "links"), s, err);
	fake_end_look(&f);
	return r;
}

/* The index among s->links of the PF's interface, -ENODEV when it has none. */
static int pf_link(struct fake *f, const struct pci_addr *pf, struct host_scan *s,
		   struct vnet_err *err)
{
	int r = host_links_from_json(json_object_get(f->doc, "links"), s, err);
	char addr[PCI_ADDR_STR];

	for (size_t i = 0; r == 0 && i < s->n_links; i++) {
		if (pci_addr_eq(&s->links[i].pci, pf))
			return (int)i;
	}
	return r < 0 ? r : kernel_says(err, -ENODEV, "interface of", pci_addr_str(pf, addr));
}

/* The PF's rows, decoded. */
static int pf_rows(struct fake *f, const struct pci_addr *pf, struct host_scan *s,
		   struct vnet_err *err)
{
	char addr[PCI_ADDR_STR];
	const json_t *rows =
		json_object_get(json_object_get(f->doc, "vfs"), pci_addr_str(pf, addr));

	return rows ? host_vfs_merge_json(rows, pf, s, err) : 0;
}

static int fake_vf_get(struct kernel *k, const struct pci_addr *pf, struct vf_attrs **ret,
		       size_t *ret_n, struct vnet_err *err)
{
	struct fake f = fake_at(k);
	struct host_scan s = { 0 };
	char addr[PCI_ADDR_STR], op[64];
	int r;

	snprintf(op, sizeof(op), "vf_get:%s", pci_addr_str(pf, addr));
	r = begin_look(&f, op);
	if (r < 0)
		return kernel_says(err, r, "VF attributes of", addr);
	r = pf_link(&f, pf, &s, err);
	if (r >= 0)
		r = pf_rows(&f, pf, &s, err);
	if (r == 0) {
		*ret = take_ptr(s.vfs);
		*ret_n = s.n_vfs;
		s.n_vfs = 0;
	}
	host_scan_done(&s);
	fake_end_look(&f);
	return r;
}

static const char *change_str(const struct vf_change *c, const char **ret_which,
			      char buf[static 64])
{
	static const char *const which[] = {
		[VF_ATTR_MAC] = "mac",
		[VF_ATTR_VLAN] = "vlan",
		[VF_ATTR_TRUST] = "trust",
		[VF_ATTR_SPOOFCHK] = "spoofchk",
	};

	*ret_which = which[c->which];
	if (c->which == VF_ATTR_MAC)
		return mac_str(&c->mac, buf);
	if (c->which == VF_ATTR_VLAN)
		return vlan_str(&c->vlan, buf);
	return c->on ? "on" : "off";
}

/* As igb does it. */
static int change_row(struct vf_attrs *row, const struct vf_change *c)
{
	switch (c->which) {
	case VF_ATTR_MAC:
		if (mac_is_multicast(&c->mac))
			return -EINVAL;
		row->mac = c->mac;
		return 0;
	case VF_ATTR_VLAN:
		if (c->vlan.id > 4095 || c->vlan.qos > 7)
			return -EINVAL;
		if (c->vlan.proto && c->vlan.proto != 0x8100)
			return -EPROTONOSUPPORT;
		row->vlan = (struct vlan){ .id = c->vlan.id, .qos = c->vlan.qos, .proto = 0x8100 };
		return 0;
	case VF_ATTR_TRUST:
		row->trust = c->on;
		return 0;
	case VF_ATTR_SPOOFCHK:
		row->spoofchk = c->on;
		return 0;
	}
	return -EOPNOTSUPP;
}

static int change_vf(struct fake *f, const struct pci_addr *pf, unsigned index,
		     const struct vf_change *c)
{
	struct host_scan s = { 0 };
	struct vnet_err err = VNET_ERR_INIT;
	char addr[PCI_ADDR_STR];
	int r = pf_link(f, pf, &s, &err);

	if (r >= 0)
		r = pf_rows(f, pf, &s, &err);
	if (r >= 0) {
		struct vf_attrs *row = host_scan_vf_attrs(&s, pf, index);

		r = row ? change_row(row, c) : -EINVAL;
	}
	if (r == 0)
		json_object_set_new(json_object_get(f->doc, "vfs"), pci_addr_str(pf, addr),
				    host_vfs_to_json(&s));
	host_scan_done(&s);
	return r;
}

static int fake_vf_set(struct kernel *k, const struct pci_addr *pf, unsigned index,
		       const struct vf_change *change, struct vnet_err *err)
{
	struct fake f = fake_at(k);
	char object[VF_OBJECT_STR], buf[64], op[128], what[32];
	const char *which, *value;
	int r, fault;

	value = change_str(change, &which, buf);
	vf_object_str(pf, index, object);
	snprintf(what, sizeof(what), "vf_set:%s", which);
	snprintf(op, sizeof(op), "%s:%s", what, object);
	r = fake_begin(&f);
	if (r < 0)
		return kernel_says(err, r, what, object);
	fault = fake_fault(&f, op, true);
	r = fault < 0 ? fault : fault == FAULT_SILENT ? 0 : change_vf(&f, pf, index, change);
	fake_log(&f, what, object, value, r, fault != FAULT_NONE);
	fake_end(&f);
	return kernel_says(err, r, what, object);
}

static int set_up(struct fake *f, struct host_scan *s, int ifindex, bool up)
{
	for (size_t i = 0; i < s->n_links; i++) {
		struct link *l = &s->links[i];

		if (l->ifindex != ifindex)
			continue;
		l->up = l->carrier = up;
		json_object_set_new(f->doc, "links", host_links_to_json(s));
		return 0;
	}
	return -ENODEV;
}

static int fake_link_up(struct kernel *k, int ifindex, bool up, struct vnet_err *err)
{
	struct fake f = fake_at(k);
	struct host_scan s = { 0 };
	const char *name = "?";
	char op[64];
	int r, fault;

	r = fake_begin(&f);
	if (r < 0)
		return kernel_says(err, r, "link_up", k->root);
	r = host_links_from_json(json_object_get(f.doc, "links"), &s, err);
	for (size_t i = 0; r == 0 && i < s.n_links; i++) {
		if (s.links[i].ifindex == ifindex)
			name = s.links[i].name;
	}
	snprintf(op, sizeof(op), "link_up:%s", name);
	fault = fake_fault(&f, op, true);
	if (fault < 0)
		r = fault;
	else if (r == 0 && fault == FAULT_NONE)
		r = set_up(&f, &s, ifindex, up);
	fake_log(&f, "link_up", name, up ? "up" : "down", r, fault != FAULT_NONE);
	fake_end(&f);
	r = kernel_says(err, r, "link_up", name);
	host_scan_done(&s);
	return r;
}

/* ---- who has what open ---- */

int vfio_number(struct fake *f, const char *bdf)
{
	for (int i = 0; i < 1024; i++) {
		if (is_there(f, PCI_DEV "/%s/vfio-dev/vfio%d", bdf, i))
			return i;
	}
	return -1;
}

static void describe_holder(struct fake *f, const json_t *row, struct holder *h)
{
	const char *bdf = json_string_value(json_object_get(row, "address"));
	const char *comm = json_string_value(json_object_get(row, "comm"));
	const char *guest = json_string_value(json_object_get(row, "guest"));
	const char *node = json_string_value(json_object_get(row, "node"));

	*h = (struct holder){ .iommu_group = -1, .vfio_dev = -1 };
	h->pid = (pid_t)json_integer_value(json_object_get(row, "pid"));
	snprintf(h->comm, sizeof(h->comm), "%s", comm ? comm : "qemu-system-x86");
	snprintf(h->guest, sizeof(h->guest), "%s", guest ? guest : "");
	snprintf(h->node, sizeof(h->node), "%s", node ? node : "");
	if (!bdf)
		return;
	if (json_is_true(json_object_get(row, "uio"))) {
		snprintf(h->node, sizeof(h->node), "/dev/uio0");
	} else if (json_is_true(json_object_get(row, "cdev"))) {
		h->vfio_dev = vfio_number(f, bdf);
		snprintf(h->node, sizeof(h->node), "/dev/vfio/devices/vfio%d", h->vfio_dev);
	} else {
		h->iommu_group = group_of(f, bdf);
		snprintf(h->node, sizeof(h->node), "/dev/vfio/%d", h->iommu_group);
	}
}

static int fake_holders(struct kernel *k, struct host_scan *s, struct vnet_err *err)
{
	struct fake f = fake_at(k);
	const json_t *rows, *row;
	struct holder *list;
	size_t i;
	int r = begin_look(&f, "holders");

	if (r < 0)
		return kernel_says(err, r, "holders of", k->root);
	rows = json_object_get(f.doc, "holders");
	list = calloc(json_array_size(rows) + 1, sizeof(*list));
	if (list) {
		s->holders = list;
		json_array_foreach (rows, i, row) {
			if (!json_object_get(row, "interface")) /* of a tap: netdev_holder */
				describe_holder(&f, row, &list[s->n_holders++]);
		}
	}
	fake_end_look(&f);
	return list ? 0 : kernel_says(err, -ENOMEM, "holders of", k->root);
}

/* A holder of the group by its node: does another open of it fail? */
static bool group_open(struct fake *f, int group)
{
	const json_t *rows = json_object_get(f->doc, "holders"), *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		struct holder h;

		describe_holder(f, row, &h);
		if (h.iommu_group == group)
			return true;
	}
	return false;
}

/* The lock on the fence's file lasts as long as the descriptor, whoever dies. */
int take_fence(struct fake *f, int group, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	char name[32];

	if (!is_there(f, "dev/vfio/%d", group))
		return -ENOENT;
	if (group_open(f, group))
		return -EBUSY;
	snprintf(name, sizeof(name), "fence-%d", group);
	fd = openat(f->rootfd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -EBUSY;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int fake_fence(struct kernel *k, int group, int *ret_fd)
{
	struct fake f = fake_at(k);
	char op[32];
	int r;

	snprintf(op, sizeof(op), "fence:%d", group);
	r = begin_look(&f, op);
	if (r < 0)
		return r;
	r = take_fence(&f, group, ret_fd);
	fake_end_look(&f);
	return r;
}

/* ---- libpci ---- */

static int number_or(const json_t *record, const char *field, int otherwise)
{
	const json_t *n = json_object_get(record, field);

	return json_is_integer(n) ? (int)json_integer_value(n) : otherwise;
}

static void fake_describe(struct kernel *k, struct nic *n)
{
	struct fake f = fake_at(k);
	char addr[PCI_ADDR_STR];
	const json_t *record;
	const char *text;

	if (fake_begin(&f) < 0)
		return;
	record = function_of(&f, pci_addr_str(&n->addr, addr));
	text = json_string_value(json_object_get(record, "vendorName"));
	if (text && !n->vendor_name)
		n->vendor_name = strdup(text);
	text = json_string_value(json_object_get(record, "deviceName"));
	if (text && !n->device_name)
		n->device_name = strdup(text);
	n->flr = number_or(record, "flr", n->flr);
	n->ari = number_or(record, "ari", n->ari);
	n->acs = number_or(record, "acs", n->acs);
	n->msix_vectors = number_or(record, "msixVectors", n->msix_vectors);
	fake_end_look(&f);
}

/* ---- opening; what QEMU does ---- */

static const struct kernel_ops fake_ops = {
	.name = "fake",
	.write = fake_write,
	.links = fake_links,
	.vf_get = fake_vf_get,
	.vf_set = fake_vf_set,
	.link_up = fake_link_up,
	.netdev_get = fake_netdev_get,
	.netdev_add = fake_netdev_add,
	.netdev_del = fake_netdev_del,
	.netdev_set = fake_netdev_set,
	.netdev_holder = fake_netdev_holder,
	.queue_users = fake_queue_users,
	.port_get = fake_port_get,
	.port_set = fake_port_set,
	.holders = fake_holders,
	.fence = fake_fence,
	.mgmtdevs = fake_mgmtdevs,
	.vdpa_get = fake_vdpa_get,
	.vdpa_new = fake_vdpa_new,
	.vdpa_del = fake_vdpa_del,
	.open_node = fake_open_node,
	.node_owner = fake_node_owner,
	.node_give = fake_node_give,
	.tun_queue = fake_tun_queue,
	.tun_by_fds = fake_tun_by_fds,
	.iommufd_own = fake_iommufd_own,
	.describe = fake_describe,
};

int kernel_test_open(struct kernel *k, struct vnet_err *err)
{
	(void)err;
	if (faccessat(k->rootfd, "fake.json", F_OK, 0) < 0)
		return -ENOENT;
	k->ops = &fake_ops;
	return 0;
}
