/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A captured host: a directory with sys/ as plain files and links, and nic.json
 * with what netlink said: {"links": [...], "vfs": [...], "vdpa": {...}} (nic-json.c
 * and vdpa-json.c have the rows). Read only; nobody holds anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "daemon/host/pci.h"
#include "lib/cleanup.h"
#include "lib/json.h"

#define READ_BUFFER (1024 * 1024)

struct captured {
	json_t *nic; /* NULL without nic.json */
	struct pci pci;
};

static int captured_write(struct kernel *k, const char *path, const char *value)
{
	(void)k;
	(void)path;
	(void)value;
	return -EROFS;
}

static int refuse(struct kernel *k, struct vnet_err *err)
{
	return vnet_err_set(err, -EROFS, VNET_E_FAILED,
			    "%s is a captured host: it can be looked at, not changed", k->root);
}

static int captured_links(struct kernel *k, struct host_scan *s, struct vnet_err *err)
{
	struct captured *c = k->priv;
	const json_t *links = json_object_get(c->nic, "links");
	int r;

	if (!links)
		return 0;
	r = host_links_from_json(links, s, err);
	if (r < 0)
		vnet_err_wrap(err, "%s/nic.json", k->root);
	return r;
}

static int captured_vf_get(struct kernel *k, const struct pci_addr *pf, struct vf_attrs **ret,
			   size_t *ret_n, struct vnet_err *err)
{
	struct captured *c = k->priv;
	const json_t *vfs = json_object_get(c->nic, "vfs");
	struct host_scan s = { 0 };
	int r;

	*ret = NULL;
	*ret_n = 0;
	if (!vfs)
		return 0;
	r = host_vfs_merge_json(vfs, pf, &s, err);
	if (r < 0) {
		vnet_err_wrap(err, "%s/nic.json", k->root);
		host_scan_done(&s);
		return r;
	}
	*ret = take_ptr(s.vfs);
	*ret_n = s.n_vfs;
	host_scan_done(&s);
	return 0;
}

static int captured_vf_set(struct kernel *k, const struct pci_addr *pf, unsigned index,
			   const struct vf_change *change, struct vnet_err *err)
{
	(void)pf;
	(void)index;
	(void)change;
	return refuse(k, err);
}

static int captured_link_up(struct kernel *k, int ifindex, bool up, struct vnet_err *err)
{
	(void)ifindex;
	(void)up;
	return refuse(k, err);
}

/* Of an interface nic.json tells what a scan does, and nothing of bridge ports. */
static int captured_netdev_get(struct kernel *k, const char *name, int ifindex, struct netdev *ret,
			       struct vnet_err *err)
{
	struct host_scan s = { 0 };
	int r = captured_links(k, &s, err);

	if (r == 0)
		r = -ENODEV;
	for (size_t i = 0; i < s.n_links; i++) {
		const struct link *l = &s.links[i];

		if (ifindex ? l->ifindex != ifindex : strcmp(l->name, name) != 0)
			continue;
		*ret = (struct netdev){ .link = *l };
		r = 0;
	}
	host_scan_done(&s);
	return r;
}

static int captured_netdev_add(struct kernel *k, const struct netdev *d, struct vnet_err *err)
{
	(void)d;
	return refuse(k, err);
}

static int captured_netdev_set(struct kernel *k, const struct netdev *d,
			       const struct netdev_change *c, struct vnet_err *err)
{
	(void)d;
	(void)c;
	return refuse(k, err);
}

static int captured_netdev_holder(struct kernel *k, const struct netdev *d, struct holder *ret,
				  struct vnet_err *err)
{
	(void)k;
	(void)d;
	(void)ret;
	(void)err;
	return 0;
}

static int captured_queue_users(struct kernel *k, struct queue_user **ret, size_t *ret_n,
				struct vnet_err *err)
{
	(void)k;
	(void)err;
	*ret = NULL;
	*ret_n = 0;
	return 0;
}

static int captured_port_get(struct kernel *k, const struct netdev *d, struct port *ret,
			     struct vnet_err *err)
{
	(void)ret;
	return vnet_err_set(err, -ENODATA, VNET_E_FAILED,
			    "%s is a captured host: what VLANs port %s has was not captured",
			    k->root, d->link.name);
}

static int captured_port_set(struct kernel *k, const struct netdev *d, enum port_attr which,
			     const struct port *p, struct vnet_err *err)
{
	(void)d;
	(void)which;
	(void)p;
	return refuse(k, err);
}

static int captured_holders(struct kernel *k, struct host_scan *s, struct vnet_err *err)
{
	(void)k;
	(void)s;
	(void)err;
	return 0;
}

static int captured_fence(struct kernel *k, int group, int *ret_fd)
{
	(void)k;
	(void)group;
	(void)ret_fd;
	return -ENOENT;
}

