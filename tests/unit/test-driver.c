/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The driver knob: what it writes, in which order, and what it refuses to touch. */
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
#define DEV "sys/bus/pci/devices/" VF
#define DRV "sys/bus/pci/drivers"
#define GROUP "sys/kernel/iommu_groups/11/devices"

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
	tree_dir(&t, DRV "/vfio-pci");
	tree_dir(&t, DRV "/igbvf");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree_free(&t);
	return 0;
}

static int set_of(const char *object, const char *value)
{
	if (!t.k)
		tree_open(&t);
	t.log[0] = '\0';
	return knob_find("driver")->set(t.k, object, value, &err);
}

static int set(const char *value)
{
	return set_of(OBJECT, value);
}

static const char *get_of(const char *object)
{
	static char value[KNOB_VALUE_MAX];

	if (!t.k)
		tree_open(&t);
	assert_int_equal(knob_find("driver")->get(t.k, object, value, &err), 0);
	return value;
}

static const char *get(void)
{
	return get_of(OBJECT);
}

static void assert_untouched(int r, int expected, const char *text)
{
	assert_int_equal(r, expected);
	assert_non_null(strstr(err.text, text));
	assert_string_equal(t.log, "");
}

static void test_spelling(void **state)
{
	(void)state;
	assert_untouched(set(""), -EINVAL, "expected");
	assert_untouched(set("../../etc"), -EINVAL, "expected");
	assert_untouched(set("vfio-pci override="), -EINVAL, "expected");
	assert_untouched(set("vfio-pci override=a/b"), -EINVAL, "expected");
	assert_untouched(set("vfio-pci vfio-pci"), -EINVAL, "expected");
	assert_true(knob_find("driver")->matches("none", "none"));
	assert_false(knob_find("driver")->matches("vfio-pci", "vfio-pci override=vfio-pci"));
	assert_false(knob_find("driver")->matches("none", KNOB_ABSENT));
}

static void test_absent(void **state)
{
	char value[KNOB_VALUE_MAX];

	(void)state;
	tree_open(&t);
	assert_int_equal(knob_find("driver")->get(t.k, PF "/vf3", value, &err), 0);
	assert_string_equal(value, KNOB_ABSENT);
	assert_int_equal(knob_find("driver")->set(t.k, PF "/vf3", "none", &err), -ENOENT);
	assert_int_equal(knob_find("driver")->get(t.k, "nonsense", value, &err), -EINVAL);
}

static void test_to_vfio_and_back_to_none(void **state)
{
	(void)state;
	assert_string_equal(get(), "none");
	assert_int_equal(set("vfio-pci override=vfio-pci"), 0);
	assert_string_equal(t.log, DEV "/driver_override=vfio-pci;" DRV "/vfio-pci/bind=" VF ";");
	assert_string_equal(get(), "vfio-pci override=vfio-pci");
	/* Already so: nothing is written. */
	assert_int_equal(set("vfio-pci override=vfio-pci"), 0);
	assert_string_equal(t.log, "");

	assert_int_equal(set("none"), 0);
	assert_string_equal(t.log, "fence=open;" DRV "/vfio-pci/unbind=" VF ";" DEV "/reset=1;" DEV
				   "/driver_override=\\n;");
	assert_string_equal(get(), "none");
}

/* With autoprobe 0 only an override lets a native driver have its VF. */
static void test_from_vfio_to_native(void **state)
{
	(void)state;
	tree_bind(&t, VF, "vfio-pci");
	tree_file(&t, "vfio-pci\n", DEV "/driver_override");
	assert_int_equal(set("igbvf"), 0);
	assert_string_equal(t.log, "fence=open;" DRV "/vfio-pci/unbind=" VF ";" DEV "/reset=1;" DEV
				   "/driver_override=igbvf;" DRV "/igbvf/bind=" VF ";" DEV
				   "/driver_override=\\n;");
	assert_string_equal(get(), "igbvf");
}

static void test_override_alone(void **state)
{
	(void)state;
	assert_int_equal(set("none override=igbvf"), 0);
	assert_string_equal(get(), "none override=igbvf");
	assert_int_equal(set("none"), 0);
	assert_string_equal(get(), "none");
}

