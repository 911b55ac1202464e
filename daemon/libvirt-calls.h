/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_LIBVIRT_CALLS_H
#define VNETD_LIBVIRT_CALLS_H
/* What libvirt.c has the call threads do with its connection. All of it may block. */
#include "daemon/domains.h"
#include "daemon/libvirt-threads.h"

struct _virConnect; /* libvirt's name for it */

/* Fill @err with what libvirt's last call in this thread failed with: "libvirt: WHAT
 * OBJECT: its message". @conn, or NULL: to see whether it is still alive. Nothing of
 * libvirt may be called in between, virDomainGetName() neither: it would clear it. */
int libvirt_says(struct vnet_err *err, struct _virConnect *conn, const char *what,
		 const char *object);
/* The same call was a connect: is there no socket to connect to? */
bool libvirt_is_absent(void);
/* Does what @c says, all but reading the guest. */
void libvirt_act(struct _virConnect *conn, struct call *c);
int libvirt_read(struct _virConnect *conn, const char *uuid, struct guest *ret,
		 struct vnet_err *err);
#endif
