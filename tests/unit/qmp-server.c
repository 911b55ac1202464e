/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/qmp-server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/json.h"

#define EMPTY_PORT                                                          \
	"[{\"bus\":0,\"devices\":[{\"qdev_id\":\"\"},{\"qdev_id\":\"rp0\"," \
	"\"pci_bridge\":{\"devices\":[{}]}},{\"qdev_id\":\"rp1\","          \
	"\"pci_bridge\":{\"bus\":{}}}]}]"
#define BUSY_PORT \
	"[{\"bus\":0,\"devices\":[{\"qdev_id\":\"rp0\",\"pci_bridge\":{\"devices\":[{}]}}]}]"

void qmp_server_say(struct qmp_server *s, const char *text)
{
	size_t len = strlen(text);

	/* The client may be gone: that is its right. */
	if (s->fd >= 0 && send(s->fd, text, len, MSG_NOSIGNAL) < 0)
		s->io = sd_event_source_disable_unref(s->io);
}

bool qmp_server_has(const struct qmp_server *s, const char *thing)
{
	for (unsigned i = 0; i < s->n_things; i++) {
		if (strcmp(s->thing[i], thing) == 0)
			return true;
	}
	return false;
}

static void add(struct qmp_server *s, const char *kind, const char *id)
{
	assert_true(s->n_things < QS_MAX);
	snprintf(s->thing[s->n_things++], sizeof(s->thing[0]), "%s:%s", kind, id);
}

static bool take(struct qmp_server *s, const char *kind, const char *id)
{
	char thing[64];

	snprintf(thing, sizeof(thing), "%s:%s", kind, id);
	for (unsigned i = 0; i < s->n_things; i++) {
		if (strcmp(s->thing[i], thing) != 0)
			continue;
		s->n_things--;
		memmove(s->thing[i], s->thing[s->n_things], sizeof(s->thing[0]));
		return true;
	}
	return false;
}

static const char *word(const json_t *args, const char *field)
{
	return json_string_value(json_object_get(args, field)) ?: "";
}

/* "a:b": each is used up; false where one is none. */
static bool use(struct qmp_server *s, const char *names, bool keep)
{
	char text[512], *rest = text, *name;
	bool all = true;

	snprintf(text, sizeof(text), "%s", names);
	while ((name = strsep(&rest, ":")) && *name) {
		char thing[64];

		snprintf(thing, sizeof(thing), "fd:%s", name);
		all &= keep ? qmp_server_has(s, thing) : take(s, "fd", name);
	}
	return all;
}

static const char *const naming[] = { "fd", "fds", "vhostfd", "vhostfds" };

/* NULL: done; else QEMU's error. */
static const char *obey(struct qmp_server *s, const char *name, const json_t *args, unsigned n_fds,
			bool fail)
{
	char netdev[64];
	bool fds = true;

	if (strcmp(name, "getfd") == 0) {
		if (fail || n_fds != 1)
			return "\"class\":\"GenericError\",\"desc\":\"No file descriptor supplied "
			       "via SCM_RIGHTS\"";
		add(s, "fd", word(args, "fdname"));
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(naming); i++)
		fds &= use(s, word(args, naming[i]), fail && s->keep_names);
	if (fail || !fds)
		return "\"class\":\"GenericError\",\"desc\":\"no such luck\\u001b[31m\"";
	if (strcmp(name, "closefd") == 0)
		return take(s, "fd", word(args, "fdname"))
			       ? NULL
			       : "\"class\":\"GenericError\",\"desc\":\"File descriptor named 'x' "
				 "not found\"";
	if (strcmp(name, "netdev_add") == 0) {
		snprintf(netdev, sizeof(netdev), "chardev:%s", word(args, "chardev"));
		/* A real one would stand still where nobody is at it. */
		assert_true(!*word(args, "chardev") || (qmp_server_has(s, netdev) && !s->alone));
		add(s, "netdev", word(args, "id"));
	}
	if (strcmp(name, "netdev_del") == 0) /* its chardev goes along */
		take(s, "chardev", word(args, "id"));
	if (strcmp(name, "chardev-add") == 0)
		add(s, "chardev", word(args, "id"));
	if (strcmp(name, "chardev-remove") == 0 && !take(s, "chardev", word(args, "id")))
		return "\"class\":\"GenericError\",\"desc\":\"Chardev 'x' not found\"";
	if (strcmp(name, "object-add") == 0)
		add(s, "object", word(args, "id"));
	if (strcmp(name, "netdev_del") == 0 && !take(s, "netdev", word(args, "id")))
		return "\"class\":\"DeviceNotFound\",\"desc\":\"Device 'x' not found\"";
	if (strcmp(name, "object-del") == 0 && !take(s, "object", word(args, "id")))
		return "\"class\":\"GenericError\",\"desc\":\"object 'x' not found\"";
	if (strcmp(name, "device_add") == 0) {
		snprintf(netdev, sizeof(netdev), "netdev:%s", word(args, "netdev"));
		if (*word(args, "netdev") && !qmp_server_has(s, netdev))
			return "\"class\":\"GenericError\",\"desc\":\"no such netdev\"";
		add(s, "device", word(args, "id"));
	}
	return NULL;
}

static void deleted(struct qmp_server *s, const char *id)
{
	char text[256];

	take(s, "device", id);
	/* Others' events come as well. */
	qmp_server_say(s, "{\"event\":\"DEVICE_DELETED\",\"data\":{\"path\":\"/x\"}}\r\n"
			  "{\"event\":\"DEVICE_DELETED\",\"data\":{\"device\":\"other\"}}\r\n"
			  "{\"event\":\"STOP\"}\r\n");
	snprintf(text, sizeof(text),
		 "{\"event\":\"DEVICE_DELETED\",\"data\":{\"device\":\"%s\"}}\r\n", id);
	qmp_server_say(s, text);
}