static void test_refused_before_any_write(void **state)
{
	(void)state;
	assert_untouched(set("mlx5_core"), -ENOENT, "modprobe mlx5_core");
	tree_vf(&t, PF, 0, "0000:01:10.2", -1);
	assert_untouched(set("vfio-pci override=vfio-pci"), -EINVAL, "no IOMMU group");
}

static void test_group_held(void **state)
{
	(void)state;
	tree_bind(&t, VF, "vfio-pci");
	t.fence = -EBUSY;
	assert_untouched(set("none"), -EBUSY, "/dev/vfio/11");
	assert_int_equal(err.name, VNET_E_IN_USE);
	t.holders[t.n_holders++] = (struct holder){ .pid = 812,
						    .comm = "qemu-system-x86",
						    .guest = "vm1",
						    .iommu_group = 11,
						    .vfio_dev = -1,
						    .node = "/dev/vfio/11" };
	assert_untouched(set("none"), -EBUSY, "qemu-system-x86 (pid 812, guest vm1)");
	assert_string_equal(get(), "vfio-pci");
}

/* An open cdev does not make its group busy, and would hang the unbind all the same. */
static void test_cdev_held(void **state)
{
	(void)state;
	tree_bind(&t, VF, "vfio-pci");
	t.holders[t.n_holders++] = (struct holder){ .pid = 9,
						    .comm = "x",
						    .iommu_group = -1,
						    .vfio_dev = 5,
						    .node = "/dev/vfio/devices/vfio5" };
	assert_int_equal(set("none"), -EBUSY);
	assert_string_equal(t.log, "fence=open;");
	assert_non_null(strstr(err.text, "/dev/vfio/devices/vfio5"));
	t.fence = -ENOENT; /* a kernel without group nodes */
	assert_untouched(set("none"), -EBUSY, "x (pid 9)");
	t.holders[0].vfio_dev = 6;
	assert_int_equal(set("none"), 0);
}

static void test_native_in_use(void **state)
{
	const char *vfio = "vfio-pci override=vfio-pci";

	(void)state;
	tree_bind(&t, VF, "igbvf");
	tree_interface(&t, VF, "eth9", 9);
	t.n_links = 2;
	t.links[0] = (struct link){ .ifindex = 9, .name = "eth9", .up = true };
	t.links[1] = (struct link){ .ifindex = 12, .name = "br0" };
	assert_untouched(set(vfio), -EBUSY, "its interface is up");
	t.links[0] = (struct link){ .ifindex = 9, .name = "eth9", .master = 12 };
	assert_untouched(set(vfio), -EBUSY, "is in br0");
	t.links[0] = (struct link){ .ifindex = 9, .name = "eth9", .addresses = 1 };
	assert_untouched(set(vfio), -EBUSY, "has addresses");
	t.links[0] = (struct link){ .ifindex = 9, .name = "eth9" };
	t.links[1].lower = 9;
	assert_untouched(set(vfio), -EBUSY, "br0 is on top");
	t.links[1].lower = 0;
	assert_int_equal(set(vfio), 0);
	assert_string_equal(get(), vfio);
}

static void test_native_elsewhere(void **state)
{
	(void)state;
	tree_bind(&t, VF, "igbvf");
	tree_dir(&t, DEV "/net");
	assert_untouched(set("none"), -EBUSY, "another network namespace");
}

static void test_native_with_vdpa_or_uio(void **state)
{
	(void)state;
	tree_bind(&t, VF, "igbvf");
	tree_dir(&t, DEV "/uio/uio0");
	t.holders[t.n_holders++] = (struct holder){
		.pid = 7, .comm = "testpmd", .iommu_group = -1, .vfio_dev = -1, .node = "/dev/uio0"
	};
	assert_untouched(set("none"), -EBUSY, "testpmd (pid 7)");
	tree_link(&t, "../../../devices/pci0000:00/" VF "/vdpa0", "sys/bus/vdpa/devices/vdpa0");
	assert_untouched(set("none"), -EBUSY, "vDPA device vdpa0");
}

