/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_EXEC_H
#define VNETD_EXEC_H
/*
 * Guests without libvirt, the front of it: io.vnetd.Exec, whose caller becomes a QEMU, and
 * Attach and Detach with a QEMU's QMP socket. Here a call becomes a request and an owner;
 * what is done with them is attach_run_owned() and detach_run_owned().
 */
#include <jansson.h>

#include "daemon/owner.h"
#include "daemon/qmp.h"
#include "daemon/reply.h"
#include "lib/model.h"

struct manager;
struct call;

/* Whom an attachment belongs to, and how it gets there. */
struct attach_owner {
	struct owner owner;
	struct qmp *qmp; /* NULL: by descriptors in the reply (Exec) */
};

void attach_owner_done(struct attach_owner *o);

/* The handlers of methods.c. */
void exec_run(struct manager *m, const struct vnet_request *r, struct call *c);
void exec_attach_qmp(struct manager *m, const struct vnet_request *r, struct call *c);
void exec_detach_qmp(struct manager *m, const struct vnet_request *r, struct call *c);

/* The reply's members that tell what the descriptors are and how QEMU is told of them: fds,
 * values and arguments, put into @reply. @roles: as the worker op "open" gives them, in the
 * order of the descriptors; @host: PCI address that QEMU opens by itself, or NULL. */
void exec_put_arguments(json_t *reply, const struct vnet_attachment *a, const json_t *roles,
			const char *host);
/* Of a vhost-user socket: does QEMU make it, and wait there? Else it connects to it. */
bool exec_listens(const struct vnet_attachment *a);
#endif
