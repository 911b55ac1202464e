/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/server-client.h"

#include <sys/un.h>

/* One test at a time. */
struct call *held_calls[HELD_MAX];
size_t n_held;

void hold_call(struct manager *m, struct call *c)
{
	(void)m;
	assert_true(n_held < HELD_MAX);
	held_calls[n_held++] = c;
}

void end_held(void)
{
	struct call *c = held_calls[0];

	assert_true(n_held > 0);
	memmove(held_calls, held_calls + 1, --n_held * sizeof(*held_calls));
	call_reply(c, json_deep_copy(call_parameters(c)));
}

int server_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/test-server-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/socket", f->dir);
	assert_true(sd_event_new(&f->event) >= 0);
	assert_int_equal(server_new(&f->server, f->event, NULL, f->path, NULL), 0);
	n_held = 0;
	*state = f;
	return 0;
}

int server_teardown(void **state)
{
	struct fixture *f = *state;

	server_free(f->server);
	sd_event_unref(f->event);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

void pump(struct fixture *f)
{
	while (sd_event_run(f->event, 0) > 0)
		;
}

int dial(const struct fixture *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, f->path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

void say(int fd, const char *text)
{
	size_t len = strlen(text) + 1;

	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

bool silent(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

bool hung_up(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

json_t *hear(struct fixture *f, int fd)
{
	char *text = NULL;
	size_t len = 0, size = 0;
	json_t *j;

	for (;;) {
		ssize_t n;

		if (len == size) {
			size = size ? 2 * size : 4096;
			text = realloc(text, size);
			assert_non_null(text);
		}
		n = recv(fd, text + len, 1, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) {
			assert_true(sd_event_run(f->event, 1000000) > 0);
			continue;
		}
		assert_int_equal(n, 1);
		if (!text[len++])
			break;
	}
	j = json_loads(text, 0, NULL);
	assert_non_null(j);
	free(text);
	return j;
}

void expect_error(struct fixture *f, int fd, const char *error, const char *field,
		  const char *value)
{
	_cleanup_json_ json_t *j = hear(f, fd);
	const json_t *p = json_object_get(j, "parameters");

	assert_string_equal(json_string_value(json_object_get(j, "error")), error);
	if (field)
		assert_string_equal(json_string_value(json_object_get(p, field)), value);
}

void expect_n(struct fixture *f, int fd, int n)
{
	_cleanup_json_ json_t *j = hear(f, fd);

	assert_null(json_object_get(j, "error"));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "parameters"), "n")),
			 n);
}

void say_n(int fd, int n, const char *more)
{
	char text[128];

	snprintf(text, sizeof(text), "{\"method\":\"x.y\",\"parameters\":{\"n\":%d}%s}", n, more);
	say(fd, text);
}

void reply_at_once(struct manager *m, struct call *c)
{
	hold_call(m, c);
	end_held();
}
