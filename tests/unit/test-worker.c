/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The workers' parent side, with scripts in the place of the binary: one that never
 * answers, one that dies. What a real worker answers the flow tests see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/worker.h"
#include "lib/cleanup.h"

struct fixture {
	char dir[32], exe[64];
	sd_event *event;
	struct workers *workers;
	int calls, last;
	enum vnet_err_name name;
	char text[VNET_ERR_TEXT_MAX];
};

static void done(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct fixture *f = user;

	(void)result;
	f->calls++;
	f->last = r;
	f->name = err->name;
	snprintf(f->text, sizeof(f->text), "%s", err->text);
}

static struct fixture *fixture_new(const char *script)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct fixture *f = calloc(1, sizeof(*f));
	FILE *file;

	assert_non_null(f);
	strcpy(f->dir, "/tmp/test-worker.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->exe, sizeof(f->exe), "%s/exe", f->dir);
	file = fopen(f->exe, "we");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", script);
	fclose(file);
	assert_int_equal(chmod(f->exe, 0700), 0);
	assert_true(sd_event_new(&f->event) >= 0);
	assert_int_equal(workers_new(&f->workers, f->event, f->exe, "/", f->dir, &err), 0);
	return f;
}

static void fixture_free(struct fixture *f)
{
	workers_free(f->workers);
	sd_event_unref(f->event);
	unlink(f->exe);
	rmdir(f->dir);
	free(f);
}

static void call(struct fixture *f, const char *lane)
{
	struct vnet_err err = VNET_ERR_INIT;

	assert_int_equal(workers_call(f->workers, lane, "set",
				      json_pack("{s:s,s:s,s:s}", "knob", "vf-mac", "object", "o",
						"value", "v"),
				      200, done, f, &err),
			 0);
}

static void run_until(struct fixture *f, int calls)
{
	for (int i = 0; i < 200 && f->calls < calls; i++)
		assert_true(sd_event_run(f->event, 100000) >= 0);
	assert_int_equal(f->calls, calls);
}

static void test_deadline_makes_the_lane_stuck(void **state)
{
	struct fixture *f = fixture_new("exec sleep 1");
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	call(f, "0000:01:00.0");
	call(f, "0000:01:00.0"); /* waits behind the first */
	assert_int_equal(f->calls, 0);
	run_until(f, 2);
	assert_int_equal(f->last, -ETIMEDOUT);
	assert_int_equal(f->name, VNET_E_STUCK);
	assert_non_null(strstr(f->text, "setting vf-mac of o to v"));
	assert_non_null(workers_stuck(f->workers, "0000:01:00.0"));
	/* at once, and for this lane alone */
	assert_int_equal(workers_call(f->workers, "0000:01:00.0", "get", json_object(), 200, done,
				      f, &err),
			 -ETIMEDOUT);
	assert_null(workers_stuck(f->workers, "0000:02:00.0"));
	/* the worker ends: the lane is open again */
	for (int i = 0; i < 100 && workers_stuck(f->workers, "0000:01:00.0"); i++)
		sd_event_run(f->event, 100000);
	assert_null(workers_stuck(f->workers, "0000:01:00.0"));
	fixture_free(f);
}

static void test_death_is_an_error_not_a_hang(void **state)
{
	struct fixture *f = fixture_new("exit 3");

	(void)state;
	call(f, "scan");
	run_until(f, 1);
	assert_true(f->last == -EPIPE);
	assert_non_null(strstr(f->text, "died"));
	call(f, "scan"); /* and the next call gets a worker of its own */
	run_until(f, 2);
	fixture_free(f);
}

/* Whoever dies with nothing to do is not missed: the call that finds it dead goes to
 * another, and is answered. */
static void test_death_while_idle(void **state)
{
	struct fixture *f = fixture_new("dd bs=1 count=1 <&3 >/dev/null 2>&1\n"
					"printf '{\"id\":1,\"result\":{}}\\000' >&3\n"
					"exec sleep 0.1");

	(void)state;
	call(f, "scan");
	run_until(f, 1);
	assert_int_equal(f->last, 0);
	usleep(400000); /* it is dead, and the loop has not looked */
	call(f, "scan");
	run_until(f, 2);
	assert_int_equal(f->last, 0);
	fixture_free(f);
}

