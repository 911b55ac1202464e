/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Knobs of PFs and of VF attributes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/host-tree.h"

#define PF "0000:01:00.0"
#define DEV "sys/bus/pci/devices/" PF

static struct tree t;
static struct vnet_err err;

static int setup(void **state)
{
	(void)state;
	err = VNET_ERR_INIT;
	tree_new(&t);
	tree_function(&t, PF, 0x020000, 0x10c9, 10);
	tree_sriov(&t, PF, 7);
	tree_bind(&t, PF, "igb");
	tree_interface(&t, PF, "eth4", 4);
	t.links[t.n_links++] = (struct link){ .ifindex = 4, .name = "eth4" };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree_free(&t);
	return 0;
}

static void with_vf(void)
{
	tree_vf(&t, PF, 0, "0000:01:10.0", 11);
	t.vfs[t.n_vfs++] = (struct vf_attrs){ .index = 0, .trust = -1, .spoofchk = 1 };
}

static int set(const char *knob, const char *object, const char *value)
{
	if (!t.k)
		tree_open(&t);
	t.log[0] = '\0';
	return knob_find(knob)->set(t.k, object, value, &err);
}

static void assert_is(const char *knob, const char *object, const char *expected)
{
	char value[KNOB_VALUE_MAX];

	if (!t.k)
		tree_open(&t);
	assert_int_equal(knob_find(knob)->get(t.k, object, value, &err), 0);
	assert_string_equal(value, expected);
	assert_true(!strcmp(expected, KNOB_ABSENT) || knob_find(knob)->matches(expected, value));
}

static void test_table(void **state)
{
	const struct knob *k;
	size_t i;

	(void)state;
	for (i = 0; (k = knob_at(i)); i++) {
		assert_ptr_equal(knob_find(k->name), k);
		assert_true(strlen(k->name) < sizeof(err.knob));
		assert_non_null(k->summary);
		assert_non_null(k->get);
		assert_non_null(k->set);
		assert_true(k->deadline_ms >= 10000);
		assert_int_equal(strcmp(k->object, "PF") == 0, k->owner == KNOB_OF_POOL);
		/* What goes with an interface that vnetd made has no idle value. */
		assert_int_equal(k->idle == NULL,
				 k->owner == KNOB_OF_POOL || !strncmp(k->name, "net-", 4));
		assert_false(k->matches("no such value", KNOB_ABSENT));
		if (k->idle)
			assert_true(k->matches(k->idle, k->idle));
	}
	assert_int_equal(i, 19);
	assert_null(knob_find("nothing"));
}

static void test_numvfs(void **state)
{
	(void)state;
	assert_is("numvfs", PF, "0");
	assert_is("numvfs", "0000:09:00.0", KNOB_ABSENT);
	assert_int_equal(set("numvfs", PF, "0"), 0);
	assert_string_equal(t.log, "");
	assert_int_equal(set("numvfs", PF, "-1"), -EINVAL);
	assert_int_equal(set("numvfs", PF, "70000"), -EINVAL);
	assert_int_equal(set("numvfs", PF, "4"), 0);
	assert_string_equal(t.log, DEV "/sriov_numvfs=4;");
	assert_is("numvfs", PF, "4");
	assert_true(knob_find("numvfs")->matches("04", "4"));
	/* Already so; and never another number over VFs. */
	assert_int_equal(set("numvfs", PF, "4"), 0);
	assert_int_equal(set("numvfs", PF, "7"), -EBUSY);
	assert_non_null(strstr(err.text, "has 4 VFs"));
	assert_int_equal(set("numvfs", PF, "0"), -EBUSY);
	assert_string_equal(t.log, "");
}

static void test_numvfs_refused(void **state)
{
	(void)state;
	t.fail_path = "sriov_numvfs";
	t.fail = -ENOENT;
	assert_int_equal(set("numvfs", PF, "4"), -ENOENT);
	assert_non_null(strstr(err.text, "driver igb makes no VFs"));
	t.fail = -ERANGE;
	assert_int_equal(set("numvfs", PF, "40"), -ERANGE);
	assert_non_null(strstr(err.text, "at most 7"));
	t.fail = -ENOMEM;
	assert_int_equal(set("numvfs", PF, "4"), -ENOMEM);
	assert_non_null(strstr(err.text, "pci=realloc"));
	t.silent = true;
	assert_int_equal(set("numvfs", PF, "4"), -EIO);
	assert_non_null(strstr(err.text, "said yes, but there are 0"));
}

static void test_autoprobe(void **state)
{
	(void)state;
	assert_is("autoprobe", PF, "1");
	assert_is("autoprobe", "0000:09:00.0", KNOB_ABSENT);
	assert_int_equal(set("autoprobe", PF, "0"), 0);
	assert_is("autoprobe", PF, "0");
	assert_int_equal(set("autoprobe", PF, "2"), -EINVAL);
	assert_int_equal(set("autoprobe", "eth4", "1"), -EINVAL);
	assert_false(knob_find("autoprobe")->matches("0", "1"));
}

