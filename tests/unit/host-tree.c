/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/host-tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define DEVICES "sys/bus/pci/devices"
#define DRIVERS "sys/bus/pci/drivers"

static struct tree *the_tree; /* back ends get no argument of ours */

#define PATH_OF(path, t, fmt)                                                \
	do {                                                                 \
		va_list _ap;                                                 \
		int _n = snprintf(path, sizeof(path), "%s/", (t)->dir);      \
		va_start(_ap, fmt);                                          \
		vsnprintf((path) + _n, sizeof(path) - (size_t)_n, fmt, _ap); \
		va_end(_ap);                                                 \
	} while (0)

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static void make_parents(const char *path)
{
	char part[512];

	for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		must(mkdir(part, 0777) == 0 || errno == EEXIST, part);
	}
}

void tree_file(struct tree *t, const char *text, const char *fmt, ...)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[512];

	PATH_OF(path, t, fmt);
	make_parents(path);
	f = fopen(path, "we");
	must(f && fputs(text, f) >= 0, path);
}

void tree_dir(struct tree *t, const char *fmt, ...)
{
	char path[512];

	PATH_OF(path, t, fmt);
	make_parents(path);
	must(mkdir(path, 0777) == 0 || errno == EEXIST, path);
}

void tree_link(struct tree *t, const char *target, const char *fmt, ...)
{
	char path[512];

	PATH_OF(path, t, fmt);
	make_parents(path);
	unlink(path);
	must(symlink(target, path) == 0, path);
}

static void tree_number(struct tree *t, const char *format, unsigned value, const char *bdf,
			const char *name)
{
	char text[16];

	snprintf(text, sizeof(text), strcmp(format, "x") ? "%u\n" : "0x%x\n", value);
	tree_file(t, text, DEVICES "/%s/%s", bdf, name);
}

void tree_function(struct tree *t, const char *bdf, unsigned class, unsigned device, int group)
{
	char target[64];

	tree_number(t, "x", class, bdf, "class");
	tree_number(t, "x", 0x8086, bdf, "vendor");
	tree_number(t, "x", device, bdf, "device");
	tree_file(t, "0\n", DEVICES "/%s/numa_node", bdf);
	tree_file(t, "flr\n", DEVICES "/%s/reset_method", bdf);
	tree_file(t, "", DEVICES "/%s/reset", bdf);
	tree_file(t, "(null)\n", DEVICES "/%s/driver_override", bdf);
	if (group < 0)
		return;
	snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%d", group);
	tree_link(t, target, DEVICES "/%s/iommu_group", bdf);
}

void tree_sriov(struct tree *t, const char *pf, int total)
{
	tree_number(t, "u", (unsigned)total, pf, "sriov_totalvfs");
	tree_file(t, "1\n", DEVICES "/%s/sriov_drivers_autoprobe", pf);
	tree_file(t, "0\n", DEVICES "/%s/sriov_numvfs", pf);
}

void tree_vf(struct tree *t, const char *pf, int index, const char *vf, int group)
{
	char target[64];

	tree_function(t, vf, 0x020000, 0x10ca, group);
	snprintf(target, sizeof(target), "../%s", vf);
	tree_link(t, target, DEVICES "/%s/virtfn%d", pf, index);
	snprintf(target, sizeof(target), "../%s", pf);
	tree_link(t, target, DEVICES "/%s/physfn", vf);
}

void tree_bind(struct tree *t, const char *bdf, const char *driver)
{
	char target[96];

	snprintf(target, sizeof(target), "../../drivers/%s", driver);
	tree_link(t, target, DEVICES "/%s/driver", bdf);
	snprintf(target, sizeof(target), "../../devices/%s", bdf);
	tree_link(t, target, DRIVERS "/%s/%s", driver, bdf);
	if (strstr(driver, "vfio"))
		tree_dir(t, DEVICES "/%s/vfio-dev/vfio5", bdf);
}

