/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One call at a time. A call that was given up leaves its reply under way, and the next one
 * would take it for its own: so the connection ends with the first call that did not get its
 * answer.
 */
#include "lib/client.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/wire.h"

#define CONNECT_TIMEOUT_SEC 10 /* a daemon whose queue of connections is full */
#define ERRNO_MAX 4095

struct client {
	struct wire *wire; /* NULL: ended */
	struct sockaddr_un addr;
};

static const char *remedy(int code, const char *path)
{
	if (code == -EACCES || code == -EPERM)
		return "the folder or the socket does not let you in: ask as root, or look at its "
		       "permissions";
	if (code == -EAGAIN)
		return "the daemon accepts no connections: see journalctl -u vnetd";
	if (strcmp(path, VNETD_SOCKET) == 0)
		return "start it: systemctl start vnetd.socket";
	return "start vnetd with --socket and this path, or give the right one";
}

static int unreachable(struct vnet_err *err, int code, const char *path)
{
	const char *reason = strerrordesc_np(-code);

	if (code == -EAGAIN)
		reason = "timed out";
	return vnet_err_set(err, code, VNET_E_UNREACHABLE, "cannot reach vnetd at %s: %s: %s", path,
			    reason ? reason : "unknown error", remedy(code, path));
}

int client_connect(struct client **ret, const char *socket_path, struct vnet_err *err)
{
	const char *path = socket_path ? socket_path : VNETD_SOCKET;
	struct timeval limit = { .tv_sec = CONNECT_TIMEOUT_SEC };
	_cleanup_close_ int fd = -1;
	_cleanup_free_ struct client *c = NULL;
	int r;

	c = calloc(1, sizeof(*c));
	if (!c)
		return vnet_err_errno(err, -ENOMEM, "connect to %s", path);
	c->addr.sun_family = AF_UNIX;
	if (!*path || strlen(path) >= sizeof(c->addr.sun_path))
		return vnet_err_set(err, -ENAMETOOLONG, VNET_E_INVALID,
				    "socket path \"%s\" is empty or longer than %zu bytes", path,
				    sizeof(c->addr.sun_path) - 1);
	strcpy(c->addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return vnet_err_errno(err, -errno, "make a socket for %s", path);
	/* The send timeout bounds connect() as well, and after it everything is polled. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return vnet_err_errno(err, -errno, "set a time limit for %s", path);
	do
		r = connect(fd, (const struct sockaddr *)&c->addr, sizeof(c->addr));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return unreachable(err, -errno, path);
	r = wire_new(&c->wire, take_fd(&fd), WIRE_MESSAGE_MAX_TRUSTED, VNET_FDS_MAX, err);
	if (r < 0)
		return r;
	*ret = take_ptr(c);
	return 0;
}

struct client *client_free(struct client *c)
{
	if (!c)
		return NULL;
	wire_free(c->wire);
	free(c);
	return NULL;
}

/* ---- one exchange --------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* 0 when something can be done, -ETIMEDOUT at @deadline (-1: never). */
static int wait_for(struct client *c, short events, int64_t deadline, struct vnet_err *err)
{
	struct pollfd p = { .fd = wire_fd(c->wire), .events = events };
	int64_t left = -1;
	int r;

	if (deadline >= 0) {
		left = deadline - now_ms();
		left = left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : left;
	}
	r = poll(&p, 1, (int)left);
	if (r < 0 && errno != EINTR)
		return vnet_err_errno(err, -errno, "wait for vnetd at %s", c->addr.sun_path);
	if (r == 0)
		return vnet_err_set(err, -ETIMEDOUT, VNET_E_UNREACHABLE,
				    "vnetd at %s has not answered in time: the operation may still "
				    "go on, vnetctl list shows it",
				    c->addr.sun_path);
	return 0;
}

static int send_call(struct client *c, const char *method, const json_t *parameters,
		     struct vnet_fds *fds, int64_t deadline, struct vnet_err *err)
{
	_cleanup_json_ json_t *call = json_object();
	struct vnet_err why = VNET_ERR_INIT;
	int r;

	json_put_str(call, "method", method);
	/* The object is shared for the time of encoding, and is not changed. */
	if (parameters)
		json_put(call, "parameters", json_incref((json_t *)parameters));
	if (json_object_size(call) != (parameters ? 2 : 1))
		return vnet_err_errno(err, -ENOMEM, "encode the call");
	r = wire_queue(c->wire, call, fds, err);
	if (r < 0)
		return r;
	while ((r = wire_flush(c->wire, &why)) > 0) {
		r = wait_for(c, POLLOUT, deadline, err);
		if (r < 0)
			return r;
	}
	/* A daemon that refused early may have said why before it closed. */
	if (r < 0 && r != -EPIPE)
		return vnet_err_set(err, r, why.name, "%s", why.text);
	return 0;
}

static int receive_reply(struct client *c, int64_t deadline, json_t **ret, struct vnet_fds *ret_fds,
			 struct vnet_err *err)
{
	int r;

	while ((r = wire_receive(c->wire, ret, ret_fds, err)) == 0) {
		r = wait_for(c, POLLIN, deadline, err);
		if (r < 0)
			return r;
	}
	if (r == -EPIPE)
		return vnet_err_set(err, -EPIPE, VNET_E_UNREACHABLE,
				    "vnetd at %s closed the connection before it answered: see "
				    "journalctl -u vnetd",
				    c->addr.sun_path);
	if (r < 0)
		return vnet_err_wrap(err, "the answer of vnetd at %s", c->addr.sun_path);
	return 0;
}

/* ---- errors from the wire ------------------------------------------------------------- */

/* What every Varlink service may say, in our words; %s is the member named by field. */
static const struct {
	const char *error, *field;
	int code;
	enum vnet_err_name name;
	const char *before, *after;
} varlink_errors[] = {
	{ "org.varlink.service.InvalidParameter", "parameter", -EINVAL, VNET_E_INVALID,
	  "parameter \"", "\" is not acceptable" },
	{ "org.varlink.service.MethodNotFound", "method", -ENOSYS, VNET_E_FAILED,
	  "vnetd does not know the method ",
	  ": is it older than this program? restart vnetd.service" },
	{ "org.varlink.service.MethodNotImplemented", "method", -ENOSYS, VNET_E_FAILED,
	  "vnetd does not implement the method ", "" },
	{ "org.varlink.service.InterfaceNotFound", "interface", -ENOSYS, VNET_E_FAILED,
	  "this socket is not vnetd's, or it is older than this program: it knows no interface ",
	  "" },
	{ "org.varlink.service.PermissionDenied", NULL, -EACCES, VNET_E_DENIED,
	  "vnetd does not permit this call", "" },
	{ "org.varlink.service.ExpectedMore", NULL, -EPROTO, VNET_E_FAILED,
	  "the method answers more than once and must be called so", "" },
};

/* Text of a field whatever its bytes are; "" where there is none. */
static const char *text_of(const json_t *parameters, const char *field)
{
	const char *s = json_string_value(json_object_get(parameters, field));

	return s ? s : "";
}

static int from_varlink(const char *error, const json_t *parameters, struct vnet_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(varlink_errors); i++) {
		const char *field = varlink_errors[i].field;
		const char *what = field ? text_of(parameters, field) : "";

		if (strcmp(error, varlink_errors[i].error) != 0)
			continue;
		vnet_err_set(err, varlink_errors[i].code, varlink_errors[i].name, "%s%s%s",
			     varlink_errors[i].before, what, varlink_errors[i].after);
		vnet_err_at(err, NULL, what);
		return varlink_errors[i].code;
	}
	return vnet_err_set(err, -EIO, VNET_E_FAILED, "vnetd answered %s", error);
}

static int from_reply(const char *error, const json_t *parameters, struct vnet_err *err)
{
	const char *text = text_of(parameters, "text");
	json_int_t number = json_integer_value(json_object_get(parameters, "errno"));
	int code;

	if (strncmp(error, "io.vnetd.", strlen("io.vnetd.")) != 0)
		return from_varlink(error, parameters, err);
	if (number < 0 && number >= -ERRNO_MAX)
		number = -number;
	code = number > 0 && number <= ERRNO_MAX ? -(int)number : -EIO;
	vnet_err_set(err, code, vnet_err_name_from(error), "%s", *text ? text : error);
	vnet_err_at(err, text_of(parameters, "knob"), text_of(parameters, "object"));
	return code;
}

int client_call(struct client *c, const char *method, const json_t *parameters, int timeout_ms,
		json_t **ret, struct vnet_fds *ret_fds, struct vnet_err *err)
{
	return client_call_fds(c, method, parameters, NULL, timeout_ms, ret, ret_fds, err);
}

int client_call_fds(struct client *c, const char *method, const json_t *parameters,
		    struct vnet_fds *sent, int timeout_ms, json_t **ret, struct vnet_fds *ret_fds,
		    struct vnet_err *err)
{
	int64_t deadline = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	_cleanup_json_ json_t *reply = NULL, *out = NULL;
	const json_t *error;
	json_t *p;
	int r;

	if (!c->wire)
		return vnet_err_set(err, -ENOTCONN, VNET_E_UNREACHABLE,
				    "the connection to vnetd at %s has ended", c->addr.sun_path);
	r = send_call(c, method, parameters, sent, deadline, err);
	if (r == 0)
		r = receive_reply(c, deadline, &reply, &fds, err);
	if (r == 0 && json_is_true(json_object_get(reply, "continues")))
		r = vnet_err_set(err, -EPROTO, VNET_E_FAILED,
				 "vnetd at %s announced more answers than were asked for",
				 c->addr.sun_path);
	if (r < 0) {
		c->wire = wire_free(c->wire);
		return vnet_err_wrap(err, "%s", method);
	}
	p = json_object_get(reply, "parameters");
	out = json_is_object(p) ? json_incref(p) : json_object();
	error = json_object_get(reply, "error");
	if (error)
		r = from_reply(json_is_string(error) ? json_string_value(error) : "no name", out,
			       err);
	if (ret)
		*ret = take_ptr(out);
	if (r == 0 && ret_fds) {
		*ret_fds = fds;
		fds = VNET_FDS_INIT;
	}
	return r;
}
