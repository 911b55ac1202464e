/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_QMP_H
#define VNETD_QMP_H
/*
 * QEMU's machine protocol over a socket that a client connected and handed in: vnetd opens
 * no path that a client names. JSON after JSON, commands one after the other, a descriptor
 * beside each that needs one (getfd). Who is behind the socket is QEMU as far as the client
 * says: nothing that it sends is trusted to be short, well formed, or to come.
 *
 * Knows nothing of NICs: that is qmp-nic.c.
 */
#include <jansson.h>
#include <systemd/sd-event.h>

#include "lib/err.h"

#define QMP_MESSAGE_MAX (256u * 1024)
#define QMP_QUEUE_MAX 512    /* commands that wait */
#define QMP_COMMAND_MS 10000 /* also for the greeting */
#define QMP_DEVICE_MS 120000 /* device_add may reset a device and pin all memory */

struct qmp;

/* Called once for each command. @result: what "return" was, borrowed. r < 0:
 *	-EPIPE		the connection has ended, whatever became of the command
 *	-ETIMEDOUT	no answer in time; QEMU may still do it
 *	-ECANCELED	qmp_free()
 *	-ENODEV		QEMU says DeviceNotFound
 *	-EREMOTEIO	QEMU says no; err has its words */
typedef void (*qmp_done_fn)(void *user, int r, const json_t *result, struct vnet_err *err);

struct qmp_watcher {
	/* @data: borrowed, maybe NULL */
	void (*event)(void *user, const char *name, const json_t *data);
	/* Once: no command can be run any more, those under way have ended. */
	void (*closed)(void *user, struct vnet_err *err);
	void *user;
};

/* Takes over @fd, also on failure: a connected unix stream socket, or -ENOTSOCK, -EINVAL. The
 * greeting and the capabilities come by themselves before the first command. */
int qmp_new(struct qmp **ret, sd_event *event, int fd, struct vnet_err *err);
/* May be called from within a callback. All that is under way is told -ECANCELED. */
struct qmp *qmp_free(struct qmp *q);
int qmp_fd(const struct qmp *q); /* for owner_of_socket() */
/* One watcher; NULL: none. */
void qmp_watch(struct qmp *q, const struct qmp_watcher *watcher);
/* Queue {execute, arguments?}, @arguments may be NULL and is taken over, and so is @fd (-1:
 * none), both also on failure. No copy of @fd is left when it is sent. */
int qmp_run(struct qmp *q, const char *execute, json_t *arguments, int fd, unsigned deadline_ms,
	    qmp_done_fn done, void *user, struct vnet_err *err);
#endif
