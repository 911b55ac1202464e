/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/err.h"

static void test_set_fills_and_returns(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	assert_int_equal(vnet_err_set(&err, -EBUSY, VNET_E_IN_USE, "vf %d is held", 3), -EBUSY);
	assert_int_equal(err.code, -EBUSY);
	assert_int_equal(err.name, VNET_E_IN_USE);
	assert_string_equal(err.text, "vf 3 is held");
	assert_string_equal(err.knob, "");
	assert_string_equal(err.object, "");
}

static void test_set_forgets_the_error_before(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	vnet_err_set(&err, -EBUSY, VNET_E_IN_USE, "first");
	vnet_err_at(&err, "driver", "0000:65:00.1");
	vnet_err_set(&err, -ENOENT, VNET_E_NOT_FOUND, "second");
	assert_string_equal(err.knob, "");
	assert_string_equal(err.object, "");
	assert_string_equal(err.text, "second");
}

static void test_errno_appends_the_reason(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	assert_int_equal(vnet_err_errno(&err, -EBUSY, "driver %s", "0000:65:00.4"), -EBUSY);
	assert_string_equal(err.text, "driver 0000:65:00.4: Device or resource busy");
	assert_int_equal(err.name, VNET_E_FAILED);
	vnet_err_errno(&err, -4000, "odd");
	assert_string_equal(err.text, "odd: error 4000");
}

static void test_null_is_accepted(void **state)
{
	(void)state;
	assert_int_equal(vnet_err_set(NULL, -EBUSY, VNET_E_FAILED, "x"), -EBUSY);
	assert_int_equal(vnet_err_errno(NULL, -ENOENT, "x"), -ENOENT);
	assert_true(vnet_err_wrap(NULL, "x") < 0);
	vnet_err_at(NULL, "a", "b");
}

static void test_a_failure_never_becomes_success(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	assert_int_equal(vnet_err_set(&err, 0, VNET_E_FAILED, "x"), -EIO);
	assert_int_equal(vnet_err_set(&err, EBUSY, VNET_E_FAILED, "x"), -EIO);
	assert_int_equal(err.code, -EIO);
	err = VNET_ERR_INIT;
	assert_int_equal(vnet_err_wrap(&err, "unset"), -EIO);
}

static void test_wrap_keeps_all_but_the_text(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	vnet_err_set(&err, -EBUSY, VNET_E_STUCK, "inner");
	vnet_err_at(&err, "driver", "0000:65:00.1");
	assert_int_equal(vnet_err_wrap(&err, "attach %s", "vm1/net0"), -EBUSY);
	assert_string_equal(err.text, "attach vm1/net0: inner");
	assert_int_equal(err.name, VNET_E_STUCK);
	assert_string_equal(err.knob, "driver");
	assert_string_equal(err.object, "0000:65:00.1");
}

static void test_text_of_itself(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	vnet_err_set(&err, -EBUSY, VNET_E_FAILED, "inner");
	vnet_err_at(&err, NULL, "obj");
	vnet_err_set(&err, -EIO, VNET_E_FAILED, "%s of %s", err.text, err.object);
	assert_string_equal(err.text, "inner of obj");
	vnet_err_wrap(&err, "%s", err.text);
	assert_string_equal(err.text, "inner of obj: inner of obj");
}

static void test_at_keeps_what_is_set(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	vnet_err_set(&err, -EBUSY, VNET_E_FAILED, "x");
	vnet_err_at(&err, NULL, "0000:65:00.1");
	vnet_err_at(&err, "driver", "vm1");
	assert_string_equal(err.knob, "driver");
	assert_string_equal(err.object, "0000:65:00.1");
}

static void test_long_text_is_cut_visibly(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;
	char longest[3000];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	vnet_err_set(&err, -EIO, VNET_E_FAILED, "%s", longest);
	assert_int_equal(strlen(err.text), VNET_ERR_TEXT_MAX - 1);
	assert_string_equal(err.text + VNET_ERR_TEXT_MAX - 4, "...");
	vnet_err_wrap(&err, "attach vm1");
	assert_int_equal(strlen(err.text), VNET_ERR_TEXT_MAX - 1);
	assert_memory_equal(err.text, "attach vm1: xxx", 15);
	assert_string_equal(err.text + VNET_ERR_TEXT_MAX - 4, "...");

	longest[VNET_ERR_TEXT_MAX - 1] = '\0';
	vnet_err_set(&err, -EIO, VNET_E_FAILED, "%s", longest);
	assert_string_equal(err.text, longest);
}

