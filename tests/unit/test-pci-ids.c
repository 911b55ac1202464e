/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/host/pci-ids.h"

static const char text[] = "# 8086  not this one\n"
			   "\n"
			   "10ec  Realtek\n"
			   "\t8086  A device, not a vendor\n"
			   "8086  Intel Corporation\n"
			   "\t10c9  82576 Gigabit Network Connection\n"
			   "\t\t8086 a03c  Gigabit ET Dual Port\n"
			   "# in between\n"
			   "\t10ca  82576 Virtual Function\n"
			   "8088  Beijing\n"
			   "\t10cb  Another's\n"
			   "ffff  Last";

static void assert_names(const struct pci_ids *ids, unsigned vendor, unsigned device,
			 const char *vendor_name, const char *device_name)
{
	char v[64], d[64];

	pci_ids_find(ids, vendor, device, v, d, sizeof(v));
	assert_string_equal(v, vendor_name);
	assert_string_equal(d, device_name);
}

static void names(void **state)
{
	char path[] = "/tmp/vnetd-ids-XXXXXX", v[6], d[6];
	int fd = mkstemp(path);
	struct pci_ids *ids;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(pci_ids_open(&ids, path), 0);
	unlink(path);
	assert_names(ids, 0x8086, 0x10c9, "Intel Corporation", "82576 Gigabit Network Connection");
	assert_names(ids, 0x8086, 0x10ca, "Intel Corporation", "82576 Virtual Function");
	assert_names(ids, 0x8086, 0x10cb, "Intel Corporation", "");
	assert_names(ids, 0x8086, 0x8086, "Intel Corporation", "");
	assert_names(ids, 0xffff, 1, "Last", "");
	assert_names(ids, 0x1234, 1, "", "");
	pci_ids_find(ids, 0x8086, 0x10c9, v, d, sizeof(v));
	assert_string_equal(v, "Intel");
	assert_string_equal(d, "82576");
	pci_ids_close(ids);
	assert_true(pci_ids_open(&ids, "/nonexistent") < 0);
	assert_true(pci_ids_open(&ids, "/tmp") < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
