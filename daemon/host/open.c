/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/open.h"

#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "lib/cleanup.h"
#include "lib/json.h"

#define OPEN_NAME_MAX 64

struct wish {
	const struct opener *opener;
	char role[OPEN_ROLE_MAX], name[OPEN_NAME_MAX];
	unsigned count;
	size_t first; /* its first among the descriptors */
};

struct opener {
	const char *how;
	bool named;
	/* One descriptor. */
	int (*open)(struct kernel *k, const struct wish *w, int *ret_fd, struct vnet_err *err);
};

static int open_node(struct kernel *k, const char *path, int *ret_fd, struct vnet_err *err)
{
	static const struct {
		int code;
		const char *remedy;
	} remedies[] = {
		{ -ENOENT, ": is its module loaded (modprobe tun, vhost_net, vhost_vdpa, "
			   "vfio-pci, iommufd)?" },
		{ -ENXIO, ": nothing is behind the node: is its driver bound?" },
		{ -EBUSY, ": somebody has it open: `vnetctl inventory` says who" },
	};
	const char *remedy = "";
	int r = k->ops->open_node(k, path, ret_fd);

	if (r == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
		remedy = remedies[i].code == r ? remedies[i].remedy : remedy;
	return vnet_err_set(err, r, r == -EBUSY ? VNET_E_IN_USE : VNET_E_FAILED, "open /%s: %s%s",
			    path, strerrordesc_np(-r) ?: "unknown error", remedy);
}

/* ---- each of them ---- */

static int interface_index(struct kernel *k, const char *name, struct vnet_err *err)
{
	int index;

	if (!is_component(name) || strlen(name) >= IF_NAMESIZE)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "'%s' is no interface", name);
	index = (int)kernel_read_number(k, -1, "sys/class/net/%s/ifindex", name);
	return index > 0 ? index
			 : vnet_err_errno(err, -ENODEV, "open interface %s, which is gone", name);
}

static int attach_queue(struct kernel *k, const struct wish *w, int fd, struct vnet_err *err)
{
	int r = k->ops->tun_queue(k, fd, w->name, w->count > 1);

	if (r == -EBUSY)
		return vnet_err_set(err, r, VNET_E_IN_USE,
				    "open %s: all its queues are taken: somebody has it open",
				    w->name);
	return r < 0 ? vnet_err_errno(err, r, "open %s, %u queues", w->name, w->count) : 0;
}

