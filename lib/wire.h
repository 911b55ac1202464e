/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_LIB_WIRE_H
#define VNET_LIB_WIRE_H
/*
 * Varlink framing over an AF_UNIX stream: one JSON object and a NUL a message,
 * descriptors by SCM_RIGHTS belong to the message whose bytes they came with.
 * Each message is written with one sendmsg of its own first byte, so fds can't
 * be taken for a neighbour's. Used by server, client and the workers alike;
 * knows no method.
 *
 * struct wire buffers both directions, never blocks on its own (the fd is
 * O_NONBLOCK for the daemon; blocking clients poll), and enforces the limits.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/fds.h"

#define WIRE_MESSAGE_MAX (256u * 1024)		     /* bytes a client may send in one message */
#define WIRE_MESSAGE_MAX_TRUSTED (64u * 1024 * 1024) /* daemon -> client, worker -> daemon */
#define WIRE_OUT_MAX (128u * 1024 * 1024) /* bytes queued for a reader that does not read */
#define WIRE_DEPTH_MAX 32		  /* nesting of a message's JSON */

struct wire;

/* Takes over @fd. @in_max: WIRE_MESSAGE_MAX or WIRE_MESSAGE_MAX_TRUSTED;
 * @max_fds: descriptors accepted a message (0: any received fd is an error). */
int wire_new(struct wire **ret, int fd, size_t in_max, size_t max_fds, struct vnet_err *err);
struct wire *wire_free(struct wire *w);
int wire_fd(const struct wire *w);
/* Queue a message. Takes over what is in @fds (may be NULL) on success; steals no
 * reference of @msg. -ENOBUFS beyond WIRE_OUT_MAX. */
int wire_queue(struct wire *w, const json_t *msg, struct vnet_fds *fds, struct vnet_err *err);
/* Write what can be written: 0 all gone, 1 more is queued (poll for POLLOUT), <0. */
int wire_flush(struct wire *w, struct vnet_err *err);
bool wire_pending(const struct wire *w);
/* Are descriptors among what is queued? */
bool wire_fds_pending(const struct wire *w);
/* Read once and decode at most one message: 1 got one (call again before
 * polling), 0 would block, -EPIPE the peer is gone, other <0: protocol error
 * (-EMSGSIZE too large, -EBADMSG not a JSON object, -E2BIG too many fds). */
int wire_receive(struct wire *w, json_t **ret_msg, struct vnet_fds *ret_fds, struct vnet_err *err);
#endif
