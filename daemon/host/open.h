/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_OPEN_H
#define VNETD_HOST_OPEN_H
/*
 * Opening what a QEMU is handed as descriptors, in a worker. What is opened is neither
 * bound, owned nor kept: no VHOST_SET_OWNER, no VFIO_DEVICE_BIND_IOMMUFD; the copies here
 * are closed when the answer is sent. A kept vhost descriptor would pin a dead QEMU's
 * memory, a kept tap queue would eat packets.
 *
 * {what: [{role, how, name?, count?}]}, count 1 where it is absent. how, and name:
 *
 *	tap	existing tap: attaches count queues, and makes it live by them alone:
 *		persistent no more, it goes with the last of them
 *	macvtap	existing macvtap: count queues
 *	vhost	none: /dev/vhost-net count times
 *	node	"/dev/vhost-vdpa-N", "/dev/vfio/devices/vfioN"; nothing else
 *	vdpa	a vDPA device: its vhost-vdpa node
 *	vfio	PCI address: its VFIO device node (cdev)
 *	iommufd	none: a fresh /dev/iommu that accounts locked memory to its process
 *
 * The answer is {fds: [role]}, a role for each descriptor in their order. All or nothing: of
 * a failed one no descriptor is left, and a tap is as persistent as it was.
 */
#include <jansson.h>

#include "daemon/host/host.h"
#include "lib/fds.h"

#define OPEN_ROLE_MAX 16
#define OPEN_WHAT_MAX 16

int host_open(struct kernel *k, const json_t *args, json_t **ret, struct vnet_fds *ret_fds,
	      struct vnet_err *err);

/* dev.c: the real kernel's part */
int dev_open(struct kernel *k, const char *path, int *ret_fd);
int dev_owner(struct kernel *k, const char *path, struct node_owner *ret);
int dev_give(struct kernel *k, const char *path, unsigned uid, unsigned gid);
int dev_tun_queue(struct kernel *k, int fd, const char *name, bool many);
int dev_tun_by_fds(struct kernel *k, int fd, const char *name);
int dev_iommufd_own(struct kernel *k, int fd);
#endif