static const char *device_del(struct qmp_server *s, const char *id)
{
	char thing[64];

	snprintf(thing, sizeof(thing), "device:%s", id);
	if (!qmp_server_has(s, thing))
		return "\"class\":\"DeviceNotFound\",\"desc\":\"Device 'x' not found\"";
	if (s->unplug == UNPLUG_BEFORE)
		deleted(s, id);
	return NULL;
}

static void answer(struct qmp_server *s, json_int_t id, const char *error, const char *result)
{
	char text[2048];

	snprintf(text, sizeof(text), "{\"id\": %lld, \"%s\": %s%s%s}\r\n", (long long)id,
		 error ? "error" : "return", error ? "{" : result, error ? error : "",
		 error ? "}" : "");
	qmp_server_say(s, text);
}

static const char *result_of(struct qmp_server *s, const char *name)
{
	if (strcmp(name, "query-pci") == 0)
		return s->busy_port ? BUSY_PORT : EMPTY_PORT;
	if (strcmp(name, "qom-list") == 0)
		return qmp_server_has(s, "device:vnetd-net0") ? "[{\"name\":\"vnetd-net0\"}]"
							      : "[{\"name\":\"type\"}]";
	if (strcmp(name, "query-memdev") == 0 && s->memory)
		return s->memory;
	if (strcmp(name, "query-chardev") != 0)
		return "{}";
	if (!s->alone)
		return "[{\"label\":\"other\",\"filename\":\"disconnected:unix:/y\"},"
		       "{\"label\":\"vnetd-net0\",\"filename\":\"unix:/x\"}]";
	s->alone--;
	return "[{\"label\":\"vnetd-net0\",\"filename\":\"disconnected:unix:/x\"}]";
}

static void serve(struct qmp_server *s, const json_t *msg, unsigned n_fds)
{
	const char *name = word(msg, "execute"), *error, *id;
	const json_t *args = json_object_get(msg, "arguments");
	json_int_t number = json_integer_value(json_object_get(msg, "id"));
	_cleanup_free_ char *text = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);
	bool here;

	if (strcmp(name, "qmp_capabilities") == 0) {
		answer(s, number, NULL, "{}");
		return;
	}
	assert_true(s->n_log < QS_MAX);
	if (strcmp(name, "getfd") == 0 && n_fds != 1)
		snprintf(s->log[s->n_log++], sizeof(s->log[0]), "getfd(%u)", n_fds);
	else
		snprintf(s->log[s->n_log++], sizeof(s->log[0]), "%s %s", name, text ? text : "");
	here = s->fail_at == (int)s->n_commands++;
	if (here && s->close_at) {
		qmp_server_stop(s);
		return;
	}
	id = word(args, "id");
	error = strcmp(name, "device_del") == 0 && !here
			? device_del(s, id)
			: obey(s, name, args, n_fds, here && !s->silent_at);
	if (here && s->silent_at)
		return;
	answer(s, number, error, result_of(s, name));
	if (strcmp(name, "device_del") == 0 && !error && s->unplug == UNPLUG_LATER)
		deleted(s, id);
	if (strcmp(name, "device_del") == 0 && !error && s->unplug == UNPLUG_REFUSED)
		qmp_server_say(s, "{\"event\":\"DEVICE_UNPLUG_GUEST_ERROR\",\"data\":{\"device\":"
				  "\"vnetd-net0\"}}\r\n");
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct qmp_server *s = user;
	union {
		struct cmsghdr header;
		char buf[CMSG_SPACE(sizeof(int) * 16)];
	} control;
	struct iovec iov = { s->in + s->len, sizeof(s->in) - s->len };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf) };
	ssize_t n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&mh) : NULL;
	unsigned n_fds = c ? (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int)) : 0;
	char *end;

	(void)source;
	(void)revents;
	if (n <= 0) {
		s->io = sd_event_source_disable_unref(s->io);
		return 0;
	}
	for (unsigned i = 0; i < n_fds; i++) {
		int got;

		memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
		close(got);
	}
	s->len += (size_t)n;
	while (s->fd >= 0 && (end = memchr(s->in, '\n', s->len))) {
		_cleanup_json_ json_t *msg = json_loadb(s->in, (size_t)(end - s->in), 0, NULL);

		assert_non_null(msg);
		s->len -= (size_t)(end + 1 - s->in);
		memmove(s->in, end + 1, s->len);
		serve(s, msg, n_fds);
		n_fds = 0;
	}
	return 0;
}

const char *qmp_server_commands(const struct qmp_server *s)
{
	static char all[QS_MAX * 32];

	all[0] = '\0';
	for (unsigned i = 0; i < s->n_log; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%.*s", i ? " " : "",
			 (int)strcspn(s->log[i], " "), s->log[i]);
	return all;
}

void qmp_server_start(struct qmp_server *s, sd_event *event, struct qmp **ret)
{
	struct vnet_err err = VNET_ERR_INIT;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	s->event = event;
	s->fd = pair[0];
	assert_true(sd_event_add_io(event, &s->io, s->fd, EPOLLIN, on_io, s) >= 0);
	if (!s->no_greeting)
		qmp_server_say(s, "{\"QMP\": {\"version\": {},\r\n \"capabilities\": [\"oob\"]}}"
				  "\r\n");
	if (ret)
		assert_int_equal(qmp_new(ret, event, pair[1], &err), 0);
	else
		close(pair[1]);
}

void qmp_server_stop(struct qmp_server *s)
{
	s->io = sd_event_source_disable_unref(s->io);
	s->fd = close_fd(s->fd);
}
