/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of an attach's time, and what the interface says of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/methods.h"
#include "daemon/timing.h"
#include "lib/json.h"

#define NAP_USEC 20000

static void nap(void)
{
	nanosleep(&(const struct timespec){ .tv_nsec = NAP_USEC * 1000L }, NULL);
}

static int64_t of(const json_t *j, const char *field)
{
	const json_t *v = json_object_get(j, field);

	assert_true(json_is_integer(v));
	return json_integer_value(v);
}

static void parts_make_the_whole(void **state)
{
	_cleanup_json_ json_t *j = NULL;
	struct timing t;

	(void)state;
	timing_begin(&t);
	timing_switch(&t, TIMING_KERNEL);
	nap();
	nap();
	timing_switch(&t, TIMING_LIBVIRT);
	nap();
	timing_switch(&t, TIMING_VNETD);
	timing_switch(&t, TIMING_KERNEL);
	nap();
	timing_switch(&t, TIMING_VNETD);
	j = timing_json(&t);
	assert_true(of(j, "kernelUsec") >= 3 * NAP_USEC);
	assert_true(of(j, "libvirtUsec") >= NAP_USEC);
	assert_true(of(j, "vnetdUsec") >= 0);
	assert_int_equal(of(j, "kernelUsec") + of(j, "libvirtUsec") + of(j, "vnetdUsec"),
			 of(j, "totalUsec"));
	/* waiting is no computing */
	assert_true(of(j, "cpuUsec") < of(j, "totalUsec"));
}

/* What goes on until it is told belongs to who had it last. */
static void the_last_part_is_counted(void **state)
{
	_cleanup_json_ json_t *j = NULL;
	struct timing t;

	(void)state;
	timing_begin(&t);
	timing_switch(&t, TIMING_LIBVIRT);
	nap();
	j = timing_json(&t);
	assert_true(of(j, "libvirtUsec") >= NAP_USEC);
}

/* An attachment that was adopted has no attach of ours. */
static void nobody_times_it(void **state)
{
	struct timing t = { 0 };
	_cleanup_json_ json_t *j = NULL;
	const char *field;
	const json_t *value;

	(void)state;
	timing_switch(NULL, TIMING_KERNEL);
	timing_switch(&t, TIMING_KERNEL);
	j = timing_json(&t);
	json_object_foreach ((json_t *)j, field, value)
		assert_int_equal(json_integer_value(value), 0);
}

static void as_the_interface_says(void **state)
{
	const char *text = varlink_interface_text("io.vnetd"), *type, *end, *field;
	_cleanup_json_ json_t *j = NULL;
	struct timing t;
	const json_t *value;
	size_t colons = 0;

	(void)state;
	timing_begin(&t);
	j = timing_json(&t);
	type = strstr(text, "\ntype Timing (");
	assert_non_null(type);
	end = strchr(type, ')');
	assert_non_null(end);
	for (const char *p = type; p < end; p++)
		colons += *p == ':';
	assert_int_equal(colons, json_object_size(j));
	json_object_foreach (j, field, value) {
		char line[64];
		const char *at;

		snprintf(line, sizeof(line), "\n  %s: int", field);
		at = strstr(type, line);
		assert_true(at && at < end);
	}
	assert_non_null(strstr(text, "-> (attachment: Attachment, verdicts: ?[]Verdict, "
				     "timing: Timing)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_make_the_whole),
		cmocka_unit_test(the_last_part_is_counted),
		cmocka_unit_test(nobody_times_it),
		cmocka_unit_test(as_the_interface_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
