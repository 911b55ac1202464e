/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_TESTS_FAKE_DOMAINS_OPS_H
#define VNETD_TESTS_FAKE_DOMAINS_OPS_H
#include "daemon/domains.h"

#define QEMU_PID 4194305 /* above any that a kernel gives: these holders are ours */

/* Where the fake libvirt keeps its guests, and the fake kernel its host. */
struct fake_place {
	char *arg;  /* of the host */
	int dirfd;  /* the same */
	int guests; /* guests/ in it, -1: libvirt is down */
};

/* "queues=2 vhost=on": what libvirt opens for it. No vhost where QEMU itself runs the
 * guest's instructions. */
void fake_how(const struct guest *g, const char *how, char ret[static OPTIONS_MAX]);
/* @file: the guest's, without .xml. */
int fake_attach(const struct fake_place *f, const char *file, enum domains_where where,
		const struct guest_nic *nic, struct vnet_err *err);
int fake_detach(const struct fake_place *f, const char *file, enum domains_where where,
		const struct guest_nic *nic, struct vnet_err *err);
int fake_forget(const struct fake_place *f, const char *file, const struct guest_nic *nic,
		struct vnet_err *err);
#endif