/* Every offset of the cut into two-byte characters: never half of one. */
static void test_cut_respects_utf8(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;
	char text[2 * VNET_ERR_TEXT_MAX];

	(void)state;
	for (unsigned shift = 0; shift < 2; shift++) {
		memset(text, 'x', shift);
		for (size_t i = shift; i + 2 < sizeof(text); i += 2)
			memcpy(text + i, "\xc3\xa4", 3);
		vnet_err_set(&err, -EIO, VNET_E_FAILED, "%s", text);
		assert_int_equal((strlen(err.text) - 3 - shift) % 2, 0);
		assert_string_equal(err.text + strlen(err.text) - 3, "...");
		assert_true(strlen(err.text) >= VNET_ERR_TEXT_MAX - 3);
	}
}

static void test_names_round_trip(void **state)
{
	char wire[64];

	(void)state;
	for (int i = 0; i < VNET_E_MAX; i++) {
		snprintf(wire, sizeof(wire), "io.vnetd.%s",
			 vnet_err_name_str((enum vnet_err_name)i));
		assert_int_equal(vnet_err_name_from(wire), i);
	}
	assert_string_equal(vnet_err_name_str(VNET_E_IN_USE), "InUse");
	assert_int_equal(vnet_err_name_from("io.vnetd.FromTheFuture"), VNET_E_FAILED);
	assert_int_equal(vnet_err_name_from("org.other.InUse"), VNET_E_FAILED);
	assert_int_equal(vnet_err_name_from("io.vnetd."), VNET_E_FAILED);
	assert_int_equal(vnet_err_name_from(NULL), VNET_E_FAILED);
	assert_string_equal(vnet_err_name_str(VNET_E_MAX), "Failed");
}

static void test_exit_codes(void **state)
{
	(void)state;
	assert_int_equal(vnet_err_exit_code(VNET_E_FAILED), 1);
	assert_int_equal(vnet_err_exit_code(VNET_E_INVALID), 2);
	assert_int_equal(vnet_err_exit_code(VNET_E_UNREACHABLE), 3);
	assert_int_equal(vnet_err_exit_code(VNET_E_NOTHING_SERVES), 4);
	assert_int_equal(vnet_err_exit_code(VNET_E_RESIDUE), 5);
	assert_int_equal(vnet_err_exit_code(VNET_E_DENIED), 1);
	assert_int_equal(vnet_err_exit_code((enum vnet_err_name)999), 1);
}

static void test_close_fd_keeps_errno(void **state)
{
	int fd = dup(0);

	(void)state;
	errno = ENOTTY;
	assert_int_equal(close_fd(-1), -1);
	assert_int_equal(close_fd(fd), -1);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(write(fd, "", 0), -1);
	assert_int_equal(errno, EBADF);
	errno = ENOTTY;
	close_fd(fd);
	assert_int_equal(errno, ENOTTY);
}

static void test_take_leaves_nothing(void **state)
{
	char *p = strdup("x"), *q;
	int fd = 7;

	(void)state;
	q = take_ptr(p);
	assert_null(p);
	assert_string_equal(q, "x");
	free(q);
	assert_int_equal(take_fd(&fd), 7);
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_fills_and_returns),
		cmocka_unit_test(test_set_forgets_the_error_before),
		cmocka_unit_test(test_errno_appends_the_reason),
		cmocka_unit_test(test_null_is_accepted),
		cmocka_unit_test(test_a_failure_never_becomes_success),
		cmocka_unit_test(test_wrap_keeps_all_but_the_text),
		cmocka_unit_test(test_text_of_itself),
		cmocka_unit_test(test_at_keeps_what_is_set),
		cmocka_unit_test(test_long_text_is_cut_visibly),
		cmocka_unit_test(test_cut_respects_utf8),
		cmocka_unit_test(test_names_round_trip),
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_close_fd_keeps_errno),
		cmocka_unit_test(test_take_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