/* Gone before it was written to, and before it could be watched. */
static void test_death_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct fixture *f = fixture_new("kill -9 $$");

		call(f, "scan");
		run_until(f, 1);
		assert_int_equal(f->last, -EPIPE);
		assert_non_null(strstr(f->text, "died"));
		fixture_free(f);
	}
}

static void test_forget(void **state)
{
	struct fixture *f = fixture_new("exit 3");

	(void)state;
	call(f, "scan");
	workers_forget(f->workers, f);
	for (int i = 0; i < 5; i++)
		sd_event_run(f->event, 50000);
	assert_int_equal(f->calls, 0);
	fixture_free(f);
}

/* ---- descriptors ---- */

/* Answers once with the writing end of a pipe, whose reading end is DIR/fifo's. */
#define SEND_FIFO                                             \
	"exec python3 -c 'import socket, os, sys, time\n"     \
	"s = socket.socket(fileno=3)\n"                       \
	"s.recv(4096)\n"                                      \
	"f = os.open(sys.argv[1] + \"/fifo\", os.O_WRONLY)\n" \
	"time.sleep(%s)\n"                                    \
	"socket.send_fds(s, [%s], [f])\n"                     \
	"os.close(f)\n"                                       \
	"s.recv(1)' \"${0%%/*}\""
#define RESULT "b\"{\\\"id\\\":1,\\\"result\\\":{}}\\0\""
#define ERROR "b\"{\\\"id\\\":1,\\\"error\\\":{\\\"code\\\":-5}}\\0\""

static size_t fds_came;
static bool take_them;

static void done_fds(void *user, int r, const json_t *result, struct vnet_fds *fds,
		     struct vnet_err *err)
{
	fds_came = fds->n;
	if (take_them && fds->n > 0)
		close_fd(vnet_fds_take(fds, 0));
	done(user, r, result, err);
}

static int fifo_open(struct fixture *f, char path[static 64])
{
	snprintf(path, 64, "%s/fifo", f->dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

/* Until nobody has its writing end any more. */
static void run_until_closed(struct fixture *f, int fifo)
{
	char c;

	for (int i = 0; i < 200 && read(fifo, &c, 1) < 0; i++)
		sd_event_run(f->event, 20000);
	assert_int_equal(read(fifo, &c, 1), 0);
}

static void call_for_fds(const char *delay, const char *answer, unsigned deadline_ms, int r,
			 size_t came)
{
	char text[1024], path[64];
	struct vnet_err err = VNET_ERR_INIT;
	struct fixture *f;
	int fifo;

	snprintf(text, sizeof(text), SEND_FIFO, delay, answer);
	f = fixture_new(text);
	fifo = fifo_open(f, path);
	fds_came = 99;
	assert_int_equal(workers_call_fds(f->workers, "net", "open", json_object(), deadline_ms,
					  done_fds, f, &err),
			 0);
	run_until(f, 1);
	assert_int_equal(f->last, r);
	assert_int_equal(fds_came, came);
	run_until_closed(f, fifo);
	assert_int_equal(f->calls, 1);
	close_fd(fifo);
	unlink(path);
	fixture_free(f);
}

static void test_descriptors(void **state)
{
	(void)state;
	call_for_fds("0", RESULT, 20000, 0, 1); /* left in the set */
	take_them = true;
	call_for_fds("0", RESULT, 20000, 0, 1);
	take_them = false;
	call_for_fds("0", ERROR, 20000, -EIO, 0);
	/* Too late for the one who asked: closed all the same. */
	call_for_fds("1", RESULT, 300, -ETIMEDOUT, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deadline_makes_the_lane_stuck),
		cmocka_unit_test(test_death_is_an_error_not_a_hang),
		cmocka_unit_test(test_death_while_idle),
		cmocka_unit_test(test_death_at_once),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
