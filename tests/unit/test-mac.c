/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/mac.h"

static void test_round_trip(void **state)
{
	char buf[MAC_STR];
	struct mac m;

	(void)state;
	assert_int_equal(mac_parse("52:54:00:12:ab:ff", &m), 0);
	assert_memory_equal(m.b, "\x52\x54\x00\x12\xab\xff", 6);
	assert_string_equal(mac_str(&m, buf), "52:54:00:12:ab:ff");
	assert_int_equal(mac_parse("52:54:00:12:AB:fF", &m), 0);
	assert_string_equal(mac_str(&m, buf), "52:54:00:12:ab:ff");
}

static void test_refused(void **state)
{
	static const char *const bad[] = { "",
					   "52",
					   "52:54:00:12:34",
					   "52:54:00:12:34:5",
					   "52:54:00:12:34:567",
					   "52:54:00:12:34:56:78",
					   "52-54-00-12-34-56",
					   "525400123456",
					   "5:254:00:12:34:56",
					   "52:54:00:12:34:5g",
					   "52:54:00:12:34: 6",
					   "52:54:00:12:34:+6",
					   "0x:54:00:12:34:56",
					   " 52:54:00:12:34:5",
					   "52:54:00:12:34\n56",
					   "52:54:00:12:34:\xb5"
					   "6" };
	struct mac m = { { 1, 2, 3, 4, 5, 6 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (mac_parse(bad[i], &m) != -EINVAL)
			fail_msg("accepted \"%s\"", bad[i]);
	assert_int_equal(mac_parse(NULL, &m), -EINVAL);
	assert_memory_equal(m.b, "\x01\x02\x03\x04\x05\x06", 6);
}

static void test_kinds(void **state)
{
	struct mac m, k;

	(void)state;
	mac_parse("00:00:00:00:00:00", &m);
	assert_true(mac_is_zero(&m));
	assert_false(mac_is_multicast(&m));
	mac_parse("00:00:00:00:00:01", &m);
	assert_false(mac_is_zero(&m));
	assert_false(mac_is_multicast(&m));
	mac_parse("02:00:00:00:00:01", &m);
	assert_false(mac_is_multicast(&m));
	mac_parse("01:00:5e:00:00:01", &m);
	assert_true(mac_is_multicast(&m));
	mac_parse("ff:ff:ff:ff:ff:ff", &m);
	assert_true(mac_is_multicast(&m));
	mac_parse("ff:ff:ff:ff:ff:ff", &k);
	assert_true(mac_eq(&m, &k));
	mac_parse("ff:ff:ff:ff:ff:fe", &k);
	assert_false(mac_eq(&m, &k));
}

static void test_generate(void **state)
{
	uint8_t ones[3] = { 0 }, zeros[3] = { 0 };
	struct mac m, before = { { 0 } };

	(void)state;
	/* 64 draws: that one bit is never set or never clear has a chance of 24 in 2^63. */
	for (int i = 0; i < 64; i++) {
		mac_generate(&m);
		assert_memory_equal(m.b, "\x52\x54\x00", 3);
		for (int k = 0; k < 3; k++) {
			ones[k] |= m.b[3 + k];
			zeros[k] |= (uint8_t)~m.b[3 + k];
		}
		if (i == 0)
			before = m;
	}
	assert_memory_equal(ones, "\xff\xff\xff", 3);
	assert_memory_equal(zeros, "\xff\xff\xff", 3);
	assert_false(mac_is_zero(&before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_generate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
