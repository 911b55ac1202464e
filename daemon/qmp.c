/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * One command is under way at a time, and has an id. QEMU works through what it is sent in
 * order, so one that is not answered in time does not end the connection: its answer, should
 * it come, has an id that nobody waits for, and what is sent after it is done after it.
 *
 * A command's descriptor goes with the first byte, in a sendmsg() of its own: QEMU takes one
 * from each read, for the command that the read completes.
 *
 * Callbacks may free the connection. It is closed at once then, but its memory goes only when
 * the event source that called them is through.
 */
#include "daemon/qmp.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/json.h"

#define READ_CHUNK (16u * 1024)
#define WORDS_MAX 512 /* of an error of QEMU's */

struct command {
	struct command *next;
	char name[32];
	char *text; /* NULL: the greeting, which is waited for, not sent */
	size_t len, sent;
	json_int_t id;
	int fd;
	unsigned deadline_ms;
	qmp_done_fn done;
	void *user;
};

struct qmp {
	sd_event *event;
	sd_event_source *io, *timer, *kick;
	int fd;
	bool in_loop; /* an event source of it runs */
	bool dead;    /* freed, but for the memory */
	bool closed;  /* nothing can be run any more */
	struct vnet_err why;
	struct qmp_watcher watcher;
	struct command *now, *queue, **queue_end;
	unsigned n_queued;
	json_int_t last_id;
	char *in;
	size_t in_size, in_len;
};

static void command_free(struct command *c)
{
	if (!c)
		return;
	close_fd(c->fd);
	free(c->text);
	free(c);
}

static void command_end(struct command *c, int r, const json_t *result, struct vnet_err *err)
{
	if (c->done)
		c->done(c->user, r, result, err);
	command_free(c);
}

static void memory_free(struct qmp *q)
{
	sd_event_unref(q->event);
	free(q->in);
	free(q);
}

/* Around all that an event source does. */
static struct qmp *enter(void *user)
{
	struct qmp *q = user;

	q->in_loop = true;
	return q;
}

static int leave(struct qmp *q)
{
	q->in_loop = false;
	if (q->dead)
		memory_free(q);
	return 0;
}

/* ---- the end of a connection ---- */

static void qmp_close(struct qmp *q, const struct vnet_err *why)
{
	struct qmp_watcher w;
	struct command *c;

	if (q->closed)
		return;
	q->closed = true;
	q->why = *why;
	q->io = sd_event_source_disable_unref(q->io);
	q->timer = sd_event_source_disable_unref(q->timer);
	q->kick = sd_event_source_disable_unref(q->kick);
	q->fd = close_fd(q->fd);
	while ((c = q->now ? q->now : q->queue)) {
		struct vnet_err err = *why;

		if (c == q->now)
			q->now = NULL;
		else
			q->queue = c->next;
		command_end(c, err.code, NULL, &err);
	}
	w = q->watcher;
	q->watcher = (struct qmp_watcher){ 0 };
	if (w.closed) {
		struct vnet_err err = *why;

		w.closed(w.user, &err);
	}
}

static void qmp_lost(struct qmp *q, int code, const char *text)
{
	struct vnet_err why = VNET_ERR_INIT;

	vnet_err_set(&why, code, VNET_E_FAILED, "QEMU's QMP socket: %s", text);
	qmp_close(q, &why);
}

struct qmp *qmp_free(struct qmp *q)
{
	struct vnet_err why = VNET_ERR_INIT;

	if (!q || q->dead)
		return NULL;
	q->dead = true;
	vnet_err_set(&why, -ECANCELED, VNET_E_UNAVAILABLE, "vnetd has left QEMU's QMP socket");
	qmp_close(q, &why);
	if (!q->in_loop)
		memory_free(q);
	return NULL;
}

/* ---- sending ---- */

static int on_deadline(sd_event_source *s, uint64_t usec, void *user);

static ssize_t send_some(int fd, const struct command *c)
{
	union {
		struct cmsghdr header;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = c->text + c->sent, .iov_len = c->len - c->sent };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (c->fd >= 0) {
		mh.msg_control = control.buf;
		mh.msg_controllen = sizeof(control.buf);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &c->fd, sizeof(int));
	}
	do
		n = sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* What is left of the command under way. */
