/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The protocol, against servers that do what a real one seldom does. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/host/ovsdb.h"
#include "lib/json.h"
#include "tests/unit/host-tree.h"

#define RESULT "{\"id\":1,\"result\":[{\"rows\":[{\"name\":\"br0\"}]}],\"error\":null}"

static struct tree t;
static struct vnet_err err;
static pid_t server;
static int listener;

static int setup(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	(void)state;
	err = VNET_ERR_INIT;
	tree_new(&t);
	tree_open(&t);
	tree_dir(&t, "run/openvswitch");
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/run/openvswitch/db.sock", t.dir);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 0), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	server = 0;
	close_fd(listener);
	tree_free(&t);
	return 0;
}

/* A server in a process of its own: @talk has one connection. */
static void serve(void (*talk)(int fd))
{
	server = fork();
	assert_true(server >= 0);
	if (server > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	talk(accept(listener, NULL, NULL));
	_exit(0);
}

static void say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		_exit(1);
}

/* What the client sent, until @end is in it. */
static void hear(int fd, char *buf, size_t size, const char *end)
{
	size_t n = 0;

	buf[0] = '\0';
	while (!strstr(buf, end)) {
		ssize_t got = read(fd, buf + n, size - 1 - n);

		if (got <= 0)
			_exit(1);
		n += (size_t)got;
		buf[n] = '\0';
	}
}

static int ask(unsigned ms, json_t **ret)
{
	_cleanup_ovsdb_ struct ovsdb *o = NULL;
	int r = ovsdb_open(t.k, ms, &o, &err);

	return r < 0 ? r : ovsdb_transact(o, json_pack("[s]", "Open_vSwitch"), ret, &err);
}

static void assert_fails(void (*talk)(int fd), int code, const char *text)
{
	_cleanup_json_ json_t *results = NULL;

	serve(talk);
	assert_int_equal(ask(500, &results), code);
	assert_null(results);
	if (!strstr(err.text, text))
		fail_msg("not in \"%s\": %s", err.text, text);
}

/* A notification, an answer to nobody, a question, the answer: in pieces, and more than
 * one in one. It comes only if the question was answered. */
static void talk_much(int fd)
{
	char buf[4096];

	hear(fd, buf, sizeof(buf), "\"transact\"");
	say(fd, "{\"id\":null,\"method\":\"update\",\"params\":[]}{\"id\":7,\"result\":[],");
	usleep(20000);
	say(fd, "\"error\":null}\n{\"id\":\"echo\",\"method\":\"echo\",\"params\":[\"hello\"]}");
	hear(fd, buf, sizeof(buf), "hello");
	if (!strstr(buf, "\"id\":\"echo\"") || !strstr(buf, "\"result\":[\"hello\"]"))
		_exit(1);
	say(fd, RESULT "{\"id\":");
	pause();
}

static void test_what_comes_between(void **state)
{
	_cleanup_json_ json_t *results = NULL;

	(void)state;
	serve(talk_much);
	if (ask(10000, &results) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(json_string_value(json_object_get(ovsdb_row(results, 0, 0), "name")),
			    "br0");
	assert_null(ovsdb_row(results, 0, 1));
	assert_null(ovsdb_row(results, 1, 0));
}

static void talk_nothing(int fd)
{
	(void)fd;
	pause();
}

static void talk_half(int fd)
{
	say(fd, "{\"id\":1,\"result\":[{\"rows\":");
	pause();
}

/* Never silent, and never an answer. */
static void talk_on(int fd)
{
	for (;;) {
		say(fd, "{\"id\":null,\"method\":\"update\",\"params\":[]}");
		usleep(1000);
	}
}

static void test_no_answer(void **state)
{
	(void)state;
	assert_fails(talk_nothing, -ETIMEDOUT, "does not answer: systemctl status");
	teardown(state);
	setup(state);
	assert_fails(talk_half, -ETIMEDOUT, "does not answer");
	teardown(state);
	setup(state);
	assert_fails(talk_on, -ETIMEDOUT, "does not answer");
}

/* The backlog is full, so that connect() itself would wait. */
static void test_nobody_accepts(void **state)
{
	struct ovsdb *o[8] = { NULL };
	int r = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(o) && r == 0; i++)
		r = ovsdb_open(t.k, 200, &o[i], &err);
	for (size_t i = 0; i < ARRAY_SIZE(o); i++)
		ovsdb_close(o[i]);
	assert_int_equal(r, -ETIMEDOUT);
	assert_non_null(strstr(err.text, "does not answer"));
}