static int captured_mgmtdevs(struct kernel *k, struct host_scan *s, struct vnet_err *err)
{
	struct captured *c = k->priv;
	const json_t *vdpa = json_object_get(c->nic, "vdpa"), *row;
	size_t i;
	int r;

	if (!vdpa)
		return 0;
	s->vdpas = calloc(json_array_size(json_object_get(vdpa, "devices")) + 1, sizeof(*s->vdpas));
	if (!s->vdpas)
		return vnet_err_errno(err, -ENOMEM, "read %s/nic.json", k->root);
	json_array_foreach (json_object_get(vdpa, "devices"), i, row) {
		const char *name = json_string_value(json_object_get(row, "name"));

		snprintf(s->vdpas[s->n_vdpas++].name, VDPA_NAME_MAX, "%s", name ? name : "");
	}
	r = host_mgmtdevs_merge_json(vdpa, s, err);
	return r < 0 ? vnet_err_wrap(err, "%s/nic.json", k->root) : 0;
}

static int captured_vdpa_get(struct kernel *k, const char *name, struct vdpa_config *ret,
			     struct vnet_err *err)
{
	(void)k;
	(void)ret;
	return vnet_err_errno(err, -EINVAL, "read vDPA device %s", name);
}

static int captured_vdpa_new(struct kernel *k, const char *name, const struct vdpa_config *c,
			     struct vnet_err *err)
{
	(void)name;
	(void)c;
	return refuse(k, err);
}

static int captured_vdpa_del(struct kernel *k, const char *name, struct vnet_err *err)
{
	(void)name;
	return refuse(k, err);
}

static int captured_open_node(struct kernel *k, const char *path, int *ret_fd)
{
	(void)k;
	(void)path;
	(void)ret_fd;
	return -EROFS;
}

static int captured_node_owner(struct kernel *k, const char *path, struct node_owner *ret)
{
	(void)k;
	(void)path;
	(void)ret;
	return -ENOENT;
}

static int captured_node_give(struct kernel *k, const char *path, unsigned uid, unsigned gid)
{
	(void)k;
	(void)path;
	(void)uid;
	(void)gid;
	return -EROFS;
}

static int captured_tun_queue(struct kernel *k, int fd, const char *name, bool many)
{
	(void)k;
	(void)fd;
	(void)name;
	(void)many;
	return -EROFS;
}

static int captured_tun_by_fds(struct kernel *k, int fd, const char *name)
{
	(void)k;
	(void)fd;
	(void)name;
	return -EROFS;
}

static int captured_iommufd_own(struct kernel *k, int fd)
{
	(void)k;
	(void)fd;
	return -EROFS;
}

static void captured_describe(struct kernel *k, struct nic *n)
{
	struct captured *c = k->priv;

	pci_describe(&c->pci, k->root, n);
}

static void captured_close(struct kernel *k)
{
	struct captured *c = k->priv;

	json_decref(c->nic);
	pci_done(&c->pci);
	free(c);
}

static const struct kernel_ops captured_ops = {
	.name = "captured",
	.write = captured_write,
	.links = captured_links,
	.vf_get = captured_vf_get,
	.vf_set = captured_vf_set,
	.link_up = captured_link_up,
	.netdev_get = captured_netdev_get,
	.netdev_add = captured_netdev_add,
	.netdev_del = captured_netdev_add,
	.netdev_set = captured_netdev_set,
	.netdev_holder = captured_netdev_holder,
	.queue_users = captured_queue_users,
	.port_get = captured_port_get,
	.port_set = captured_port_set,
	.holders = captured_holders,
	.fence = captured_fence,
	.mgmtdevs = captured_mgmtdevs,
	.vdpa_get = captured_vdpa_get,
	.vdpa_new = captured_vdpa_new,
	.vdpa_del = captured_vdpa_del,
	.open_node = captured_open_node,
	.node_owner = captured_node_owner,
	.node_give = captured_node_give,
	.tun_queue = captured_tun_queue,
	.tun_by_fds = captured_tun_by_fds,
	.iommufd_own = captured_iommufd_own,
	.describe = captured_describe,
	.close = captured_close,
};

static int load_nic_json(struct kernel *k, json_t **ret, struct vnet_err *err)
{
	int fd = openat(k->rootfd, "nic.json", O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *buf = malloc(READ_BUFFER);
	_cleanup_fclose_ FILE *f = NULL;
	json_error_t why;

	if (fd < 0 && errno == ENOENT)
		return 0;
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		int r = vnet_err_errno(err, -errno, "read %s/nic.json", k->root);

		close_fd(fd);
		return r;
	}
	if (buf)
		setvbuf(f, buf, _IOFBF, READ_BUFFER);
	*ret = json_loadf(f, JSON_REJECT_DUPLICATES, &why);
	if (!*ret)
		return vnet_err_set(err, -EBADMSG, VNET_E_INVALID, "%s/nic.json:%d: %s", k->root,
				    why.line, why.text);
	return 0;
}

int captured_open(struct kernel *k, struct vnet_err *err)
{
	struct captured *c;

	if (!kernel_exists(k, "sys"))
		return vnet_err_set(err, -ENOENT, VNET_E_INVALID,
				    "root %s is neither / nor a captured host: it has no sys/",
				    k->root);
	c = calloc(1, sizeof(*c));
	if (!c)
		return vnet_err_errno(err, -ENOMEM, "open captured host %s", k->root);
	k->priv = c;
	k->ops = &captured_ops;
	return load_nic_json(k, &c->nic, err);
}
