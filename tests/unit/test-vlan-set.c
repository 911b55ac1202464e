/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/host/vlan-set.h"
#include "lib/cleanup.h"

static void test_spelling(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "1", "1" },
		{ "4094", "4094" },
		{ "10,20-30", "10,20-30" },
		{ "20-30,10", "10,20-30" },
		{ "1,2,3,5", "1-3,5" },
		{ "10-20,15-25,26", "10-26" },
		{ "7-7", "7" },
		{ "63,64,127-128", "63-64,127-128" },
		{ "1-4094", "1-4094" },
		{ "5,5,5", "5" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vlan_set s, again;
		char buf[64];

		if (vlan_set_parse(rows[i].in, &s) < 0)
			fail_msg("refused \"%s\"", rows[i].in);
		assert_int_equal(vlan_set_str(&s, buf, sizeof(buf)), 0);
		assert_string_equal(buf, rows[i].out);
		assert_int_equal(vlan_set_parse(buf, &again), 0);
		assert_true(vlan_set_eq(&s, &again));
	}
}

static void test_refused(void **state)
{
	static const char *const bad[] = { "",	      "0",	  "4095", "10,",   ",10",
					   "10,,20",  "10-",	  "-10",  "30-20", "10 ",
					   " 10",     "10, 20",	  "0x10", "010",   "10-0",
					   "10-4095", "1-2-3",	  "+1",	  "a",	   "10;20",
					   "10\n",    "99999999", "-",	  "1-,2",  "4294967297" };
	struct vlan_set s = { { 0 } };

	(void)state;
	vlan_set_add(&s, 7);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (vlan_set_parse(bad[i], &s) != -EINVAL)
			fail_msg("accepted \"%s\"", bad[i]);
	assert_true(vlan_set_has(&s, 7));
	assert_false(vlan_set_has(&s, 10));
}

static void test_members(void **state)
{
	struct vlan_set s = { { 0 } }, t;
	unsigned first = 1, last = 2;

	(void)state;
	assert_false(vlan_set_next(&s, 0, &first, &last));
	vlan_set_add(&s, 0);
	vlan_set_add(&s, 4095);
	vlan_set_add(&s, 100000);
	assert_false(vlan_set_next(&s, 0, &first, &last));
	assert_false(vlan_set_has(&s, 4095));
	assert_false(vlan_set_has(&s, 100000));
	assert_int_equal(vlan_set_parse("10,20-30,4093-4094", &s), 0);
	assert_true(vlan_set_has(&s, 20) && vlan_set_has(&s, 25) && vlan_set_has(&s, 30));
	assert_false(vlan_set_has(&s, 19) || vlan_set_has(&s, 31) || vlan_set_has(&s, 11));
	assert_true(vlan_set_next(&s, 11, &first, &last));
	assert_int_equal(first, 20);
	assert_int_equal(last, 30);
	/* From within a run: what is left of it. */
	assert_true(vlan_set_next(&s, 25, &first, &last));
	assert_int_equal(first, 25);
	assert_int_equal(last, 30);
	assert_true(vlan_set_next(&s, 31, &first, &last));
	assert_int_equal(last, 4094);
	assert_false(vlan_set_next(&s, 4095, &first, &last));
	t = s;
	assert_true(vlan_set_eq(&s, &t));
	vlan_set_add(&t, 11);
	assert_false(vlan_set_eq(&s, &t));
}

static void test_buffer(void **state)
{
	struct vlan_set s;
	char buf[9];

	(void)state;
	assert_int_equal(vlan_set_parse("10,20-30", &s), 0);
	assert_int_equal(vlan_set_str(&s, buf, 9), 0);
	assert_string_equal(buf, "10,20-30");
	assert_int_equal(vlan_set_str(&s, buf, 8), -ENOSPC);
	assert_int_equal(vlan_set_str(&s, buf, 2), -ENOSPC);
	assert_int_equal(vlan_set_str(&s, buf, 0), -ENOSPC);
	s = (struct vlan_set){ { 0 } };
	assert_int_equal(vlan_set_str(&s, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spelling),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