static void qmp_send(struct qmp *q)
{
	struct command *c = q->now;

	while (c->sent < c->len) {
		ssize_t n = send_some(q->fd, c);

		if (n == -EAGAIN) {
			sd_event_source_set_io_events(q->io, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n < 0) {
			qmp_lost(q, -EPIPE, "it was closed");
			return;
		}
		c->fd = close_fd(c->fd);
		c->sent += (size_t)n;
	}
	sd_event_source_set_io_events(q->io, EPOLLIN);
}

static void qmp_next(struct qmp *q)
{
	struct command *c = q->queue;

	if (q->closed || q->now || !c)
		return;
	q->queue = c->next;
	if (!q->queue)
		q->queue_end = &q->queue;
	q->n_queued--;
	q->now = c;
	q->timer = sd_event_source_disable_unref(q->timer);
	if (sd_event_add_time_relative(q->event, &q->timer, CLOCK_MONOTONIC,
				       (uint64_t)c->deadline_ms * 1000, 0, on_deadline, q) < 0) {
		qmp_lost(q, -EPIPE, "no memory to watch it");
		return;
	}
	if (c->text)
		qmp_send(q);
}

/* From the loop, so that nothing is told from within qmp_run(). */
static int on_kick(sd_event_source *s, void *user)
{
	struct qmp *q = enter(user);

	(void)s;
	qmp_next(q);
	return leave(q);
}

/* The command under way has its answer, or will not get one. */
static void qmp_answer(struct qmp *q, int r, const json_t *result, struct vnet_err *err)
{
	struct command *c = q->now;

	q->timer = sd_event_source_disable_unref(q->timer);
	q->now = NULL;
	command_end(c, r, result, err);
	qmp_next(q);
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *user)
{
	struct qmp *q = enter(user);
	struct command *c = q->now;
	struct vnet_err err = VNET_ERR_INIT;

	(void)s;
	(void)usec;
	if (!c->text) {
		qmp_lost(q, -ETIMEDOUT,
			 "it does not greet: one client at a time is served, so give QEMU a "
			 "socket for vnetd alone (-qmp unix:PATH,server=on,wait=off)");
	} else if (c->sent > 0 && c->sent < c->len) {
		/* Half a command: nothing else can follow it. */
		qmp_lost(q, -ETIMEDOUT, "QEMU does not read what it is sent");
	} else {
		vnet_err_set(&err, -ETIMEDOUT, VNET_E_STUCK, "QEMU has not answered %s for %u ms",
			     c->name, c->deadline_ms);
		qmp_answer(q, err.code, NULL, &err);
	}
	return leave(q);
}

/* ---- receiving ---- */

/* QEMU's own words, fit for a log and a terminal. */
static int refused(const struct command *c, const json_t *error, struct vnet_err *err)
{
	const char *class = json_string_value(json_object_get(error, "class")) ?: "";
	const char *desc = json_string_value(json_object_get(error, "desc")) ?: "no reason given";
	int code = strcmp(class, "DeviceNotFound") == 0 ? -ENODEV : -EREMOTEIO;
	char words[WORDS_MAX];

	snprintf(words, sizeof(words), "%s", desc);
	for (char *p = words; *p; p++)
		*p = (unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f ? '?' : *p;
	return vnet_err_set(err, code, VNET_E_FAILED, "QEMU refuses %s: %s", c->name, words);
}

static void handle(struct qmp *q, const json_t *msg)
{
	const char *event = json_string_value(json_object_get(msg, "event"));
	const json_t *error = json_object_get(msg, "error"), *id = json_object_get(msg, "id");
	const json_t *result = json_object_get(msg, "return");
	struct vnet_err err = VNET_ERR_INIT;
	struct command *c = q->now;

	if (event && q->watcher.event) {
		q->watcher.event(q->watcher.user, event, json_object_get(msg, "data"));
	} else if (json_object_get(msg, "QMP")) {
		if (c && !c->text)
			qmp_answer(q, 0, NULL, &err);
	} else if (c && c->text && (error || result) && json_is_integer(id) &&
		   json_integer_value(id) == c->id) {
		if (error)
			refused(c, error, &err);
		qmp_answer(q, err.code, error ? NULL : result, &err);
	}
}

/* The first JSON in the buffer, if it is whole: 1, 0 not yet, <0 it is none. */
static int take_message(struct qmp *q, size_t *at, json_t **ret)
{
	json_error_t e;

	while (*at < q->in_len && strchr(" \t\r\n", q->in[*at]))
		++*at;
	/* All that is whole ends with a line. */
	if (*at == q->in_len || !memchr(q->in + *at, '\n', q->in_len - *at))
		return 0;
	*ret = json_loadb(q->in + *at, q->in_len - *at, JSON_DISABLE_EOF_CHECK, &e);
	if (*ret) {
		*at += (size_t)e.position;
		return 1;
	}
	return json_error_code(&e) == json_error_premature_end_of_input ? 0 : -EBADMSG;
}

static void handle_all(struct qmp *q)
{
	size_t at = 0;
	int r = 0;

	while (!q->closed) {
		_cleanup_json_ json_t *msg = NULL;

		r = take_message(q, &at, &msg);
		if (r <= 0)
			break;
		handle(q, msg);
	}
	if (q->closed)
		return;
	memmove(q->in, q->in + at, q->in_len - at);
	q->in_len -= at;
	if (r < 0)
		qmp_lost(q, -EPIPE, "what came is not QMP");
	else if (q->in_len > QMP_MESSAGE_MAX)
		qmp_lost(q, -EPIPE, "a message is too long");
}

static int make_room(struct qmp *q)
{
	size_t size = q->in_len + READ_CHUNK;
	char *p;

	if (q->in_size >= size)
		return 0;
	p = realloc(q->in, size);
	if (!p)
		return -ENOMEM;
	q->in = p;
	q->in_size = size;
	return 0;
}

/* One read: the loop has its turn in between, whatever is sent. */
static void qmp_read(struct qmp *q)
{
	ssize_t n;

	if (make_room(q) < 0) {
		qmp_lost(q, -EPIPE, "no memory for what it says");
		return;
	}
	n = recv(q->fd, q->in + q->in_len, READ_CHUNK, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		qmp_lost(q, -EPIPE, "it was closed");
		return;
	}
	q->in_len += (size_t)n;
	handle_all(q);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *user)
{
	struct qmp *q = enter(user);

	(void)s;
	(void)fd;
	if ((revents & EPOLLOUT) && q->now && q->now->text)
		qmp_send(q);
	else if (revents & EPOLLOUT) /* what waited to be sent was given up */
		sd_event_source_set_io_events(q->io, EPOLLIN);
	if (!q->closed && (revents & ~(uint32_t)EPOLLOUT))
		qmp_read(q);
	return leave(q);
}

/* ---- the outside ---- */

static int queue(struct qmp *q, struct command *c)
{
	if (q->n_queued >= QMP_QUEUE_MAX)
		return -ENOBUFS;
	*q->queue_end = c;
	q->queue_end = &c->next;
	q->n_queued++;
	/* Cannot fail for a deferred source. */
	sd_event_source_set_enabled(q->kick, SD_EVENT_ONESHOT);
	return 0;
}

int qmp_run(struct qmp *q, const char *execute, json_t *arguments, int fd, unsigned deadline_ms,
	    qmp_done_fn done, void *user, struct vnet_err *err)
{
	_cleanup_json_ json_t *args = arguments, *msg = json_object();
	_cleanup_close_ int owned = fd;
	struct command *c;

	if (q->closed)
		return vnet_err_set(err, q->why.code, q->why.name, "%s", q->why.text);
	c = calloc(1, sizeof(*c));
	if (c) {
		c->fd = -1;
		c->id = ++q->last_id;
		json_put_str(msg, "execute", execute);
		json_put_int(msg, "id", c->id);
		if (args)
			json_put(msg, "arguments", json_incref(args));
		c->text = json_dumps(msg, JSON_COMPACT);
	}
	if (!c || !c->text) {
		command_free(c);
		return vnet_err_errno(err, -ENOMEM, "send %s to QEMU", execute);
	}
	c->len = strlen(c->text);
	c->text[c->len++] = '\n'; /* where the NUL was: the length is what counts */
	snprintf(c->name, sizeof(c->name), "%s", execute);
	c->deadline_ms = deadline_ms;
	c->done = done;
	c->user = user;
	if (queue(q, c) < 0) {
		command_free(c);
		return vnet_err_set(err, -ENOBUFS, VNET_E_LIMIT,
				    "%u commands wait for QEMU already", QMP_QUEUE_MAX);
	}
	c->fd = take_fd(&owned);
	return 0;
}

/* What a client handed in may be anything. */
static int check_socket(int fd, struct vnet_err *err)
{
	int domain = 0, type = 0, listening = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0)
		return vnet_err_errno(err, -errno, "use the descriptor that came as QMP socket");
	if (domain != AF_UNIX || type != SOCK_STREAM || listening)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "the descriptor that came as QMP socket is no connected unix "
				    "stream socket");
	return 0;
}

