/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vfio-owner knob: whose node it gives to whom, and from whom it takes none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/host-tree.h"

#define PF "0000:01:00.0"
#define VF "0000:01:10.0"
#define OBJECT PF "/vf0"
#define NODE "dev/vfio/11"

static struct tree t;
static struct vnet_err err;

static int setup(void **state)
{
	(void)state;
	err = VNET_ERR_INIT;
	tree_new(&t);
	tree_function(&t, PF, 0x020000, 0x10c9, 10);
	tree_sriov(&t, PF, 7);
	tree_vf(&t, PF, 0, VF, 11);
	tree_dir(&t, "sys/bus/pci/drivers/vfio-pci");
	tree_bind(&t, VF, "vfio-pci");
	tree_dir(&t, "sys/bus/pci/devices/" VF "/vfio-dev/vfio0");
	tree_file(&t, "", NODE);
	t.node = (struct node_owner){ .mode = 0600 };
	tree_open(&t);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree_free(&t);
	return 0;
}

static const struct knob *knob(void)
{
	return knob_find("vfio-owner");
}

static int set(const char *value)
{
	t.log[0] = '\0';
	err = VNET_ERR_INIT;
	return knob()->set(t.k, OBJECT, value, &err);
}

static const char *get(const char *object)
{
	static char value[KNOB_VALUE_MAX];

	assert_int_equal(knob()->get(t.k, object, value, &err), 0);
	return value;
}

static void test_there_and_back(void **state)
{
	(void)state;
	assert_string_equal(get(OBJECT), "0:0");
	assert_string_equal(get(VF), "0:0");
	assert_int_equal(set("1000"), 0);
	assert_string_equal(t.log, NODE "=1000:0;");
	assert_string_equal(get(OBJECT), "1000:0");
	assert_int_equal(set("0:0"), 0);
	assert_string_equal(t.log, NODE "=0:0;");
}

/* A rule of the administrator's: QEMU's users are in that group already. */
static void test_group_stays(void **state)
{
	(void)state;
	t.node = (struct node_owner){ .gid = 36, .mode = 0660 };
	assert_int_equal(set("1000"), 0);
	assert_string_equal(get(OBJECT), "1000:36");
	assert_int_equal(set("0:36"), 0);
	assert_string_equal(get(OBJECT), "0:36");
}

static void test_somebody_elses(void **state)
{
	(void)state;
	t.node.uid = 1001;
	assert_int_equal(set("1000"), -EBUSY);
	assert_non_null(strstr(err.text, "/" NODE " is user 1001's already"));
	assert_string_equal(t.log, "");
	assert_int_equal(set("1001"), 0); /* the same user's next */
	assert_int_equal(set("0:0"), 0);
}

static void test_mode(void **state)
{
	(void)state;
	t.node.mode = 0060;
	assert_int_equal(set("1000"), -EACCES);
	assert_non_null(strstr(err.text, "the mode of /" NODE " is 060"));
	assert_string_equal(t.log, "");
	t.node.uid = 1000;
	assert_int_equal(set("0:0"), 0); /* back it goes whatever its mode is */
}

static void test_no_node(void **state)
{
	(void)state;
	assert_string_equal(get(PF), KNOB_ABSENT); /* not on VFIO */
	assert_string_equal(get(PF "/vf3"), KNOB_ABSENT);
	assert_string_equal(get("0000:07:00.0"), KNOB_ABSENT);
	unlinkat(t.k->rootfd, NODE, 0);
	assert_string_equal(get(OBJECT), KNOB_ABSENT);
	assert_int_equal(set("1000"), -ENOENT);
	assert_non_null(strstr(err.text, "no node below /dev/vfio"));
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",   "-1",	    "root",	   "1000:",	   "1000:x", "1 0",
		":0", "4294967295", "99999999999", "0:4294967295", "1:2:3"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(set(bad[i]), -EINVAL);
	t.fail = -EPERM;
	assert_int_equal(set("1000"), -EPERM);
	assert_non_null(strstr(err.text, "give /" NODE " to user 1000"));
	t.fail = -ENOENT; /* it went meanwhile: what is read says so */
	assert_int_equal(set("1000"), 0);
}

static void test_matches(void **state)
{
	(void)state;
	assert_true(knob()->matches("1000", "1000:36"));
	assert_true(knob()->matches("0:0", "0:0"));
	assert_false(knob()->matches("1000", "1001:1000"));
	assert_false(knob()->matches("0:0", "0:36"));
	assert_false(knob()->matches("1000", KNOB_ABSENT));
	assert_true(knob()->matches(KNOB_ABSENT, KNOB_ABSENT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_there_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_group_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(test_somebody_elses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mode, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_node, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_matches, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
