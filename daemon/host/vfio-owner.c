/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The vfio-owner knob: to whom the VFIO group node of a function belongs, so that a QEMU
 * that does not run as root can open it by path. The node is devtmpfs's: it comes with the
 * first function of its group that is bound to VFIO, and goes with the last.
 *
 * Invariants: only the owner changes, never the mode, and the group only on the way back; a
 * node that is somebody's other than root's is not taken from them; udev, which may have a
 * rule of the administrator's for the node, has had its turn before.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/host/backend.h"

#define UDEV_TRIES 40
#define UDEV_STEP_MS 50
#define OWNER_MODE 0600

struct group_node {
	char path[32]; /* "dev/vfio/7" */
	struct node_owner now;
};

/* "UID", by which the group stays, or "UID:GID". */
static int parse_id(const char *s, char end, unsigned *ret, const char **ret_rest)
{
	unsigned long n;
	char *rest;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	n = strtoul(s, &rest, 10);
	/* The last is "no change" to chown(2). */
	if (errno || n >= UINT32_MAX || (*rest && *rest != end))
		return -EINVAL;
	*ret = (unsigned)n;
	*ret_rest = rest;
	return 0;
}

static int parse(const char *s, unsigned *ret_uid, unsigned *ret_gid, bool *ret_has_gid)
{
	const char *rest;
	int r = parse_id(s, ':', ret_uid, &rest);

	*ret_has_gid = r == 0 && *rest == ':';
	return *ret_has_gid ? parse_id(rest + 1, '\0', ret_gid, &rest) : r;
}

bool vfio_owner_matches(const char *wanted, const char *actual)
{
	unsigned uid, gid = 0, is_uid, is_gid = 0;
	bool whole, is_whole;

	if (parse(wanted, &uid, &gid, &whole) < 0 || parse(actual, &is_uid, &is_gid, &is_whole) < 0)
		return strcmp(wanted, actual) == 0;
	return uid == is_uid && (!whole || gid == is_gid);
}

/* -ENOENT without err: no such function, or no node of its group. */
static int find_node(struct kernel *k, const char *object, struct group_node *ret,
		     struct vnet_err *err)
{
	char bdf[PCI_ADDR_STR], group[16], pf_bdf[PCI_ADDR_STR];
	struct pci_addr addr, pf;
	unsigned index;
	int r = 0;

	if (pci_addr_parse(object, &addr) < 0) {
		r = parse_vf_object(object, &pf, &index, err);
		if (r < 0)
			return r;
		r = kernel_readlink_pci(k, &addr, PCI_DEVICES "/%s/virtfn%u",
					pci_addr_str(&pf, pf_bdf), index);
	}
	if (r == 0 && function_vfio_dev(k, &addr) < 0)
		r = -ENOENT;
	if (r == 0)
		r = (int)kernel_readlink_base(k, group, sizeof(group),
					      PCI_DEVICES "/%s/iommu_group",
					      pci_addr_str(&addr, bdf));
	if (r >= 0 && suffix_number(group, "") < 0)
		r = -ENOENT;
	if (r >= 0) {
		snprintf(ret->path, sizeof(ret->path), "dev/vfio/%s", group);
		r = k->ops->node_owner(k, ret->path, &ret->now);
	}
	return r < 0 && r != -ENOENT ? vnet_err_errno(err, r, "see whose VFIO node %s has", object)
				     : r;
}

int vfio_owner_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		   struct vnet_err *err)
{
	struct group_node n;
	int r = find_node(k, object, &n, err);

	if (r == -ENOENT) {
		strcpy(ret, KNOB_ABSENT);
		return 0;
	}
	if (r == 0)
		snprintf(ret, KNOB_VALUE_MAX, "%u:%u", n.now.uid, n.now.gid);
	return r;
}

/* What udev has noted of the node, it has done. */
static void await_udev(struct kernel *k, struct group_node *n)
{
	const struct timespec step = { .tv_nsec = UDEV_STEP_MS * 1000000L };

	for (int i = 0; i < UDEV_TRIES && n->now.major; i++) {
		if (!kernel_exists(k, "run/udev/control") ||
		    kernel_exists(k, "run/udev/data/c%u:%u", n->now.major, n->now.minor))
			break;
		nanosleep(&step, NULL);
	}
	k->ops->node_owner(k, n->path, &n->now);
}

static int give(struct kernel *k, struct group_node *n, unsigned uid, unsigned gid,
		struct vnet_err *err)
{
	int r;

	if (uid && (n->now.mode & OWNER_MODE) != OWNER_MODE)
		return vnet_err_set(err, -EACCES, VNET_E_FAILED,
				    "the mode of /%s is %03o, so that its owner may not open it: "
				    "see the rules of udev",
				    n->path, n->now.mode);
	r = k->ops->node_give(k, n->path, uid, gid);
	if (r == -ENOENT)
		return 0; /* it went meanwhile, and reads absent */
	return r < 0 ? vnet_err_errno(err, r, "give /%s to user %u", n->path, uid) : 0;
}

int vfio_owner_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	struct group_node n = { 0 };
	unsigned uid, gid = 0;
	bool whole;
	int r;

	if (parse(value, &uid, &gid, &whole) < 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "vfio-owner '%s': expected UID or UID:GID", value);
	r = find_node(k, object, &n, err);
	if (r == -ENOENT)
		return vnet_err_set(err, r, VNET_E_NOT_FOUND,
				    "vfio-owner %s: its IOMMU group has no node below /dev/vfio: "
				    "is it bound to vfio-pci?",
				    object);
	if (r < 0)
		return r;
	await_udev(k, &n);
	/* On the way back the group is named, and it is ours to take. */
	if (!whole && n.now.uid && n.now.uid != uid)
		return vnet_err_set(err, -EBUSY, VNET_E_IN_USE,
				    "vfio-owner %s: /%s is user %u's already, for another function "
				    "of its IOMMU group or by a rule of udev's",
				    object, n.path, n.now.uid);
	r = give(k, &n, uid, whole ? gid : n.now.gid, err);
	return r < 0 ? vnet_err_wrap(err, "vfio-owner %s", object) : 0;
}
