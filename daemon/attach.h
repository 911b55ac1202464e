/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_ATTACH_H
#define VNETD_ATTACH_H
/*
 * An attachment's life, and the ledger of all of them: what is held, by whom, in
 * which state. One state setter; each change is on disk before it is acted upon.
 */
#include <jansson.h>
#include <stdbool.h>

#include "daemon/reply.h"
#include "lib/err.h"
#include "lib/model.h"

#define ATTACHMENTS_MAX 1024

struct manager;
struct attachments;
struct attachment;
struct attach_owner;

int attachments_new(struct attachments **ret, struct manager *m, struct vnet_err *err);
struct attachments *attachments_free(struct attachments *as);
/* The attachment that holds this VF, in any state but gone; NULL: none does. */
const struct vnet_attachment *attachments_holder(const struct attachments *as,
						 const struct pci_addr *pf, int vf_index);
/* One that is put on this function's interface, or made by its management device: such do
 * not hold the function, but go with its driver. */
const struct vnet_attachment *attachments_upon(const struct attachments *as,
					       const struct pci_addr *addr,
					       const struct vnet_attachment *self);
/* In the order in which they were made; NULL past the end. */
const struct vnet_attachment *attachments_at(const struct attachments *as, size_t i);

/* What the guests' side tells (domains.h): each may start or end something. */
void attachments_guests_known(struct attachments *as);
/* Something that requests wait for has changed. */
void attachments_serve_waiting(struct attachments *as);
/* The daemon serves: decide about what QEMUs without libvirt have, which waits for nobody. */
void attachments_start(struct attachments *as);
void attachments_guest_changed(struct attachments *as, const char *uuid);
void attachments_guest_stopped(struct attachments *as, const char *uuid);
void attachments_device_removed(struct attachments *as, const char *uuid, const char *alias);
void attachments_removal_failed(struct attachments *as, const char *uuid, const char *alias);
/* Each answers once through @reply.
 * attach: {attachment, verdicts}; the error carries {verdicts} where some were made.
 * detach: {attachment, done, text, residue: [text]}; done false: still detaching. @name ""
 *   where the guest has only one.
 * guests: {guests: [{name, uuid, running}], libvirt}, as known now
 * list: {attachments: [...]}, each with vhost, vhostQueues and vhostWhy as seen just now;
 * show: {attachment: the same, effects: [{knob, object, before, after, restore}]}
 * why: {guest, verdicts: [{mode, pool, pf, vf, vfIndex, serves, score, chosen, reason}]}
 * plan: {attachment, steps: [{knob, object, owner, before, after, changes}],
 *        handover: text, warnings: [text], verdicts}; touches nothing. */
void attach_run(struct manager *m, const struct vnet_request *r, reply_fn reply, void *user);
/* For guests without libvirt (exec.h): @o is taken over. What the NIC is made of goes back
 * when the owner ends, or by detach. attach: the same reply and, where @o has no QMP
 * connection, the descriptors with what exec_put_arguments() says of them. */
void attach_run_owned(struct manager *m, const struct vnet_request *r, struct attach_owner *o,
		      reply_fds_fn reply, void *user);
void detach_run_owned(struct manager *m, const struct vnet_request *r, struct attach_owner *o,
		      reply_fn reply, void *user);
void detach_run(struct manager *m, const struct vnet_request *r, reply_fn reply, void *user);
void guests_run(struct manager *m, reply_fn reply, void *user);
void list_run(struct manager *m, reply_fn reply, void *user);
void show_run(struct manager *m, const struct vnet_request *r, reply_fn reply, void *user);
void why_run(struct manager *m, const struct vnet_request *r, reply_fn reply, void *user);
void plan_run(struct manager *m, const struct vnet_request *r, reply_fn reply, void *user);
#endif
