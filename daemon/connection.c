/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A connection is always in one of three states, and the event source says which:
 *
 *	reading   nothing runs, nothing is queued: EPOLLIN
 *	calling   one call runs: the source is off
 *	writing   a reply is queued: EPOLLOUT, and the clock of the client's patience runs
 *
 * So calls of one connection run one after another and are answered in order, as
 * Varlink wants it; what a client sends ahead waits in its socket, and what is queued
 * for a client that does not read is one reply. A half-closed connection gets all its
 * replies, because its end is only read when nothing is left to do.
 *
 * A call outlives its connection: while it runs the socket is not looked at, and a
 * reply that nobody hears is dropped. It also outlives the server, which leaves the
 * connection (without its wire) to the call.
 *
 * connection_advance() alone moves it on and frees it. Replies that come from within
 * dispatch are seen by its loop, later ones arm `again`: the operation that answers is
 * never re-entered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <syslog.h>

#include "daemon/owner.h"
#include "daemon/policy.h"
#include "daemon/server-priv.h"
#include "lib/json.h"
#include "lib/log.h"

/* Then the others have their turn. */
#define MESSAGES_PER_TURN 8

struct call {
	struct connection *connection;
	json_t *message;
	const char *method;  /* in message */
	json_t *parameters;  /* in message, or own */
	struct vnet_fds fds; /* that came with it */
	bool oneway;
};

static void connection_free(struct connection *conn)
{
	sd_event_source_disable_unref(conn->io);
	sd_event_source_disable_unref(conn->again);
	sd_event_source_disable_unref(conn->patience);
	wire_free(conn->wire);
	free(conn->peer.groups);
	if (conn->server)
		server_forget(conn->server, conn);
	free(conn);
}

/* ---- reading, calling, writing ---- */

