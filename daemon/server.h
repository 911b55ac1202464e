/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_SERVER_H
#define VNETD_SERVER_H
/*
 * The listening socket and its connections: framing (lib/wire), credentials,
 * limits, Varlink's call and reply. What a method does is in methods.c; who may
 * call it in policy.c. A call outlives its connection: an attach goes on when the
 * client dies, its reply is dropped. Calls of one connection run one after another,
 * as Varlink has it; who wants them at once makes as many connections.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "lib/err.h"
#include "lib/fds.h"

#define CONNECTIONS_MAX 1024	/* in all */
#define CONNECTIONS_FOR_ROOT 64 /* of these, not given to users */
#define CONNECTIONS_PER_UID 64	/* root: CONNECTIONS_MAX */
#define CALLS_PER_UID 256	/* that run at the same time */
/* A reply that its client does not read ends the connection after this. */
#define READER_PATIENCE_USEC (60u * 1000 * 1000)
/* And after this where descriptors wait with it: kept here they keep a device in use, or a
 * dead QEMU's memory. */
#define READER_PATIENCE_FDS_USEC (5u * 1000 * 1000)
/* Descriptors that one call may bring; only those who may change anything may bring any. */
#define CALL_FDS_MAX 1

struct manager;
struct server;
struct call;
struct owner;

/* Takes the socket that systemd passes (LISTEN_FDS), else binds @path (0666, a stale
 * socket there is replaced, a live one refused). */
int server_new(struct server **ret, sd_event *event, struct manager *m, const char *path,
	       struct vnet_err *err);
struct server *server_free(struct server *s);

/* ---- for methods.c ---- */
const char *call_method(const struct call *c);
const json_t *call_parameters(const struct call *c); /* an object, maybe empty */
uid_t call_uid(const struct call *c);
/* Those that came with it; the method takes what it uses, the rest is closed with the call. */
struct vnet_fds *call_fds(struct call *c);
/* Each ends the call; c is gone after it. @parameters, @extra are taken over. */
void call_reply(struct call *c, json_t *parameters);
/* The same with descriptors, which are taken over: none is left in the daemon when they are
 * sent, or when the client is gone. */
void call_reply_fds(struct call *c, json_t *parameters, struct vnet_fds *fds);
/* Sends io.vnetd.NAME {text, errno, knob, object} and the members of @extra. */
void call_error(struct call *c, const struct vnet_err *err, json_t *extra);
/* Sends org.varlink.service.InvalidParameter etc. */
void call_varlink_error(struct call *c, const char *error, const char *field, const char *value);
/* A reply_fn whose user is the call. */
void call_done(void *call, int r, json_t *result, struct vnet_err *err);
/* A reply_fds_fn. */
void call_done_fds(void *call, int r, json_t *result, struct vnet_fds *fds, struct vnet_err *err);

/* methods.c: finds the method, checks policy, decodes, starts it. Never fails:
 * refusals are replies. */
void methods_dispatch(struct manager *m, struct call *c);
/* The peer's credentials for policy.c: effective gid and supplementary groups
 * (SO_PEERCRED, SO_PEERGROUPS). */
struct peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* owned by the connection */
	size_t n_groups;
	uint64_t since; /* CLOCK_MONOTONIC us, when it was accepted */
};
const struct peer *call_peer(const struct call *c);
/* The process that made the call (owner.h). */
int call_owner(const struct call *c, struct owner *ret, struct vnet_err *err);
#endif