static int start(struct qmp *q, struct vnet_err *err)
{
	struct command *greeting;
	int r = sd_event_add_io(q->event, &q->io, q->fd, EPOLLIN, on_io, q);

	if (r >= 0)
		r = sd_event_add_defer(q->event, &q->kick, on_kick, q);
	greeting = r >= 0 ? calloc(1, sizeof(*greeting)) : NULL;
	if (!greeting)
		return vnet_err_errno(err, r < 0 ? r : -ENOMEM, "watch a QMP socket");
	greeting->fd = -1;
	greeting->deadline_ms = QMP_COMMAND_MS;
	snprintf(greeting->name, sizeof(greeting->name), "the greeting");
	queue(q, greeting);
	return qmp_run(q, "qmp_capabilities", NULL, -1, QMP_COMMAND_MS, NULL, NULL, err);
}

int qmp_new(struct qmp **ret, sd_event *event, int fd, struct vnet_err *err)
{
	_cleanup_close_ int owned = fd;
	struct qmp *q;
	int r = check_socket(fd, err);

	if (r < 0)
		return r;
	q = calloc(1, sizeof(*q));
	if (!q)
		return vnet_err_errno(err, -ENOMEM, "use a QMP socket");
	q->event = sd_event_ref(event);
	q->fd = take_fd(&owned);
	q->queue_end = &q->queue;
	r = start(q, err);
	if (r < 0) {
		qmp_free(q);
		return r;
	}
	*ret = q;
	return 0;
}

int qmp_fd(const struct qmp *q)
{
	return q->fd;
}

void qmp_watch(struct qmp *q, const struct qmp_watcher *watcher)
{
	q->watcher = watcher ? *watcher : (struct qmp_watcher){ 0 };
}
