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
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/worker.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deadline_makes_the_lane_stuck),
		cmocka_unit_test(test_death_is_an_error_not_a_hang),
		cmocka_unit_test(test_death_while_idle),
		cmocka_unit_test(test_death_at_once),
		cmocka_unit_test(test_forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