void tree_interface(struct tree *t, const char *bdf, const char *name, int ifindex)
{
	char text[16];

	snprintf(text, sizeof(text), "%d\n", ifindex);
	tree_file(t, text, DEVICES "/%s/net/%s/ifindex", bdf, name);
}

/* ---- the back end ---- */

static void note(struct tree *t, const char *path, const char *value)
{
	size_t len = strlen(t->log);

	snprintf(t->log + len, sizeof(t->log) - len, "%s=%s;", path,
		 strcmp(value, "\n") ? value : "\\n");
}

static bool ends_with(const char *s, const char *end)
{
	size_t a = strlen(s), b = strlen(end);

	return a >= b && !strcmp(s + a - b, end);
}

static void take_away(struct tree *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void take_away(struct tree *t, const char *fmt, ...)
{
	char path[512];

	PATH_OF(path, t, fmt);
	if (unlink(path) < 0)
		rmdir(path);
}

static int react_bind(struct tree *t, const char *driver, const char *bdf)
{
	char override[64] = "";

	kernel_read(t->k, override, sizeof(override), DEVICES "/%s/driver_override", bdf);
	if (strcmp(override, driver) != 0)
		return -ENODEV; /* as with autoprobe 0 */
	if (kernel_exists(t->k, DEVICES "/%s/driver", bdf))
		return -EBUSY;
	tree_bind(t, bdf, driver);
	return 0;
}

static int react_unbind(struct tree *t, const char *driver, const char *bdf)
{
	if (!kernel_exists(t->k, DRIVERS "/%s/%s", driver, bdf))
		return -ENODEV;
	take_away(t, DEVICES "/%s/driver", bdf);
	take_away(t, DRIVERS "/%s/%s", driver, bdf);
	take_away(t, DEVICES "/%s/vfio-dev/vfio5", bdf);
	take_away(t, DEVICES "/%s/vfio-dev", bdf);
	return 0;
}

static int react_numvfs(struct tree *t, const char *pf, const char *value)
{
	for (int i = 0; i < atoi(value); i++) {
		char vf[32];

		snprintf(vf, sizeof(vf), "0000:01:10.%d", i);
		tree_vf(t, pf, i, vf, 20 + i);
	}
	return 0;
}

static int tree_write(struct kernel *k, const char *path, const char *value)
{
	struct tree *t = the_tree;
	char name[64], attr[64];

	note(t, path, value);
	if (!kernel_exists(k, "%s", path) && !strstr(path, "/drivers/"))
		return -ENOENT;
	if (t->fail_path && ends_with(path, t->fail_path))
		return t->silent ? 0 : t->fail;
	if (sscanf(path, DRIVERS "/%63[^/]/%63s", name, attr) == 2)
		return !strcmp(attr, "bind") ? react_bind(t, name, value)
					     : react_unbind(t, name, value);
	if (sscanf(path, DEVICES "/%63[^/]/%63s", name, attr) != 2)
		return -ENOENT;
	if (!strcmp(attr, "sriov_numvfs"))
		return react_numvfs(t, name, value);
	tree_file(t, strcmp(attr, "driver_override") || strcmp(value, "\n") ? value : "(null)\n",
		  "%s", path);
	return 0;
}

static int tree_links(struct kernel *k, struct host_scan *s, struct vnet_err *err)
{
	(void)k;
	(void)err;
	s->links = calloc(the_tree->n_links + 1, sizeof(*s->links));
	must(s->links, "calloc");
	memcpy(s->links, the_tree->links, the_tree->n_links * sizeof(*s->links));
	s->n_links = the_tree->n_links;
	return 0;
}

static int tree_link_up(struct kernel *k, int ifindex, bool up, struct vnet_err *err)
{
	(void)k;
	for (size_t i = 0; i < the_tree->n_links; i++) {
		if (the_tree->links[i].ifindex != ifindex)
			continue;
		the_tree->links[i].up = up;
		return 0;
	}
	return vnet_err_errno(err, -ENODEV, "set up");
}

static int tree_holders(struct kernel *k, struct host_scan *s, struct vnet_err *err)
{
	(void)k;
	(void)err;
	s->holders = calloc(the_tree->n_holders + 1, sizeof(*s->holders));
	must(s->holders, "calloc");
	memcpy(s->holders, the_tree->holders, the_tree->n_holders * sizeof(*s->holders));
	s->n_holders = the_tree->n_holders;
	return 0;
}

static int tree_fence(struct kernel *k, int group, int *ret_fd)
{
	(void)k;
	(void)group;
	if (the_tree->fence < 0)
		return the_tree->fence;
	*ret_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	note(the_tree, "fence", "open");
	return 0;
}

static int tree_node_owner(struct kernel *k, const char *path, struct node_owner *ret)
{
	if (!kernel_exists(k, "%s", path))
		return -ENOENT;
	*ret = the_tree->node;
	return 0;
}

static int tree_node_give(struct kernel *k, const char *path, unsigned uid, unsigned gid)
{
	char value[32];

	(void)k;
	snprintf(value, sizeof(value), "%u:%u", uid, gid);
	note(the_tree, path, value);
	if (the_tree->fail)
		return the_tree->fail;
	the_tree->node.uid = uid;
	the_tree->node.gid = gid;
	return 0;
}

static int tree_vf_get(struct kernel *k, const struct pci_addr *pf, struct vf_attrs **ret,
		       size_t *ret_n, struct vnet_err *err)
{
	(void)k;
	(void)pf;
	(void)err;
	*ret = calloc(the_tree->n_vfs + 1, sizeof(**ret));
	must(*ret, "calloc");
	memcpy(*ret, the_tree->vfs, the_tree->n_vfs * sizeof(**ret));
	*ret_n = the_tree->n_vfs;
	return 0;
}

static int tree_vf_set(struct kernel *k, const struct pci_addr *pf, unsigned index,
		       const struct vf_change *c, struct vnet_err *err)
{
	struct vf_attrs *v = index < the_tree->n_vfs ? &the_tree->vfs[index] : NULL;

	(void)k;
	(void)pf;
	if (!v || (c->which == VF_ATTR_MAC && mac_is_zero(&c->mac) && the_tree->refuses_zero_mac))
		return vnet_err_errno(err, -EINVAL, "set VF %u", index);
	if (c->which == VF_ATTR_MAC)
		v->mac = c->mac;
	else if (c->which == VF_ATTR_VLAN)
		v->vlan = c->vlan;
	else if (c->which == VF_ATTR_TRUST)
		v->trust = c->on;
	else
		v->spoofchk = c->on;
	return 0;
}

void tree_new(struct tree *t)
{
	memset(t, 0, sizeof(*t));
	strcpy(t->dir, "/tmp/vnetd-tree-XXXXXX");
	must(mkdtemp(t->dir), t->dir);
	tree_dir(t, DEVICES);
	tree_dir(t, DRIVERS);
	the_tree = t;
}

void tree_open(struct tree *t)
{
	struct vnet_err err = VNET_ERR_INIT;

	if (kernel_open(&t->k, t->dir, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	t->ops = *t->k->ops;
	t->ops.write = tree_write;
	t->ops.links = tree_links;
	t->ops.link_up = tree_link_up;
	t->ops.holders = tree_holders;
	t->ops.fence = tree_fence;
	t->ops.node_owner = tree_node_owner;
	t->ops.node_give = tree_node_give;
	t->ops.vf_get = tree_vf_get;
	t->ops.vf_set = tree_vf_set;
	t->k->ops = &t->ops;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void tree_free(struct tree *t)
{
	t->k = kernel_close(t->k);
	nftw(t->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	the_tree = NULL;
}
