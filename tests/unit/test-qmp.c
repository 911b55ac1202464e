/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The protocol itself: order, descriptors, deadlines, and peers that are no QEMU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/unit/qmp-server.h"

struct fixture {
	sd_event *event;
	struct qmp *q;
	struct qmp_server s;
	int done, last, closed, events;
	bool free_in_callback;
	char text[VNET_ERR_TEXT_MAX], order[64];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_true(sd_event_new(&f->event) >= 0);
	f->s.fail_at = -1;
	f->s.fd = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	qmp_free(f->q);
	qmp_server_stop(&f->s);
	sd_event_unref(f->event);
	free(f);
	return 0;
}

static void on_event(void *user, const char *name, const json_t *data)
{
	struct fixture *f = user;

	(void)name;
	(void)data;
	f->events++;
}

static void on_closed(void *user, struct vnet_err *err)
{
	struct fixture *f = user;

	f->closed++;
	snprintf(f->text, sizeof(f->text), "%s", err->text);
}

static void done(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct fixture *f = user;

	assert_int_equal(r == 0, result != NULL);
	f->done++;
	f->last = r;
	snprintf(f->text, sizeof(f->text), "%s", err->text);
	if (f->free_in_callback)
		f->q = qmp_free(f->q);
}

static void start(struct fixture *f)
{
	const struct qmp_watcher w = { on_event, on_closed, f };

	qmp_server_start(&f->s, f->event, &f->q);
	qmp_watch(f->q, &w);
}

static int run(struct fixture *f, const char *what, int fd, unsigned ms)
{
	struct vnet_err err = VNET_ERR_INIT;

	return qmp_run(f->q, what,
		       strstr(what, "fd") ? json_pack("{s:s}", "fdname", "x") : json_object(), fd,
		       ms, done, f, &err);
}

static void pump(struct fixture *f, const int *count, int until)
{
	for (int i = 0; i < 300 && *count < until; i++)
		sd_event_run(f->event, 10000);
	assert_int_equal(*count, until);
}

static bool is_open(int reading)
{
	char c;

	return read(reading, &c, 1) < 0 && errno == EAGAIN;
}

static void test_order_and_descriptors(void **state)
{
	struct fixture *f = *state;
	int p[2];

	start(f);
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(run(f, "stop", -1, 1000), 0);
	assert_int_equal(run(f, "getfd", p[1], 1000), 0);
	assert_int_equal(run(f, "getfd", -1, 1000), 0);
	assert_int_equal(run(f, "closefd", -1, 1000), 0);
	assert_int_equal(f->done, 0); /* nothing from within */
	pump(f, &f->done, 2);
	assert_false(is_open(p[0])); /* neither here nor, since it closes them, there */
	pump(f, &f->done, 3);
	assert_int_equal(f->last, -EREMOTEIO);
	assert_non_null(strstr(f->text, "getfd: No file descriptor"));
	pump(f, &f->done, 4);
	assert_int_equal(f->last, 0);
	assert_string_equal(qmp_server_commands(&f->s), "stop getfd getfd(0) closefd");
	close(p[0]);
}

static void test_words_of_qemu_are_cleaned(void **state)
{
	struct fixture *f = *state;

	f->s.fail_at = 0;
	start(f);
	run(f, "stop", -1, 1000);
	pump(f, &f->done, 1);
	assert_int_equal(f->last, -EREMOTEIO);
	assert_non_null(strstr(f->text, "QEMU refuses stop: no such luck?[31m"));
}

static void test_an_answer_too_late_is_nobodys(void **state)
{
	struct fixture *f = *state;

	f->s.fail_at = 0;
	f->s.silent_at = true;
	start(f);
	run(f, "stop", -1, 50);
	run(f, "cont", -1, 2000);
	pump(f, &f->done, 1);
	assert_int_equal(f->last, -ETIMEDOUT);
	qmp_server_say(&f->s, "{\"error\": {}, \"id\": 2}\r\n{\"error\": {}}\r\n");
	pump(f, &f->done, 2);
	assert_int_equal(f->last, 0);
	assert_string_equal(qmp_server_commands(&f->s), "stop cont");
	assert_int_equal(f->closed, 0);
}

