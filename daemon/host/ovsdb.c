/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON-RPC has no framing: texts follow one another, and where one ends only its
 * parser knows. So the parser gets byte by byte from our own buffer, and what it
 * did not ask for stays there for the next message.
 */
#include "daemon/host/ovsdb.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "daemon/host/backend.h"
#include "lib/cleanup.h"
#include "lib/json.h"

#define OVSDB_SOCKET "run/openvswitch/db.sock"
#define MESSAGE_MAX (4u * 1024 * 1024)
#define FULL_BACKLOG_MS 20

struct ovsdb {
	int fd;
	int64_t until; /* ms of CLOCK_MONOTONIC */
	json_int_t last_id;
	size_t message; /* bytes of the message that is being read */
	int failed;	/* why the reader got no more of it, as -errno */
	size_t begin, end;
	char buf[16384];
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

unsigned ovsdb_time_left(const struct ovsdb *o)
{
	int64_t left = o->until - now_ms();

	return left > 0 ? (unsigned)left : 0;
}

static int no_answer(struct vnet_err *err, int code)
{
	if (code == -ETIMEDOUT)
		return vnet_err_set(err, code, VNET_E_FAILED,
				    "Open vSwitch does not answer: systemctl status " OVS_SERVICE);
	if (code == -EPIPE || code == -ECONNRESET)
		return vnet_err_set(
			err, code, VNET_E_FAILED,
			"Open vSwitch closed the connection: systemctl status " OVS_SERVICE);
	return vnet_err_errno(err, code, "talk to Open vSwitch at /" OVSDB_SOCKET);
}

/* ---- the connection ---- */

static int cannot_connect(struct vnet_err *err, int code)
{
	if (code == -ENOENT)
		return vnet_err_set(err, code, VNET_E_FAILED,
				    "no Open vSwitch runs here (there is no /" OVSDB_SOCKET
				    "): systemctl start " OVS_SERVICE);
	if (code == -ETIMEDOUT)
		return no_answer(err, code);
	if (code == -ECONNREFUSED)
		return vnet_err_set(err, code, VNET_E_FAILED,
				    "Open vSwitch has died: nobody serves /" OVSDB_SOCKET
				    ": systemctl restart " OVS_SERVICE);
	return vnet_err_errno(err, code, "connect to Open vSwitch at /" OVSDB_SOCKET);
}

static int connect_to(struct ovsdb *o, const struct kernel *k)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/" OVSDB_SOCKET, k->rootfd);
	while (connect(o->fd, (const struct sockaddr *)&a, sizeof(a)) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == ENOTDIR)
			return -ENOENT;
		if (errno != EAGAIN)
			return -errno;
		/* A server that accepts nobody: there is nothing to poll for. */
		if (!ovsdb_time_left(o))
			return -ETIMEDOUT;
		poll(NULL, 0, FULL_BACKLOG_MS);
	}
	return 0;
}

int ovsdb_open(struct kernel *k, unsigned ms, struct ovsdb **ret, struct vnet_err *err)
{
	_cleanup_ovsdb_ struct ovsdb *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return vnet_err_errno(err, -ENOMEM, "connect to Open vSwitch");
	o->until = now_ms() + ms;
	o->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (o->fd < 0)
		return vnet_err_errno(err, -errno, "connect to Open vSwitch");
	r = connect_to(o, k);
	if (r < 0)
		return cannot_connect(err, r);
	*ret = take_ptr(o);
	return 0;
}

struct ovsdb *ovsdb_close(struct ovsdb *o)
{
	if (!o)
		return NULL;
	close_fd(o->fd);
	free(o);
	return NULL;
}

