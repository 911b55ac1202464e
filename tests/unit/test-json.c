/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/json.h"

static json_t *parse(const char *text)
{
	json_t *j = json_loads(text, 0, NULL);

	assert_non_null(j);
	return j;
}

/* The refusal says what field it is, in the text and as the object. */
static void refused(int r, const struct vnet_err *err, const char *field)
{
	assert_int_equal(r, -EINVAL);
	assert_int_equal(err->code, -EINVAL);
	assert_int_equal(err->name, VNET_E_INVALID);
	assert_non_null(strstr(err->text, field));
	assert_string_equal(err->object, field);
}

static void test_strings(void **state)
{
	_cleanup_json_ json_t *j = parse("{\"a\":\"vm1\",\"n\":null,\"i\":3,\"e\":\"\"}");
	struct vnet_err err = VNET_ERR_INIT;
	char buf[4] = "was";

	(void)state;
	assert_int_equal(json_get_str_opt(j, "absent", buf, sizeof(buf), &err), 0);
	assert_int_equal(json_get_str_opt(j, "n", buf, sizeof(buf), &err), 0);
	assert_string_equal(buf, "was");
	assert_int_equal(err.code, 0);
	assert_int_equal(json_get_str(j, "a", buf, sizeof(buf), &err), 0);
	assert_string_equal(buf, "vm1");
	assert_int_equal(json_get_str(j, "e", buf, sizeof(buf), &err), 0);
	assert_string_equal(buf, "");
	refused(json_get_str(j, "absent", buf, sizeof(buf), &err), &err, "absent");
	refused(json_get_str(j, "n", buf, sizeof(buf), &err), &err, "n");
	refused(json_get_str_opt(j, "i", buf, sizeof(buf), &err), &err, "i");
	/* Three characters need four bytes. */
	strcpy(buf, "was");
	refused(json_get_str(j, "a", buf, 3, &err), &err, "a");
	assert_string_equal(buf, "was");
	/* Not an object at all. */
	refused(json_get_str(NULL, "a", buf, sizeof(buf), &err), &err, "a");
}

static void test_control_characters_are_refused(void **state)
{
	static const char *const bad[] = { "\"a\\nb\"",	      "\"\\u0001\"",	"\"a\\u007f\"",
					   "\"\\u001b[31m\"", "\"\\u009b31m\"", "\"\\u0080\"" };
	static const char *const good[] = { "\"\\u00a0\"", "\"\\u00e4\\u6f22\"", "\" ~\"" };
	struct vnet_err err = VNET_ERR_INIT;
	char text[64], buf[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_json_ json_t *j = NULL;

		snprintf(text, sizeof(text), "{\"s\":%s}", bad[i]);
		j = parse(text);
		refused(json_get_str(j, "s", buf, sizeof(buf), &err), &err, "s");
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_json_ json_t *j = NULL;

		snprintf(text, sizeof(text), "{\"s\":%s}", good[i]);
		j = parse(text);
		assert_int_equal(json_get_str(j, "s", buf, sizeof(buf), &err), 0);
	}
}

static void test_a_nul_inside_is_refused(void **state)
{
	_cleanup_json_ json_t *j = json_object();
	struct vnet_err err = VNET_ERR_INIT;
	char buf[8];

	(void)state;
	json_object_set_new(j, "s", json_stringn("a\0b", 3));
	refused(json_get_str(j, "s", buf, sizeof(buf), &err), &err, "s");
}

static void test_control_len(void **state)
{
	(void)state;
	assert_int_equal(json_control_len(""), 0);
	assert_int_equal(json_control_len("a\n"), 0);
	assert_int_equal(json_control_len("\n"), 1);
	assert_int_equal(json_control_len("\x7f"), 1);
	assert_int_equal(json_control_len("\xc2\x9bm"), 2);
	assert_int_equal(json_control_len("\xc2\xa0"), 0);
	assert_int_equal(json_control_len("\xc2"), 0);
}