static int open_tap(struct kernel *k, const struct wish *w, int *ret_fd, struct vnet_err *err)
{
	int index = interface_index(k, w->name, err), r;
	_cleanup_close_ int fd = -1;

	if (index < 0)
		return index;
	r = open_node(k, "dev/net/tun", &fd, err);
	if (r == 0)
		r = attach_queue(k, w, fd, err);
	/* TUNSETIFF makes what is not there: one that went meanwhile must not come back as
	 * another, which nobody has set up. It goes with the descriptor. */
	if (r == 0 && interface_index(k, w->name, err) != index)
		r = vnet_err_set(err, -ENODEV, VNET_E_FAILED,
				 "open %s: it was taken away meanwhile", w->name);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

static int open_macvtap(struct kernel *k, const struct wish *w, int *ret_fd, struct vnet_err *err)
{
	int index = interface_index(k, w->name, err), r;
	_cleanup_close_ int fd = -1;
	char path[32];

	if (index < 0)
		return index;
	snprintf(path, sizeof(path), "dev/tap%d", index);
	r = open_node(k, path, &fd, err);
	if (r == 0)
		r = attach_queue(k, w, fd, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

static int open_vhost(struct kernel *k, const struct wish *w, int *ret_fd, struct vnet_err *err)
{
	(void)w;
	return open_node(k, "dev/vhost-net", ret_fd, err);
}

static int open_named_node(struct kernel *k, const struct wish *w, int *ret_fd,
			   struct vnet_err *err)
{
	if (suffix_number(w->name, "/dev/vhost-vdpa-") < 0 &&
	    suffix_number(w->name, "/dev/vfio/devices/vfio") < 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "'%s' is not among the nodes that are handed on", w->name);
	return open_node(k, w->name + 1, ret_fd, err);
}

static int open_vdpa(struct kernel *k, const struct wish *w, int *ret_fd, struct vnet_err *err)
{
	_cleanup_closedir_ DIR *d = NULL;
	const struct dirent *e;
	char path[32];

	if (!is_component(w->name))
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "'%s' is no vDPA device",
				    w->name);
	d = kernel_opendir(k, "sys/bus/vdpa/devices/%s", w->name);
	if (!d)
		return vnet_err_errno(err, -errno, "open vDPA device %s", w->name);
	while ((e = next_entry(d))) {
		int n = suffix_number(e->d_name, "vhost-vdpa-");

		if (n < 0)
			continue;
		snprintf(path, sizeof(path), "dev/vhost-vdpa-%d", n);
		return open_node(k, path, ret_fd, err);
	}
	return vnet_err_set(err, -ENXIO, VNET_E_FAILED,
			    "open vDPA device %s: driver vhost_vdpa is not bound to it", w->name);
}

static int open_vfio(struct kernel *k, const struct wish *w, int *ret_fd, struct vnet_err *err)
{
	struct pci_addr addr;
	char path[64];
	int n;

	if (pci_addr_parse(w->name, &addr) < 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "'%s' is no PCI address",
				    w->name);
	n = function_vfio_dev(k, &addr);
	if (n < 0)
		return vnet_err_set(err, -ENXIO, VNET_E_FAILED,
				    "open %s: it is not bound to a VFIO driver", w->name);
	snprintf(path, sizeof(path), "dev/vfio/devices/vfio%d", n);
	return open_node(k, path, ret_fd, err);
}

static int open_iommufd(struct kernel *k, const struct wish *w, int *ret_fd, struct vnet_err *err)
{
	_cleanup_close_ int fd = -1;
	int r = open_node(k, "dev/iommu", &fd, err);

	(void)w;
	if (r < 0)
		return r;
	r = k->ops->iommufd_own(k, fd);
	if (r < 0)
		return vnet_err_errno(err, r, "account the memory of /dev/iommu to its process");
	*ret_fd = take_fd(&fd);
	return 0;
}

static const struct opener openers[] = {
	{ "tap", true, open_tap },	    { "macvtap", true, open_macvtap },
	{ "vhost", false, open_vhost },	    { "node", true, open_named_node },
	{ "vdpa", true, open_vdpa },	    { "vfio", true, open_vfio },
	{ "iommufd", false, open_iommufd },
};

/* ---- all of them ---- */

static int decode(const json_t *j, struct wish *ret, struct vnet_err *err)
{
	static const char *const fields[] = { "role", "how", "name", "count", NULL };
	int64_t count = 1;
	char how[16];
	int r = json_only_fields(j, fields, err);

	if (r == 0)
		r = json_get_str(j, "role", ret->role, sizeof(ret->role), err);
	if (r == 0)
		r = json_get_str(j, "how", how, sizeof(how), err);
	if (r == 0)
		r = json_get_str_opt(j, "name", ret->name, sizeof(ret->name), err);
	if (r == 0)
		r = json_get_int_opt(j, "count", 1, VNET_FDS_MAX, &count, err);
	if (r < 0)
		return r;
	ret->count = (unsigned)count;
	for (size_t i = 0; i < ARRAY_SIZE(openers); i++) {
		if (strcmp(openers[i].how, how) == 0)
			ret->opener = &openers[i];
	}
	if (!ret->opener)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "'%s' is no way to open", how);
	if (ret->opener->named != (ret->name[0] != '\0'))
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "open %s: %s", how,
				    ret->name[0] ? "it has no name" : "a name is missing");
	return 0;
}

static int open_wish(struct kernel *k, struct wish *w, json_t *roles, struct vnet_fds *fds,
		     struct vnet_err *err)
{
	w->first = fds->n;
	for (unsigned i = 0; i < w->count; i++) {
		int fd = -1, r = w->opener->open(k, w, &fd, err);

		if (r < 0)
			return r;
		r = vnet_fds_add(fds, fd);
		if (r < 0)
			return vnet_err_set(err, r, VNET_E_LIMIT,
					    "%s: a NIC may have %d descriptors at most: give it "
					    "fewer queues",
					    w->role, VNET_FDS_MAX);
		json_array_append_new(roles, json_string(w->role));
	}
	return 0;
}

/* Last of all, since it cannot be taken back: taps live by their descriptors from here on. */
static int let_go(struct kernel *k, const struct wish *w, const struct vnet_fds *fds,
		  struct vnet_err *err)
{
	int r;

	if (w->opener->open != open_tap)
		return 0;
	r = k->ops->tun_by_fds(k, fds->fd[w->first], w->name);
	return r < 0 ? vnet_err_errno(err, r, "make %s live by its descriptors", w->name) : 0;
}

int host_open(struct kernel *k, const json_t *args, json_t **ret, struct vnet_fds *ret_fds,
	      struct vnet_err *err)
{
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	_cleanup_json_ json_t *roles = json_array();
	struct wish wishes[OPEN_WHAT_MAX] = { 0 };
	const json_t *what = json_object_get(args, "what");
	size_t n = json_array_size(what);
	int r = 0;

	/* None: QEMU opens it by itself. */
	if (!json_is_array(what) || n > OPEN_WHAT_MAX)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "what: a list of %d things to open at most", OPEN_WHAT_MAX);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = decode(json_array_get(what, i), &wishes[i], err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = open_wish(k, &wishes[i], roles, &fds, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = let_go(k, &wishes[i], &fds, err);
	if (r < 0)
		return r;
	*ret = json_pack("{s:O}", "fds", roles);
	if (!*ret)
		return vnet_err_errno(err, -ENOMEM, "open");
	*ret_fds = fds;
	fds = VNET_FDS_INIT;
	return 0;
}