static void talk_short(int fd)
{
	char buf[4096];

	hear(fd, buf, sizeof(buf), "\"transact\"");
	say(fd, "{\"id\":1,");
}

static void talk_rubbish(int fd)
{
	say(fd, "HTTP/1.0 400 Bad Request\r\n");
	pause();
}

/* A string without end. */
static void talk_without_end(int fd)
{
	char text[8192];

	memset(text, 'x', sizeof(text) - 1);
	text[0] = '"';
	text[sizeof(text) - 1] = '\0';
	for (say(fd, "{\"id\":1,\"result\":");; text[0] = 'x')
		say(fd, text);
}

static void talk_odd(int fd)
{
	say(fd, "[1,2]{\"id\":1,\"result\":null,\"error\":null}");
	pause();
}

static void talk_refusal(int fd)
{
	say(fd, "{\"id\":1,\"result\":null,\"error\":{\"error\":\"no\\u001b[1m db\"}}");
	pause();
}

static void talk_failed_operation(int fd)
{
	say(fd, "{\"id\":1,\"result\":[{},{\"error\":\"constraint violation\",\"details\":"
		"\"two of \\u009bthem\"},null],\"error\":null}");
	pause();
}

static void talk_failed_wait(int fd)
{
	say(fd, "{\"id\":1,\"result\":[{\"error\":\"timed out\"},null],\"error\":null}");
	pause();
}

static void test_bad_answers(void **state)
{
	static const struct {
		void (*talk)(int fd);
		int code;
		const char *text;
	} rows[] = {
		{ talk_short, -EPIPE, "closed the connection" },
		{ talk_rubbish, -EPROTO, "is no JSON" },
		{ talk_without_end, -EMSGSIZE, "Message too long" },
		{ talk_odd, -EPROTO, "without a result" },
		{ talk_refusal, -EPROTO, "Open vSwitch refuses: {\"error\":\"no\\u001" },
		{ talk_failed_operation, -EEXIST, "constraint violation: two of ??them" },
		{ talk_failed_wait, -ENOENT, "timed out" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_fails(rows[i].talk, rows[i].code, rows[i].text);
		teardown(state);
		setup(state);
	}
}

static void test_notation(void **state)
{
	_cleanup_json_ json_t *row = json_loads(
		"{\"none\":[\"set\",[]],\"one\":5,\"two\":[\"set\",[5,6]],\"uuid\":[\"uuid\",\"u\"],"
		"\"uuids\":[\"set\",[[\"uuid\",\"u\"],[\"uuid\",\"v\"]]],"
		"\"map\":[\"map\",[[\"a\",\"1\"],[\"b\",\"2\"]]]}",
		0, NULL);
	char text[4];

	(void)state;
	assert_int_equal(ovsdb_set_size(json_object_get(row, "none")), 0);
	assert_int_equal(ovsdb_set_size(NULL), 0);
	assert_int_equal(ovsdb_set_size(json_object_get(row, "one")), 1);
	assert_int_equal(ovsdb_set_size(json_object_get(row, "uuid")), 1);
	assert_int_equal(json_integer_value(ovsdb_set_at(json_object_get(row, "one"), 0)), 5);
	assert_null(ovsdb_set_at(json_object_get(row, "one"), 1));
	assert_int_equal(json_integer_value(ovsdb_set_at(json_object_get(row, "two"), 1)), 6);
	assert_string_equal(ovsdb_uuid(ovsdb_set_at(json_object_get(row, "uuids"), 1)), "v");
	assert_string_equal(ovsdb_uuid(json_object_get(row, "one")), "");
	assert_string_equal(ovsdb_map_get(json_object_get(row, "map"), "b"), "2");
	assert_null(ovsdb_map_get(json_object_get(row, "map"), "c"));
	assert_null(ovsdb_map_get(NULL, "c"));
	ovsdb_text(json_object_get(row, "one"), text, sizeof(text));
	assert_string_equal(text, "");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_what_comes_between), CASE(test_no_answer), CASE(test_nobody_accepts),
		CASE(test_bad_answers),	       CASE(test_notation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