static void test_integers(void **state)
{
	_cleanup_json_ json_t *j = parse("{\"a\":7,\"r\":7.0,\"s\":\"7\",\"n\":null,\"b\":true}");
	struct vnet_err err = VNET_ERR_INIT;
	int64_t v = -1;

	(void)state;
	assert_int_equal(json_get_int_opt(j, "absent", 0, 9, &v, &err), 0);
	assert_int_equal(json_get_int_opt(j, "n", 0, 9, &v, &err), 0);
	assert_int_equal(v, -1);
	refused(json_get_int(j, "a", 8, 9, &v, &err), &err, "a");
	refused(json_get_int(j, "a", 0, 6, &v, &err), &err, "a");
	refused(json_get_int(j, "r", 0, 9, &v, &err), &err, "r");
	refused(json_get_int(j, "s", 0, 9, &v, &err), &err, "s");
	refused(json_get_int(j, "b", 0, 9, &v, &err), &err, "b");
	refused(json_get_int(j, "n", 0, 9, &v, &err), &err, "n");
	refused(json_get_int(j, "absent", 0, 9, &v, &err), &err, "absent");
	assert_int_equal(v, -1);
	assert_int_equal(json_get_int(j, "a", 7, 7, &v, &err), 0);
	assert_int_equal(v, 7);
}

static void test_booleans(void **state)
{
	_cleanup_json_ json_t *j = parse("{\"t\":true,\"f\":false,\"i\":1,\"n\":null}");
	struct vnet_err err = VNET_ERR_INIT;
	bool v = true;

	(void)state;
	assert_int_equal(json_get_bool_opt(j, "f", &v, &err), 0);
	assert_false(v);
	assert_int_equal(json_get_bool_opt(j, "t", &v, &err), 0);
	assert_true(v);
	assert_int_equal(json_get_bool_opt(j, "n", &v, &err), 0);
	assert_int_equal(json_get_bool_opt(j, "absent", &v, &err), 0);
	assert_true(v);
	refused(json_get_bool_opt(j, "i", &v, &err), &err, "i");
}

static void test_only_fields(void **state)
{
	static const char *const fields[] = { "a", "b", NULL };
	_cleanup_json_ json_t *j = parse("{\"a\":1}"), *k = parse("{\"b\":1,\"a\":1,\"ab\":1}");
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	assert_int_equal(json_only_fields(j, fields, &err), 0);
	refused(json_only_fields(k, fields, &err), &err, "ab");
}

static void test_put(void **state)
{
	_cleanup_json_ json_t *j = json_object(), *want = NULL;

	(void)state;
	json_put_str(j, "s", "x");
	json_put_str(j, "empty", "");
	json_put_str(j, "null", NULL);
	json_put_int(j, "i", -3);
	json_put_int_or_null(j, "known", 4, true);
	json_put_int_or_null(j, "unknown", 4, false);
	json_put_bool(j, "b", true);
	json_put_bool_or_null(j, "yes", 1);
	json_put_bool_or_null(j, "no", 0);
	json_put_bool_or_null(j, "maybe", -1);
	json_put(j, "array", json_array());
	want = parse("{\"s\":\"x\",\"empty\":null,\"null\":null,\"i\":-3,\"known\":4,"
		     "\"unknown\":null,\"b\":true,\"yes\":true,\"no\":false,\"maybe\":null,"
		     "\"array\":[]}");
	assert_true(json_equal(j, want));
}

static const char *put_and_get(json_t *j, const char *bytes)
{
	json_put_str(j, "s", bytes);
	return json_string_value(json_object_get(j, "s"));
}

static void test_put_bytes_that_are_no_text(void **state)
{
	_cleanup_json_ json_t *j = json_object();

	(void)state;
	assert_string_equal(put_and_get(j, "a\xff"
					   "b"),
			    "a?b");
	assert_string_equal(put_and_get(j, "\xc3\xa4\xc3"), "\xc3\xa4?");
	assert_string_equal(put_and_get(j, "\xe6\xbc\xa2\xe6\xbc"), "\xe6\xbc\xa2??");
	assert_string_equal(put_and_get(j, "\xc0\x80"), "??");
	assert_string_equal(put_and_get(j, "\xed\xa0\x80."), "???.");
	assert_string_equal(put_and_get(j, "\xf0\x9f\x98\x80\x80"), "\xf0\x9f\x98\x80?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_control_characters_are_refused),
		cmocka_unit_test(test_a_nul_inside_is_refused),
		cmocka_unit_test(test_control_len),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_booleans),
		cmocka_unit_test(test_only_fields),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_put_bytes_that_are_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