static int wait_for(struct ovsdb *o, short events)
{
	struct pollfd p = { .fd = o->fd, .events = events };

	for (;;) {
		unsigned left = ovsdb_time_left(o);
		int n = left ? poll(&p, 1, (int)left) : 0;

		if (n > 0)
			return 0;
		if (!left)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

/* ---- messages ---- */

static int send_text(struct ovsdb *o, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		int r = wait_for(o, POLLOUT);
		ssize_t n = r < 0 ? 0 : send(o->fd, text, len, MSG_NOSIGNAL);

		if (r < 0)
			return r;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* Takes over the reference; NULL is out of memory. */
static int send_message(struct ovsdb *o, json_t *message, struct vnet_err *err)
{
	_cleanup_json_ json_t *m = message;
	_cleanup_free_ char *text = m ? json_dumps(m, JSON_COMPACT) : NULL;
	int r;

	if (!text)
		return vnet_err_errno(err, -ENOMEM, "ask Open vSwitch");
	r = send_text(o, text);
	return r < 0 ? no_answer(err, r) : 0;
}

static int fill(struct ovsdb *o)
{
	for (;;) {
		int r = wait_for(o, POLLIN);
		ssize_t n = r < 0 ? 0 : recv(o->fd, o->buf, sizeof(o->buf), 0);

		if (r < 0)
			return r;
		if (n == 0)
			return -EPIPE;
		if (n > 0) {
			o->begin = 0;
			o->end = (size_t)n;
			return 0;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
}

static size_t next_byte(void *buffer, size_t size, void *data)
{
	struct ovsdb *o = data;

	(void)size;
	if (o->begin == o->end)
		o->failed = fill(o);
	if (!o->failed && ++o->message > MESSAGE_MAX)
		o->failed = -EMSGSIZE;
	if (o->failed)
		return (size_t)-1;
	*(char *)buffer = o->buf[o->begin++];
	return 1;
}

static int read_message(struct ovsdb *o, json_t **ret, struct vnet_err *err)
{
	json_error_t why;

	o->message = 0;
	o->failed = 0;
	*ret = json_load_callback(next_byte, o, JSON_DISABLE_EOF_CHECK, &why);
	if (*ret)
		return 0;
	if (o->failed)
		return no_answer(err, o->failed);
	clean_text(why.text);
	return vnet_err_set(err, -EPROTO, VNET_E_FAILED, "Open vSwitch's answer is no JSON: %s",
			    why.text);
}

/* The answer to request @id: between, the server may ask whether we are alive. */
static int read_answer(struct ovsdb *o, json_int_t id, json_t **ret, struct vnet_err *err)
{
	for (;;) {
		_cleanup_json_ json_t *m = NULL;
		const json_t *its_id, *method;
		int r = read_message(o, &m, err);

		if (r < 0)
			return r;
		its_id = json_object_get(m, "id");
		method = json_object_get(m, "method");
		if (json_is_string(method) && !strcmp(json_string_value(method), "echo")) {
			r = send_message(o,
					 json_pack("{s:O?,s:O?,s:n}", "id", its_id, "result",
						   json_object_get(m, "params"), "error"),
					 err);
			if (r < 0)
				return r;
		} else if (!method && json_is_integer(its_id) && json_integer_value(its_id) == id) {
			*ret = take_ptr(m);
			return 0;
		}
	}
}

/* ---- transactions ---- */

static int error_code(const char *error)
{
	static const struct {
		const char *error;
		int code;
	} known[] = {
		{ "timed out", -ENOENT },
		{ "constraint violation", -EEXIST },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (!strcmp(known[i].error, error))
			return known[i].code;
	}
	return -EPROTO;
}

static int refused(const char *error, const char *details, struct vnet_err *err)
{
	char text[512];

	snprintf(text, sizeof(text), "%s%s%s", error, details ? ": " : "", details ? details : "");
	clean_text(text);
	return vnet_err_set(err, error_code(error), VNET_E_FAILED, "Open vSwitch refuses: %s",
			    text);
}

/* The operation that failed has an error, those after it are null; what fails at
 * the commit comes as one result more than there were operations. */
static int check_results(const json_t *results, struct vnet_err *err)
{
	const json_t *result;
	size_t i;

	json_array_foreach (results, i, result) {
		const json_t *error = json_object_get(result, "error");

		if (json_is_string(error))
			return refused(json_string_value(error),
				       json_string_value(json_object_get(result, "details")), err);
	}
	return 0;
}

static int check_answer(const json_t *answer, struct vnet_err *err)
{
	const json_t *error = json_object_get(answer, "error");
	const json_t *results = json_object_get(answer, "result");

	if (error && !json_is_null(error)) {
		_cleanup_free_ char *text = json_dumps(error, JSON_COMPACT | JSON_ENCODE_ANY);

		return refused(text ? text : "?", NULL, err);
	}
	if (!json_is_array(results))
		return refused("it answers without a result", NULL, err);
	return check_results(results, err);
}

int ovsdb_transact(struct ovsdb *o, json_t *ops, json_t **ret, struct vnet_err *err)
{
	_cleanup_json_ json_t *answer = NULL;
	json_int_t id = ++o->last_id;
	int r = send_message(o,
			     json_pack("{s:s,s:o,s:I}", "method", "transact", "params", ops, "id",
				       id),
			     err);

	if (r == 0)
		r = read_answer(o, id, &answer, err);
	if (r == 0)
		r = check_answer(answer, err);
	if (r < 0)
		return r;
	*ret = json_incref(json_object_get(answer, "result"));
	return 0;
}

/* ---- notation ---- */

const json_t *ovsdb_rows(const json_t *results, size_t op)
{
	return json_object_get(json_array_get(results, op), "rows");
}

const json_t *ovsdb_row(const json_t *results, size_t op, size_t row)
{
	return json_array_get(ovsdb_rows(results, op), row);
}

/* ["set", [...]] and ["map", [...]]; a value that is neither gives NULL. */
static const json_t *elements(const json_t *column, const char *kind)
{
	const char *k = json_string_value(json_array_get(column, 0));

	return k && !strcmp(k, kind) ? json_array_get(column, 1) : NULL;
}

size_t ovsdb_set_size(const json_t *column)
{
	const json_t *set = elements(column, "set");

	return set ? json_array_size(set) : column != NULL;
}

const json_t *ovsdb_set_at(const json_t *column, size_t i)
{
	const json_t *set = elements(column, "set");

	if (set)
		return json_array_get(set, i);
	return i == 0 ? column : NULL;
}

void ovsdb_text(const json_t *value, char *ret, size_t size)
{
	const char *s = json_string_value(value);

	snprintf(ret, size, "%s", s ? s : "");
	clean_text(ret);
}

const char *ovsdb_uuid(const json_t *value)
{
	const char *kind = json_string_value(json_array_get(value, 0));
	const char *uuid = json_string_value(json_array_get(value, 1));

	return kind && uuid && !strcmp(kind, "uuid") ? uuid : "";
}

const char *ovsdb_map_get(const json_t *column, const char *key)
{
	const json_t *pair;
	size_t i;

	json_array_foreach (elements(column, "map"), i, pair) {
		const char *k = json_string_value(json_array_get(pair, 0));

		if (k && !strcmp(k, key))
			return json_string_value(json_array_get(pair, 1));
	}
	return NULL;
}