/* A set either happened or did not. */
static void test_bind_fails(void **state)
{
	(void)state;
	tree_bind(&t, VF, "igbvf");
	t.fail_path = "vfio-pci/bind";
	t.fail = -EINVAL;
	assert_int_equal(set("vfio-pci override=vfio-pci"), -EINVAL);
	assert_non_null(strstr(err.text, "igbvf -> vfio-pci"));
	assert_non_null(strstr(err.text, "Invalid argument"));
	assert_string_equal(get(), "igbvf");
}

static void test_each_write_fails(void **state)
{
	static const char *const paths[] = { "driver_override", "igbvf/bind", "vfio-pci/unbind",
					     "/reset" };

	(void)state;
	tree_bind(&t, VF, "vfio-pci");
	tree_file(&t, "vfio-pci\n", DEV "/driver_override");
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		t.fail_path = paths[i];
		t.fail = -EIO;
		assert_int_equal(set("igbvf"), -EIO);
		assert_string_equal(get(), "vfio-pci override=vfio-pci");
	}
	t.fail_path = "/reset";
	t.fail = -ENOTTY; /* it can't: then there is nothing to be done */
	assert_int_equal(set("igbvf"), 0);
}

static void test_silent_refusal(void **state)
{
	(void)state;
	t.silent = true;
	t.fail_path = "vfio-pci/bind";
	assert_int_equal(set("vfio-pci override=vfio-pci"), -EIO);
	assert_non_null(strstr(err.text, "said yes"));
	assert_string_equal(get(), "none");
	t.fail_path = "vfio-pci/unbind";
	assert_int_equal(set("vfio-pci override=vfio-pci"), 0);
	assert_int_equal(set("none"), -EIO);
	assert_null(strstr(t.log, "/reset")); /* never under a driver */
	assert_string_equal(get(), "vfio-pci override=vfio-pci");
}

/* ---- by address ---- */

static void test_vf_by_address(void **state)
{
	(void)state;
	assert_string_equal(get_of(VF), "none");
	assert_string_equal(get_of("0000:01:10.2"), KNOB_ABSENT);
	assert_int_equal(set_of("0000:01:10.2", "none"), -ENOENT);
	assert_non_null(strstr(err.text, "no such function"));
	assert_int_equal(set_of(VF, "vfio-pci override=vfio-pci"), 0);
	assert_string_equal(get(), "vfio-pci override=vfio-pci");
	t.fence = -EBUSY;
	assert_int_equal(knob_find("driver")->check_free(t.k, VF, &err), -EBUSY);
	assert_int_equal(knob_find("driver")->check_free(t.k, "0000:01:10.2", &err), 0);
	assert_int_equal(knob_find("driver")->check_free(t.k, "vn0123456789a", &err), 0);
	assert_int_equal(knob_find("driver")->check_free(t.k, "", &err), 0);
}

static void test_pf(void **state)
{
	const char *vfio = "vfio-pci override=vfio-pci";
	char virtfn[192];

	(void)state;
	tree_dir(&t, DRV "/igb");
	tree_bind(&t, PF, "igb");
	tree_interface(&t, PF, "eth1", 8);
	t.n_links = 1;
	t.links[0] = (struct link){ .ifindex = 8, .name = "eth1", .up = true };
	assert_untouched(set_of(PF, vfio), -EBUSY, "it has 1 VF: they would go");
	assert_untouched(set_of(PF, "none"), -EBUSY, "it has 1 VF: they would go");
	snprintf(virtfn, sizeof(virtfn), "%s/sys/bus/pci/devices/" PF "/virtfn0", t.dir);
	assert_int_equal(unlink(virtfn), 0);
	t.links[0].routes = 1;
	assert_untouched(set_of(PF, vfio), -EBUSY, "routes go through");
	t.links[0].routes = 0;
	t.links[0].addresses = 1;
	assert_untouched(set_of(PF, vfio), -EBUSY, "has addresses");
	/* A PF is up for its VFs' sake. */
	t.links[0].addresses = 0;
	assert_int_equal(set_of(PF, vfio), 0);
	assert_string_equal(t.log, DRV "/igb/unbind=" PF ";sys/bus/pci/devices/" PF
				       "/driver_override=vfio-pci;" DRV "/vfio-pci/bind=" PF ";");
	assert_string_equal(get_of(PF), vfio);
	assert_int_equal(set_of(PF, "igb"), 0);
	assert_string_equal(get_of(PF), "igb");
}