static void test_link_up(void **state)
{
	(void)state;
	/* In switchdev mode the PF's net/ shows its VFs' representors too. */
	tree_interface(&t, PF, "eth2", 2);
	tree_file(&t, "pf0vf1\n", DEV "/net/eth2/phys_port_name");
	tree_file(&t, "p0\n", DEV "/net/eth4/phys_port_name");
	assert_is("link-up", PF, "down");
	assert_int_equal(set("link-up", PF, "up"), 0);
	assert_is("link-up", PF, "up");
	assert_int_equal(set("link-up", PF, "sideways"), -EINVAL);
	assert_int_equal(set("link-up", "0000:09:00.0", "up"), -ENODEV);
	assert_non_null(strstr(err.text, "no network interface"));
}

static void test_mac(void **state)
{
	const struct knob *k = knob_find("vf-mac");

	(void)state;
	with_vf();
	assert_is("vf-mac", PF "/vf0", "00:00:00:00:00:00");
	assert_int_equal(set("vf-mac", PF "/vf0", "52:54:00:12:34:56"), 0);
	assert_is("vf-mac", PF "/vf0", "52:54:00:12:34:56");
	assert_int_equal(set("vf-mac", PF "/vf0", "x"), -EINVAL);
	assert_is("vf-mac", PF "/vf1", KNOB_ABSENT);
	assert_int_equal(set("vf-mac", PF "/vf1", "52:54:00:12:34:56"), -EINVAL);
	/* Clearing it, where the driver refuses zero. */
	t.refuses_zero_mac = true;
	assert_int_equal(set("vf-mac", PF "/vf0", "00:00:00:00:00:00"), 0);
	assert_is("vf-mac", PF "/vf0", "02:00:00:00:00:00");
	assert_true(k->matches("00:00:00:00:00:00", "02:00:00:00:00:00"));
	assert_false(k->matches("02:00:00:00:00:00", "00:00:00:00:00:00"));
	assert_true(k->matches("52:54:00:AA:00:00", "52:54:00:aa:00:00"));
	assert_false(k->matches("52:54:00:aa:00:00", KNOB_ABSENT));
}

static void test_vlan(void **state)
{
	const struct knob *k = knob_find("vf-vlan");

	(void)state;
	with_vf();
	assert_is("vf-vlan", PF "/vf0", "0");
	assert_int_equal(set("vf-vlan", PF "/vf0", "100 qos 3 proto 802.1ad"), 0);
	assert_is("vf-vlan", PF "/vf0", "100 qos 3 proto 802.1ad");
	assert_int_equal(set("vf-vlan", PF "/vf0", "0"), 0);
	assert_is("vf-vlan", PF "/vf0", "0");
	assert_int_equal(set("vf-vlan", PF "/vf0", "many"), -EINVAL);
	assert_true(k->matches("100", "100 qos 0"));
	assert_false(k->matches("100", "100 qos 1"));
	assert_false(k->matches("100", "100 proto 802.1ad"));
	assert_false(k->matches("0", KNOB_ABSENT));
}

static void test_flags(void **state)
{
	const struct knob *trust = knob_find("vf-trust"), *spoof = knob_find("vf-spoofchk");

	(void)state;
	with_vf();
	assert_is("vf-trust", PF "/vf0", "unknown");
	assert_is("vf-trust", PF "/vf1", KNOB_ABSENT);
	assert_is("vf-spoofchk", PF "/vf0", "on");
	assert_int_equal(set("vf-spoofchk", PF "/vf0", "off"), 0);
	assert_is("vf-spoofchk", PF "/vf0", "off");
	assert_int_equal(set("vf-trust", PF "/vf0", "unknown"), 0);
	assert_is("vf-trust", PF "/vf0", "unknown");
	assert_int_equal(set("vf-trust", PF "/vf0", "maybe"), -EINVAL);
	/* What a driver does not report is as an idle VF has it. */
	assert_true(trust->matches("off", "unknown"));
	assert_false(trust->matches("on", "unknown"));
	assert_true(spoof->matches("on", "unknown"));
	assert_false(spoof->matches("off", "unknown"));
	assert_true(trust->matches("unknown", "off"));
	assert_false(trust->matches("unknown", KNOB_ABSENT));
}

/* A VF that is there, and its PF's driver says nothing of it. */
static void test_vf_not_reported(void **state)
{
	char value[KNOB_VALUE_MAX];

	(void)state;
	tree_vf(&t, PF, 0, "0000:01:10.0", 11);
	tree_open(&t);
	assert_int_equal(knob_find("vf-mac")->get(t.k, PF "/vf0", value, &err), -ENODATA);
	assert_non_null(strstr(err.text, "reports nothing about VF 0"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_table),     CASE(test_numvfs),  CASE(test_numvfs_refused),
		CASE(test_autoprobe), CASE(test_link_up), CASE(test_mac),
		CASE(test_vlan),      CASE(test_flags),	  CASE(test_vf_not_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