static void test_hang_up(void **state)
{
	struct fixture *f = *state;

	f->s.fail_at = 1;
	f->s.close_at = true;
	start(f);
	for (int i = 0; i < 4; i++)
		run(f, "stop", -1, 1000);
	pump(f, &f->closed, 1);
	assert_int_equal(f->done, 4);
	assert_int_equal(f->last, -EPIPE);
	assert_int_equal(run(f, "stop", -1, 1000), -EPIPE);
	assert_int_equal(f->closed, 1);
}

static void test_free_tells_all(void **state)
{
	struct fixture *f = *state;
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	start(f);
	run(f, "stop", -1, 1000);
	run(f, "getfd", p[1], 1000);
	f->q = qmp_free(f->q);
	assert_int_equal(f->done, 2);
	assert_int_equal(f->last, -ECANCELED);
	assert_int_equal(f->closed, 1);
	assert_false(is_open(p[0]));
	close(p[0]);
}

static void test_free_from_within(void **state)
{
	struct fixture *f = *state;

	start(f);
	f->free_in_callback = true;
	run(f, "stop", -1, 1000);
	run(f, "stop", -1, 1000);
	pump(f, &f->closed, 1);
	assert_int_equal(f->done, 2);
	assert_null(f->q);
}

static void test_what_is_no_qemu(void **state)
{
	static const char *const junk[] = {
		"SSH-2.0-OpenSSH\r\n",
		"{\"QMP\": {}}\r\n{]\r\n",
		"[[[[\r\n]]]}\r\n",
		"\xff\xfe\r\n",
	};
	struct fixture *f = *state;

	f->s.no_greeting = true;
	for (size_t i = 0; i < ARRAY_SIZE(junk); i++) {
		f->closed = f->done = 0;
		start(f);
		run(f, "stop", -1, 1000);
		qmp_server_say(&f->s, junk[i]);
		pump(f, &f->closed, 1);
		assert_int_equal(f->done, 1);
		assert_int_equal(f->last, -EPIPE);
		assert_non_null(strstr(f->text, "not QMP"));
		f->q = qmp_free(f->q);
		qmp_server_stop(&f->s);
	}
}

static void test_too_long(void **state)
{
	struct fixture *f = *state;
	char text[4096];

	start(f);
	run(f, "stop", -1, 1000);
	pump(f, &f->done, 1);
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "{\"event\":\"", 10);
	for (int i = 0; i < 100 && !f->closed; i++) {
		qmp_server_say(&f->s, text);
		sd_event_run(f->event, 0);
		memset(text, 'x', sizeof(text) - 1);
	}
	pump(f, &f->closed, 1);
	assert_non_null(strstr(f->text, "too long"));
}

static void test_events(void **state)
{
	struct fixture *f = *state;

	start(f);
	for (int i = 0; i < 200; i++)
		qmp_server_say(&f->s, "{\"event\":\"NIC_RX_FILTER_CHANGED\",\"data\":{}}\r\n");
	run(f, "stop", -1, 1000);
	pump(f, &f->events, 200);
	pump(f, &f->done, 1);
	assert_int_equal(f->last, 0);
}

static void test_other_descriptors(void **state)
{
	struct fixture *f = *state;
	struct vnet_err err = VNET_ERR_INIT;
	int pair[2];

	assert_int_equal(qmp_new(&f->q, f->event, open("/dev/null", O_RDWR | O_CLOEXEC), &err),
			 -ENOTSOCK);
	assert_int_equal(qmp_new(&f->q, f->event, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
				 &err),
			 -EINVAL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[0]);
	assert_int_equal(qmp_new(&f->q, f->event, pair[1], &err), -EINVAL);
	assert_int_equal(qmp_new(&f->q, f->event, -1, &err), -EBADF);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_order_and_descriptors),
		CASE(test_words_of_qemu_are_cleaned),
		CASE(test_an_answer_too_late_is_nobodys),
		CASE(test_hang_up),
		CASE(test_free_tells_all),
		CASE(test_free_from_within),
		CASE(test_what_is_no_qemu),
		CASE(test_too_long),
		CASE(test_events),
		CASE(test_other_descriptors),
	};

	return cmocka_run_group_tests_name("qmp", tests, NULL, NULL);
}
