/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/pciaddr.h"

static void test_round_trip(void **state)
{
	static const char *const good[] = { "0000:00:00.0", "0000:65:00.4", "00ff:ff:1f.7",
					    "10000:e1:00.0", "ffffffff:ff:1f.7" };
	char buf[PCI_ADDR_STR];
	struct pci_addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(pci_addr_parse(good[i], &a), 0);
		assert_true(a.set);
		assert_string_equal(pci_addr_str(&a, buf), good[i]);
	}
	pci_addr_parse("10000:e1:1d.3", &a);
	assert_int_equal(a.domain, 0x10000);
	assert_int_equal(a.bus, 0xe1);
	assert_int_equal(a.dev, 0x1d);
	assert_int_equal(a.fn, 3);
}

static void test_only_the_kernels_spelling(void **state)
{
	static const char *const bad[] = {
		"",
		"0000",
		"65:00.4",
		"0000:65:00",
		"0000:65:00.",
		"0000:65:00.8",
		"0000:65:20.0",
		"0000:65:00.44",
		"0000:65:00.4 ",
		" 0000:65:00.4",
		"000:65:00.4",
		"00000:65:00.4",
		"100000000:65:00.4",
		"0000:6:00.4",
		"0000:065:00.4",
		"0000:65:0.4",
		"0000:65:00:4",
		"0000.65.00.4",
		"0000:AB:00.4",
		"0000:g5:00.4",
		"0x00:65:00.4",
		"0000:65:00.4/vf0",
		"0000:65:00.4\n",
		"-000:65:00.4",
	};
	struct pci_addr a = { .domain = 7 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (pci_addr_parse(bad[i], &a) != -EINVAL)
			fail_msg("accepted \"%s\"", bad[i]);
	assert_int_equal(pci_addr_parse(NULL, &a), -EINVAL);
	assert_int_equal(a.domain, 7);
	assert_false(a.set);
}

static void test_unset(void **state)
{
	struct pci_addr none = { 0 }, zero = { .set = true }, also_none = { .bus = 5 };
	char buf[PCI_ADDR_STR] = "was";

	(void)state;
	assert_string_equal(pci_addr_str(&none, buf), "");
	assert_false(pci_addr_eq(&none, &zero));
	assert_true(pci_addr_cmp(&none, &zero) < 0);
	assert_true(pci_addr_cmp(&zero, &none) > 0);
	assert_true(pci_addr_eq(&none, &also_none));
}

static void test_order(void **state)
{
	static const char *const sorted[] = { "0000:00:00.0", "0000:00:00.7",  "0000:00:01.0",
					      "0000:00:1f.7", "0000:01:00.0",  "0000:ff:00.0",
					      "0001:00:00.0", "10000:00:00.0", "ffffffff:00:00.0" };
	struct pci_addr a, b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(sorted); k++) {
			int want = i < k ? -1 : i > k, got;

			pci_addr_parse(sorted[i], &a);
			pci_addr_parse(sorted[k], &b);
			got = pci_addr_cmp(&a, &b);
			assert_int_equal(got < 0 ? -1 : got > 0, want);
			assert_int_equal(pci_addr_eq(&a, &b), i == k);
		}
	}
}

static void test_vf_object(void **state)
{
	char buf[VF_OBJECT_STR];
	struct pci_addr pf;
	unsigned index;

	(void)state;
	assert_int_equal(vf_object_parse("0000:65:00.0/vf3", &pf, &index), 0);
	assert_int_equal(index, 3);
	assert_string_equal(vf_object_str(&pf, index, buf), "0000:65:00.0/vf3");
	assert_int_equal(vf_object_parse("ffffffff:ff:1f.7/vf65535", &pf, &index), 0);
	assert_int_equal(index, 65535);
	assert_string_equal(vf_object_str(&pf, index, buf), "ffffffff:ff:1f.7/vf65535");
	assert_int_equal(vf_object_parse("0000:65:00.0/vf0", &pf, &index), 0);
	assert_int_equal(index, 0);
}

static void test_vf_object_refused(void **state)
{
	static const char *const bad[] = { "",
					   "0000:65:00.0",
					   "0000:65:00.0/",
					   "0000:65:00.0/vf",
					   "0000:65:00.0/v3",
					   "0000:65:00.0/vf03",
					   "0000:65:00.0/vf00",
					   "0000:65:00.0/vf-1",
					   "0000:65:00.0/vf+1",
					   "0000:65:00.0/vf 1",
					   "0000:65:00.0/vf1 ",
					   "0000:65:00.0/vf1x",
					   "0000:65:00.0/vf65536",
					   "0000:65:00.0/vf4294967296",
					   "0000:65:00.0/VF1",
					   "65:00.0/vf1" };
	struct pci_addr pf = { .domain = 7 };
	unsigned index = 99;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (vf_object_parse(bad[i], &pf, &index) != -EINVAL)
			fail_msg("accepted \"%s\"", bad[i]);
	assert_int_equal(vf_object_parse(NULL, &pf, &index), -EINVAL);
	assert_int_equal(index, 99);
	assert_int_equal(pf.domain, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_only_the_kernels_spelling),
		cmocka_unit_test(test_unset),	   cmocka_unit_test(test_order),
		cmocka_unit_test(test_vf_object),  cmocka_unit_test(test_vf_object_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