static int connection_watch(struct connection *conn)
{
	bool writing = wire_pending(conn->wire);
	uint64_t patience = wire_fds_pending(conn->wire) ? READER_PATIENCE_FDS_USEC
							 : READER_PATIENCE_USEC;
	int r;

	if (conn->patience) {
		r = sd_event_source_set_time_relative(conn->patience, patience);
		if (r < 0)
			return r;
		r = sd_event_source_set_enabled(conn->patience,
						writing ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
		if (r < 0)
			return r;
	}
	r = sd_event_source_set_io_events(conn->io, writing ? EPOLLOUT : EPOLLIN);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(conn->io, conn->call ? SD_EVENT_OFF : SD_EVENT_ON);
}

static void connection_again(struct connection *conn)
{
	/* Cannot fail for a deferred source: it needs no memory and no descriptor. */
	sd_event_source_set_enabled(conn->again, SD_EVENT_ONESHOT);
}

/* What is in @fds (may be NULL) is gone from here when the message is. */
static void connection_send(struct connection *conn, const json_t *msg, struct vnet_fds *fds)
{
	struct vnet_err err = VNET_ERR_INIT;

	if (!msg) {
		vnet_err_errno(&err, -ENOMEM, "make a reply");
		conn->broken = true;
	} else if (wire_queue(conn->wire, msg, fds, &err) < 0 || wire_flush(conn->wire, &err) < 0) {
		conn->broken = true;
	}
	if (conn->broken)
		log_err(LOG_DEBUG, NULL, &err, "reply to pid %d", (int)conn->peer.pid);
}

/* What a message consists of; the name of the first field that is wrong, or NULL. */
static const char *call_decode(struct call *c)
{
	json_t *value, *method = json_object_get(c->message, "method");
	const char *key;
	bool more = json_is_true(json_object_get(c->message, "more"));

	c->oneway = json_is_true(json_object_get(c->message, "oneway"));
	json_object_foreach (c->message, key, value) {
		if (strcmp(key, "method") == 0 || strcmp(key, "parameters") == 0)
			continue;
		if (strcmp(key, "more") != 0 && strcmp(key, "oneway") != 0 &&
		    strcmp(key, "upgrade") != 0)
			return key;
		if (!json_is_boolean(value))
			return key;
	}
	/* Nobody can promise one reply and none; and no method hands its socket over. */
	if (c->oneway && more)
		return "oneway";
	if (json_is_true(json_object_get(c->message, "upgrade")))
		return "upgrade";
	if (!json_is_string(method))
		return "method";
	c->method = json_string_value(method);

	value = json_object_get(c->message, "parameters");
	if (value && !json_is_null(value) && !json_is_object(value))
		return "parameters";
	c->parameters = json_is_object(value) ? json_incref(value) : json_object();
	return c->parameters ? NULL : "parameters";
}

/* Takes over @msg and @fds. The call may have ended when this returns. */
static void connection_take(struct connection *conn, json_t *msg, struct vnet_fds *fds)
{
	struct server *s = conn->server;
	struct call *c = calloc(1, sizeof(*c));
	const char *bad;

	if (!c) {
		json_decref(msg);
		conn->broken = true;
		return;
	}
	c->connection = conn;
	c->message = msg;
	c->fds = *fds;
	*fds = VNET_FDS_INIT;
	conn->call = c;
	conn->account->n_calls++;

	bad = call_decode(c);
	if (bad) {
		call_varlink_error(c, "org.varlink.service.InvalidParameter", "parameter", bad);
	} else if (conn->account->n_calls > CALLS_PER_UID) {
		struct vnet_err err = VNET_ERR_INIT;

		vnet_err_set(&err, -EAGAIN, VNET_E_LIMIT,
			     "%s: %d calls of uid %u run already, the most a user may have: "
			     "wait for some to end",
			     c->method, CALLS_PER_UID, (unsigned)conn->peer.uid);
		call_error(c, &err, NULL);
	} else {
		s->dispatch(s->manager, c);
	}
}

/* Take one message: 1 done, 0 there is none yet. */
static int connection_read(struct connection *conn)
{
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	struct vnet_err err = VNET_ERR_INIT;
	json_t *msg = NULL;
	int r;

	r = wire_receive(conn->wire, &msg, &fds, &err);
	if (r > 0)
		connection_take(conn, msg, &fds);
	if (r >= 0)
		return r;
	if (r != -EPIPE && r != -ECONNRESET) {
		_cleanup_json_ json_t *reply = NULL;

		/* What follows on the stream cannot be trusted: say why, and hang up. */
		log_err(LOG_DEBUG, NULL, &err, "message of pid %d", (int)conn->peer.pid);
		err.name = VNET_E_INVALID;
		reply = connection_error_message(&err, NULL);
		connection_send(conn, reply, NULL);
	}
	conn->broken = true;
	return 0;
}

static void connection_advance(struct connection *conn)
{
	unsigned budget = MESSAGES_PER_TURN;

	conn->advancing = true;
	while (!conn->broken && !conn->call && !wire_pending(conn->wire) && budget > 0) {
		if (connection_read(conn) == 0)
			break;
		budget--;
	}
	conn->advancing = false;
	if (!conn->broken && connection_watch(conn) < 0)
		conn->broken = true;
	if (conn->broken && !conn->call)
		connection_free(conn);
	else if (budget == 0 && !conn->call)
		/* A whole message may be in the wire's buffer, where epoll does not see it. */
		connection_again(conn);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct connection *conn = user;
	struct vnet_err err = VNET_ERR_INIT;

	(void)source;
	(void)fd;
	(void)revents;
	if (wire_pending(conn->wire) && wire_flush(conn->wire, &err) < 0)
		conn->broken = true;
	connection_advance(conn);
	return 0;
}

static int on_again(sd_event_source *source, void *user)
{
	(void)source;
	connection_advance(user);
	return 0;
}

static int on_patience(sd_event_source *source, uint64_t usec, void *user)
{
	struct connection *conn = user;

	(void)source;
	(void)usec;
	log_warn(NULL, "pid %d (uid %u) does not read its reply: hung up", (int)conn->peer.pid,
		 (unsigned)conn->peer.uid);
	conn->broken = true;
	connection_advance(conn);
	return 0;
}

int connection_new(struct server *s, int fd, struct peer *peer, struct account *account,
		   struct vnet_err *err)
{
	struct connection *conn = calloc(1, sizeof(*conn));
	int r;

	if (!conn) {
		close_fd(fd);
		free(take_ptr(peer->groups));
		return vnet_err_errno(err, -ENOMEM, "accept a connection");
	}
	conn->peer = *peer;
	peer->groups = NULL;

	/* What others bring the kernel drops: closing a descriptor may take as long as its
	 * maker wants. Those who may change the host are trusted with it. */
	r = wire_new(&conn->wire, fd, WIRE_MESSAGE_MAX,
		     policy_check(&conn->peer, ACCESS_CHANGE, "", NULL) == 0 ? CALL_FDS_MAX : 0,
		     err);
	if (r < 0) {
		connection_free(conn);
		return r;
	}
	r = sd_event_add_io(s->event, &conn->io, fd, EPOLLIN, on_io, conn);
	if (r >= 0)
		r = sd_event_add_defer(s->event, &conn->again, on_again, conn);
	if (r >= 0)
		r = sd_event_source_set_enabled(conn->again, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(s->event, &conn->patience, CLOCK_MONOTONIC,
					       READER_PATIENCE_USEC, 0, on_patience, conn);
	if (r >= 0)
		r = sd_event_source_set_enabled(conn->patience, SD_EVENT_OFF);
	if (r < 0) {
		connection_free(conn);
		return vnet_err_errno(err, r, "watch a connection");
	}
	conn->server = s;
	conn->account = account;
	account->n_connections++;
	s->crowded |= ++s->n_connections >= CROWD;
	conn->next = s->connections;
	s->connections = conn;
	return 0;
}

void connection_drop(struct connection *conn)
{
	if (!conn->call) {
		connection_free(conn);
		return;
	}
	conn->io = sd_event_source_disable_unref(conn->io);
	conn->again = sd_event_source_disable_unref(conn->again);
	conn->patience = sd_event_source_disable_unref(conn->patience);
	conn->wire = wire_free(conn->wire);
	server_forget(conn->server, conn);
	conn->server = NULL;
	conn->account = NULL;
}

/* ---- calls ---- */

/* The end of every call; takes over @msg and @fds (may be NULL). */
static void call_finish(struct call *c, json_t *msg, struct vnet_fds *fds)
{
	struct connection *conn = c->connection;

	if (!c->oneway && conn->wire)
		connection_send(conn, msg, fds);
	if (fds)
		vnet_fds_done(fds);
	vnet_fds_done(&c->fds);
	json_decref(msg);
	json_decref(c->message);
	json_decref(c->parameters);
	free(c);

	conn->call = NULL;
	if (!conn->server) {
		connection_free(conn);
		return;
	}
	conn->account->n_calls--;
	if (!conn->advancing)
		connection_again(conn);
}

const char *call_method(const struct call *c)
{
	return c->method;
}

const json_t *call_parameters(const struct call *c)
{
	return c->parameters;
}

struct vnet_fds *call_fds(struct call *c)
{
	return &c->fds;
}

int call_owner(const struct call *c, struct owner *ret, struct vnet_err *err)
{
	const struct connection *conn = c->connection;

	if (!conn->wire)
		return vnet_err_set(err, -ESRCH, VNET_E_FAILED, "the caller is gone");
	return owner_of_socket(ret, wire_fd(conn->wire), conn->peer.since, err);
}

uid_t call_uid(const struct call *c)
{
	return c->connection->peer.uid;
}

const struct peer *call_peer(const struct call *c)
{
	return &c->connection->peer;
}

void call_reply(struct call *c, json_t *parameters)
{
	call_reply_fds(c, parameters, NULL);
}

void call_reply_fds(struct call *c, json_t *parameters, struct vnet_fds *fds)
{
	call_finish(c, json_pack("{s:o}", "parameters", parameters ? parameters : json_object()),
		    fds);
}

json_t *connection_error_message(const struct vnet_err *err, json_t *extra)
{
	_cleanup_json_ json_t *members = extra;
	_cleanup_json_ json_t *parameters = json_object();
	char name[64];

	if (!parameters)
		return NULL;
	json_put_str(parameters, "text", err->text);
	json_put_int(parameters, "errno", -err->code);
	json_put_str(parameters, "knob", err->knob);
	json_put_str(parameters, "object", err->object);
	if (members)
		json_object_update_missing(parameters, members);
	snprintf(name, sizeof(name), "io.vnetd.%s", vnet_err_name_str(err->name));
	return json_pack("{s:s, s:o}", "error", name, "parameters", take_ptr(parameters));
}

void call_error(struct call *c, const struct vnet_err *err, json_t *extra)
{
	call_finish(c, connection_error_message(err, extra), NULL);
}

void call_varlink_error(struct call *c, const char *error, const char *field, const char *value)
{
	call_finish(c, json_pack("{s:s, s:{s:s}}", "error", error, "parameters", field, value),
		    NULL);
}

void call_done(void *call, int r, json_t *result, struct vnet_err *err)
{
	if (r < 0)
		call_error(call, err, result);
	else
		call_reply(call, result);
}

void call_done_fds(void *call, int r, json_t *result, struct vnet_fds *fds, struct vnet_err *err)
{
	if (r == 0) {
		call_reply_fds(call, result, fds);
		return;
	}
	if (fds)
		vnet_fds_done(fds);
	call_error(call, err, result);
}