static void test_group_blocked(void **state)
{
	(void)state;
	/* A port, and what nobody uses, are in nobody's way. */
	tree_function(&t, "0000:00:02.0", 0x060400, 0x3420, 11);
	tree_bind(&t, "0000:00:02.0", "shpchp");
	tree_function(&t, "0000:01:00.2", 0x020000, 0x10c9, 11);
	tree_bind(&t, "0000:01:00.2", "pci-stub");
	tree_dir(&t, GROUP "/0000:00:02.0");
	tree_dir(&t, GROUP "/0000:01:00.2");
	tree_dir(&t, GROUP "/" VF);
	assert_int_equal(set_of(VF, "vfio-pci override=vfio-pci"), 0);
	assert_int_equal(set_of(VF, "none"), 0);
	tree_function(&t, "0000:01:00.1", 0x020000, 0x10c9, 11);
	tree_bind(&t, "0000:01:00.1", "igb");
	tree_dir(&t, GROUP "/0000:01:00.1");
	assert_untouched(set_of(VF, "vfio-pci override=vfio-pci"), -EBUSY,
			 "its IOMMU group also holds 0000:01:00.1 (igb)");
}

static void test_without_iommu(void **state)
{
	const char *vfio = "vfio-pci override=vfio-pci";

	(void)state;
	tree_vf(&t, PF, 1, "0000:01:10.2", -1);
	assert_untouched(set_of("0000:01:10.2", vfio), -EINVAL, "no IOMMU group");
	tree_file(&t, "N\n", "sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
	assert_untouched(set_of("0000:01:10.2", vfio), -EINVAL, "no IOMMU group");
	tree_file(&t, "Y\n", "sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
	assert_untouched(set_of(PF "/vf1", vfio), -EINVAL, "no IOMMU group");
	assert_int_equal(set_of("0000:01:10.2", vfio), 0);
}

static void test_default(void **state)
{
	(void)state;
	assert_true(knob_find("driver")->matches("default", "igbvf"));
	assert_false(knob_find("driver")->matches("default", "igbvf override=igbvf"));
	assert_false(knob_find("driver")->matches("default", "none"));
	assert_false(knob_find("driver")->matches("default", "vfio-pci"));
	assert_false(knob_find("driver")->matches("default", KNOB_ABSENT));
	/* autoprobe 0: what its siblings have */
	tree_bind(&t, VF, "vfio-pci");
	tree_file(&t, "0\n", "sys/bus/pci/devices/" PF "/sriov_drivers_autoprobe");
	assert_untouched(set_of(VF, "default"), -ENODEV, "name it");
	tree_vf(&t, PF, 1, "0000:01:10.2", 12);
	tree_bind(&t, "0000:01:10.2", "igbvf");
	tree_interface(&t, VF, "eth9", 9); /* which is waited for */
	assert_int_equal(set_of(VF, "default"), 0);
	assert_string_equal(get(), "igbvf");
	/* One of the host's stays, and loses its override. */
	tree_file(&t, "igbvf\n", DEV "/driver_override");
	assert_int_equal(set_of(VF, "default"), 0);
	assert_string_equal(t.log, DEV "/driver_override=\\n;");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_spelling),
		CASE(test_absent),
		CASE(test_to_vfio_and_back_to_none),
		CASE(test_from_vfio_to_native),
		CASE(test_override_alone),
		CASE(test_refused_before_any_write),
		CASE(test_group_held),
		CASE(test_cdev_held),
		CASE(test_native_in_use),
		CASE(test_native_elsewhere),
		CASE(test_native_with_vdpa_or_uio),
		CASE(test_bind_fails),
		CASE(test_each_write_fails),
		CASE(test_silent_refusal),
		CASE(test_vf_by_address),
		CASE(test_pf),
		CASE(test_group_blocked),
		CASE(test_without_iommu),
		CASE(test_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
