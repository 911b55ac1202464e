/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/json.h"

static void test_order(void **state)
{
	char o[OPTIONS_MAX] = "", key[OPTION_KEY_MAX], value[OPTION_VALUE_MAX];

	(void)state;
	assert_int_equal(options_add(o, "queues", "2"), 0);
	assert_int_equal(options_add(o, "model", "virtio"), 0);
	assert_int_equal(options_add(o, "socket", "/run/x/vu0"), 0);
	assert_int_equal(options_add(o, "mtu", "9000"), 0);
	assert_string_equal(o, "model=virtio mtu=9000 queues=2 socket=/run/x/vu0");
	assert_int_equal(options_add(o, "queues", "16"), 0);
	assert_string_equal(o, "model=virtio mtu=9000 queues=16 socket=/run/x/vu0");
	assert_int_equal(options_check(o), 0);
	assert_int_equal(options_get(o, "queues", value, sizeof(value)), 2);
	assert_string_equal(value, "16");
	/* A key is not found by the beginning of another, nor by a value. */
	assert_int_equal(options_get(o, "queue", value, sizeof(value)), -ENOENT);
	assert_int_equal(options_get(o, "virtio", value, sizeof(value)), -ENOENT);
	assert_int_equal(options_key(o, 3, key), 0);
	assert_string_equal(key, "socket");
	assert_int_equal(options_key(o, 4, key), -ENOENT);
}

static void test_numbers(void **state)
{
	static const char o[] = "a=0 b=17 c=x d=-1 e=3x";

	(void)state;
	assert_int_equal(options_get_number(o, "b", 1, 17, 1), 17);
	assert_int_equal(options_get_number(o, "b", 1, 16, 1), -EINVAL);
	assert_int_equal(options_get_number(o, "a", 1, 17, 1), -EINVAL);
	assert_int_equal(options_get_number(o, "c", 1, 17, 1), -EINVAL);
	assert_int_equal(options_get_number(o, "d", -5, 17, 1), -EINVAL);
	assert_int_equal(options_get_number(o, "e", 1, 17, 1), -EINVAL);
	assert_int_equal(options_get_number(o, "f", 1, 17, 9), 9);
}

static void test_grammar(void **state)
{
	char o[OPTIONS_MAX] = "a=1", long_value[OPTION_VALUE_MAX + 1];

	(void)state;
	memset(long_value, 'x', sizeof(long_value));
	long_value[OPTION_VALUE_MAX] = '\0';
	assert_int_equal(options_add(o, "", "1"), -EINVAL);
	assert_int_equal(options_add(o, "A", "1"), -EINVAL);
	assert_int_equal(options_add(o, "1a", "1"), -EINVAL);
	assert_int_equal(options_add(o, "abcdefghijklmnopq", "1"), -EINVAL);
	assert_int_equal(options_add(o, "b", ""), -EINVAL);
	assert_int_equal(options_add(o, "b", "1 c=2"), -EINVAL);
	assert_int_equal(options_add(o, "b", "\"x\""), -EINVAL);
	assert_int_equal(options_add(o, "b", long_value), -EINVAL);
	long_value[OPTION_VALUE_MAX - 1] = '\0';
	assert_int_equal(options_add(o, "b", long_value), 0);
	assert_int_equal(options_add(o, "c", long_value), -E2BIG);
	assert_int_equal(options_check("b=1 a=2"), -EINVAL);
	assert_int_equal(options_check("a=1 a=2"), -EINVAL);
	assert_int_equal(options_check("a=1  b=2"), -EINVAL);
	assert_int_equal(options_check("a"), -EINVAL);
	assert_int_equal(options_check(""), 0);
}

static void test_json(void **state)
{
	_cleanup_json_ json_t *in = json_loads("{\"queues\":\"2\",\"model\":\"e1000\"}", 0, NULL);
	_cleanup_json_ json_t *number = json_loads("{\"queues\":2}", 0, NULL), *out = NULL;
	struct vnet_err err = VNET_ERR_INIT;
	char o[OPTIONS_MAX];

	(void)state;
	assert_int_equal(options_from_json(in, o, &err), 0);
	assert_string_equal(o, "model=e1000 queues=2");
	out = options_to_json(o);
	assert_true(json_equal(in, out));
	assert_int_equal(options_from_json(number, o, &err), -EINVAL);
	assert_non_null(strstr(err.text, "queues"));
	assert_int_equal(options_from_json(NULL, o, &err), 0);
	assert_string_equal(o, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_grammar),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
