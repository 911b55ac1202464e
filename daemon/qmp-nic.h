/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_QMP_NIC_H
#define VNETD_QMP_NIC_H
/*
 * A NIC into a running QEMU that nobody else manages, and out of it again. All that is made
 * there is called "vnetd-NAME", so it is found again by the name of the attachment alone.
 */
#include <stdbool.h>

#include "daemon/qmp.h"
#include "lib/fds.h"
#include "lib/model.h"

#define QMP_NIC_UNPLUG_MS 20000 /* a guest may take its time to let go */
/* For a switch to come to a socket of QEMU's: they look once a second. */
#define QMP_NIC_CONNECT_MS 10000
#define QMP_NIC_SOCKET_MAX 108

struct qmp_nic {
	char name[NIC_NAME_MAX];
	struct mac mac; /* not of vfio: the function has its own */
	/* "" : what the descriptors are for. Else a PCI function that QEMU opens by itself. */
	char host[PCI_ADDR_STR];
	/* "": none. Else of vhost-user, opened by QEMU, which listens at it or connects to it. */
	char socket[QMP_NIC_SOCKET_MAX];
	bool listens;
	char bus[32]; /* "": an empty PCIe root port, where it has one with an id, or its default */
	unsigned queues; /* of vdpa and a socket; a tap has as many as descriptors */
	char model[16];	 /* of a tap, as QEMU calls the device; "": virtio */
	unsigned mtu;	 /* that virtio tells the guest; 0: none */
};

/* The answer comes once, never from within the call. r < 0 and what became of it:
 *	-EINPROGRESS	attach: nobody can say whether the guest has got it, or will; nothing was
 *			taken back. detach: below
 *	others		attach: the guest has it not, and all was taken back; err->name
 *			VNET_E_RESIDUE: QEMU may have kept something until it ends */
typedef void (*qmp_nic_fn)(void *user, int r, struct vnet_err *err);

/* @roles: an array with a word for each of @fds, as the worker op "open" gives it: tap, vhost,
 * vdpa, or vfio and iommufd. @fds are taken over, also on failure; none is left here when
 * QEMU has them. With a socket it watches @q (qmp_watch()) while nobody has come to it. */
int qmp_nic_attach(struct qmp *q, sd_event *event, const struct qmp_nic *nic, const json_t *roles,
		   struct vnet_fds *fds, qmp_nic_fn done, void *user, struct vnet_err *err);
/* Also where only parts of it are there, or none. -EINPROGRESS: asked for, and the guest has
 * not let go of it yet; -EBUSY: it refused. Either way nothing was taken from it, and asking
 * again is fine. -ENOTEMPTY: the guest has it no more, and QEMU still has its back end. Watches @q (qmp_watch()) until it is done. */
int qmp_nic_detach(struct qmp *q, sd_event *event, const char *name, qmp_nic_fn done, void *user,
		   struct vnet_err *err);
/* Does QEMU have device vnetd-@name? found 1 or 0 with r 0. */
typedef void (*qmp_nic_found_fn)(void *user, int r, bool found, struct vnet_err *err);
int qmp_nic_find(struct qmp *q, const char *name, qmp_nic_found_fn done, void *user,
		 struct vnet_err *err);
/* Can other processes map the guest's memory? shared: 1 yes, 0 no, -1 where this QEMU does not
 * say; @r as of qmp_run(). */
typedef void (*qmp_nic_memory_fn)(void *user, int r, int shared, struct vnet_err *err);
int qmp_nic_memory(struct qmp *q, qmp_nic_memory_fn done, void *user, struct vnet_err *err);
#endif
