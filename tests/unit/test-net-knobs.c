/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Knobs of interfaces over the fake kernel. Run from the top of the source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/host.h"
#include "lib/cleanup.h"
#include "tests/unit/fake-host.h"

#define TAP "vn0123456789a"
#define TAP2 "vnfedcba98765"

static char dir[64];
static struct kernel *k;
static struct vnet_err err;

static int setup(void **state)
{
	static const char *const options[] = { "--bridge", "br1",      "--bridge", "br2,vlan",
					       "--tap",	   "--guests", "0",	   NULL };

	(void)state;
	err = VNET_ERR_INIT;
	fake_host_new(dir, options);
	assert_int_equal(kernel_open(&k, dir, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	k = kernel_close(k);
	fake_host_free(dir);
	return 0;
}

static int set(const char *knob, const char *object, const char *value)
{
	int r;

	err = VNET_ERR_INIT;
	r = knob_find(knob)->set(k, object, value, &err);
	assert_int_equal(r, err.code);
	return r;
}

static void set_well(const char *knob, const char *object, const char *value)
{
	if (set(knob, object, value) < 0)
		fail_msg("%s %s %s: %s", knob, object, value, err.text);
}

static void assert_is(const char *knob, const char *object, const char *expected)
{
	char value[KNOB_VALUE_MAX];

	assert_int_equal(knob_find(knob)->get(k, object, value, &err), 0);
	assert_string_equal(value, expected);
}

static void assert_refused(int r, int expected, const char *text)
{
	assert_int_equal(r, expected);
	if (!strstr(err.text, text))
		fail_msg("'%s' lacks '%s'", err.text, text);
}

static bool matches(const char *knob, const char *wanted, const char *actual)
{
	return knob_find(knob)->matches(wanted, actual);
}

/* The script that edits fake.json under its lock, as flow tests do. */
static void edit(const char *expression)
{
	char command[512];

	snprintf(
		command, sizeof(command),
		"flock %s/fake.lock sh -c \"jq '%s' %s/fake.json >%s/new && mv %s/new %s/fake.json\"",
		dir, expression, dir, dir, dir, dir);
	assert_int_equal(system(command), 0);
}

static char *writes(void)
{
	static char text[4096];
	char path[96];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/writes.log", dir);
	f = fopen(path, "re");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = '\0';
	if (f)
		fclose(f);
	remove(path);
	return text;
}

static void test_table(void **state)
{
	static const char *const names[] = { "tap",	"macvtap", "net-mac",
					     "net-mtu", "net-up",  "bridge-port" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct knob *knob = knob_find(names[i]);

		assert_non_null(knob);
		assert_string_equal(knob->lane, "net");
		assert_int_equal(knob->owner, KNOB_OF_ATTACHMENT);
		assert_false(knob->live);
		assert_int_equal(set(names[i], "a/b", "x"), -EINVAL);
		assert_is(names[i], TAP, KNOB_ABSENT);
	}
	assert_string_equal(knob_find("tap")->idle, KNOB_ABSENT);
	assert_string_equal(knob_find("macvtap")->idle, KNOB_ABSENT);
	assert_string_equal(knob_find("bridge-port")->idle, "none");
	assert_null(knob_find("net-up")->idle);
	/* What the way back asks of any object before it touches a VF. */
	assert_int_equal(knob_find("tap")->check_free(k, TAP, &err), 0);
}

static void test_tap(void **state)
{
	(void)state;
	set_well("tap", TAP, "queues 1");
	assert_is("tap", TAP, "queues 1");
	assert_string_equal(writes(), "netdev_add\t" TAP "\ttap one\tok\t\n");
	set_well("tap", TAP, "queues 1"); /* is so */
	assert_refused(set("tap", TAP, "queues 4"), -EEXIST, "for one queue");
	set_well("tap", TAP2, "queues 8");
	assert_is("tap", TAP2, "queues 2");
	set_well("tap", TAP, KNOB_ABSENT);
	assert_is("tap", TAP, KNOB_ABSENT);
	set_well("tap", TAP, KNOB_ABSENT);
	set_well("tap", TAP2, KNOB_ABSENT);
	assert_string_equal(writes(), "netdev_add\t" TAP2 "\ttap many\tok\t\n"
				      "netdev_del\t" TAP "\t\tok\t\n"
				      "netdev_del\t" TAP2 "\t\tok\t\n");

	assert_refused(set("tap", TAP, "queues 0"), -EINVAL, "expected queues N");
	assert_refused(set("tap", TAP, "queues 257"), -EINVAL, "expected queues N");
	assert_refused(set("tap", TAP, "queues"), -EINVAL, "expected queues N");
	assert_refused(set("tap", "a-name-that-is-too-long", "queues 1"), -EINVAL, "no name");
	assert_true(matches("tap", "queues 256", "queues 2"));
	assert_true(matches("tap", "queues 1", "queues 1"));
	assert_false(matches("tap", "queues 1", "queues 2"));
	assert_false(matches("tap", "queues 1", KNOB_ABSENT));
	assert_false(matches("tap", KNOB_ABSENT, "queues 1"));
	assert_true(matches("tap", KNOB_ABSENT, KNOB_ABSENT));
	assert_false(matches("tap", "foreign bridge", "foreign bridge"));
}

/* Whoever made what is there: it is not deleted. */
static void test_foreign(void **state)
{
	(void)state;
	assert_is("tap", "br1", "foreign bridge");
	assert_is("tap", "enp1s0", "foreign physical interface");
	assert_is("macvtap", "tap0", "foreign tun");
	assert_refused(set("tap", "br1", KNOB_ABSENT), -EEXIST, "foreign bridge");
	assert_refused(set("tap", "br1", "queues 1"), -EEXIST, "not vnetd's");
	assert_refused(set("macvtap", "tap0", KNOB_ABSENT), -EEXIST, "foreign tun");
	assert_refused(set("macvtap", "br1", "on enp1s0 mode bridge"), -EEXIST, "foreign bridge");
	set_well("tap", TAP, "queues 1");
	edit("(.links[] | select(.name == \\\"" TAP "\\\")).tapPersistent = false");
	assert_is("tap", TAP, "foreign tun");
	edit("(.links[] | select(.name == \\\"" TAP "\\\")).tapPersistent = true | "
	     ".netdevs[\\\"" TAP "\\\"].ip = true");
	assert_is("tap", TAP, "foreign tun");
}

static void hold(const char *object)
{
	char expression[256];

	snprintf(expression, sizeof(expression),
		 ".holders += [{interface: \\\"%s\\\", pid: 812, comm: \\\"qemu\\\", "
		 "guest: \\\"vm1\\\"}]",
		 object);
	edit(expression);
}

static void test_busy(void **state)
{
	(void)state;
	set_well("tap", TAP, "queues 2");
	hold(TAP);
	assert_refused(set("tap", TAP, KNOB_ABSENT), -EBUSY, "qemu (pid 812, guest vm1)");
	assert_is("tap", TAP, "queues 2");
	edit(".holders = []");
	set_well("tap", TAP, KNOB_ABSENT);

	set_well("macvtap", TAP, "on enp1s0 mode vepa");
	hold(TAP);
	assert_refused(set("macvtap", TAP, KNOB_ABSENT), -EBUSY, "qemu (pid 812, guest vm1)");
	edit(".holders = []");
	set_well("macvtap", TAP, KNOB_ABSENT);
}

static void test_macvtap(void **state)
{
	(void)state;
	set_well("macvtap", TAP, "on enp1s0 mode bridge");
	assert_is("macvtap", TAP, "on enp1s0 mode bridge");
	set_well("macvtap", TAP, "on enp1s0 mode bridge");
	assert_refused(set("macvtap", TAP, "on enp1s0 mode vepa"), -EEXIST, "mode bridge");
	assert_refused(set("macvtap", TAP2, "on enp1s0 mode passthru"), -EINVAL, "on enp1s0");
	assert_refused(set("bridge-port", "enp1s0", "br1"), -EBUSY, "busy");
	set_well("macvtap", TAP2, "on enp2s0 mode passthru");
	assert_is("macvtap", TAP2, "on enp2s0 mode passthru");
	set_well("macvtap", TAP, KNOB_ABSENT);
	assert_is("macvtap", TAP, KNOB_ABSENT);
	/* It goes with what is below it. */
	assert_int_equal(kernel_write(k, "0000:02:00.0", "sys/bus/pci/drivers/igb/unbind"), 0);
	assert_is("macvtap", TAP2, KNOB_ABSENT);

	assert_refused(set("macvtap", TAP, "on eth9 mode bridge"), -ENODEV, "no interface eth9");
	assert_refused(set("macvtap", TAP, "on enp1s0 mode source"), -EINVAL, "expected");
	assert_refused(set("macvtap", TAP, "on enp1s0 mode bridge x"), -EINVAL, "expected");
	assert_refused(set("macvtap", TAP, "enp1s0"), -EINVAL, "expected");
	assert_false(matches("macvtap", "on a mode bridge", "on b mode bridge"));
	assert_false(matches("macvtap", "on a mode bridge", "on a mode vepa"));
	assert_false(matches("macvtap", "on a mode bridge", KNOB_ABSENT));
	assert_true(matches("macvtap", KNOB_ABSENT, KNOB_ABSENT));
}

static void test_net(void **state)
{
	(void)state;
	set_well("tap", TAP, "queues 1");
	set_well("net-mac", TAP, "FE:54:00:01:02:03");
	assert_is("net-mac", TAP, "fe:54:00:01:02:03");
	assert_is("net-mtu", TAP, "1500");
	set_well("net-mtu", TAP, "9000");
	assert_is("net-mtu", TAP, "9000");
	assert_is("net-up", TAP, "down");
	set_well("net-up", TAP, "up");
	assert_is("net-up", TAP, "up");
	set_well("net-up", TAP, "down");
	assert_is("net-up", TAP, "down");

	assert_refused(set("net-mac", TAP, "01:00:5e:00:00:01"), -EINVAL, "expected a MAC");
	assert_refused(set("net-mtu", TAP, "67"), -EINVAL, "68 to 65535");
	assert_refused(set("net-mtu", TAP, "1500x"), -EINVAL, "68 to 65535");
	assert_refused(set("net-up", TAP, KNOB_ABSENT), -EINVAL, "up or down");
	assert_refused(set("net-up", TAP2, "up"), -ENODEV, "no interface " TAP2);
	assert_refused(set("net-mac", TAP2, "fe:54:00:01:02:03"), -ENODEV, TAP2);
	assert_true(matches("net-mac", "FE:54:00:01:02:03", "fe:54:00:01:02:03"));
	assert_false(matches("net-mac", "fe:54:00:01:02:03", KNOB_ABSENT));
	assert_true(matches("net-mtu", "1500", "1500"));
	assert_false(matches("net-mtu", "1500", KNOB_ABSENT));
}

static void test_port(void **state)
{
	(void)state;
	set_well("tap", TAP, "queues 1");
	assert_is("bridge-port", TAP, "none");
	set_well("bridge-port", TAP, "br1");
	assert_is("bridge-port", TAP, "br1");
	assert_refused(set("bridge-port", TAP, "br2"), -EBUSY, "a port of br1 already");
	set_well("bridge-port", TAP, "br1 isolated");
	assert_is("bridge-port", TAP, "br1 isolated");
	set_well("bridge-port", TAP, "none");
	set_well("bridge-port", TAP, "none");
	assert_is("bridge-port", TAP, "none");
	assert_refused(set("bridge-port", TAP, "br1 vlan 100"), -EINVAL, "vlan_filtering 1");
	assert_refused(set("bridge-port", TAP, "br9"), -ENODEV, "no bridge br9");
	assert_refused(set("bridge-port", TAP, "enp1s0"), -EINVAL, "no Linux bridge");
	assert_refused(set("bridge-port", TAP2, "br1"), -ENODEV, TAP2);
	assert_is("bridge-port", TAP, "none");
	/* It goes with its interface. */
	set_well("bridge-port", TAP, "br1");
	set_well("tap", TAP, KNOB_ABSENT);
	assert_is("bridge-port", TAP, KNOB_ABSENT);
}

static void test_port_vlans(void **state)
{
	(void)state;
	set_well("tap", TAP, "queues 1");
	writes();
	set_well("bridge-port", TAP, "br2 vlan 100 isolated");
	assert_is("bridge-port", TAP, "br2 vlan 100 isolated");
	assert_non_null(strstr(writes(), "port_set:vlans\t" TAP "\t100/\tok\t\n"
					 "port_set:isolated\t" TAP "\ton\tok"));
	set_well("bridge-port", TAP, "br2 trunk 20-30,10,31");
	assert_is("bridge-port", TAP, "br2 trunk 10,20-31");
	set_well("bridge-port", TAP, "br2 vlan 7 trunk 8-9");
	assert_is("bridge-port", TAP, "br2 vlan 7 trunk 8-9");
	/* Back to what any port has. */
	set_well("bridge-port", TAP, "br2");
	assert_is("bridge-port", TAP, "br2 vlan 1 default");
	set_well("bridge-port", TAP, "br2 vlan 1");
	set_well("bridge-port", TAP, "br2 vlan 1 default");
	writes();
	set_well("bridge-port", TAP, "none");
	set_well("bridge-port", TAP, "br2");
	assert_null(strstr(writes(), "port_set"));
	/* No VLAN at all is not what was asked for. */
	edit(".netdevs[\\\"" TAP "\\\"].port = {}");
	assert_is("bridge-port", TAP, "br2 vlans ?");
	edit(".netdevs.br2.defaultPvid = 0");
	assert_is("bridge-port", TAP, "br2");
}

static void test_port_spelling(void **state)
{
	static const char *const bad[] = { "br2 vlan",
					   "br2 vlan 0",
					   "br2 vlan 4095",
					   "br2 vlan 1-2",
					   "br2 vlan 1,2",
					   "br2 vlan 1 vlan 2",
					   "br2 trunk",
					   "br2 trunk 1,",
					   "br2 trunk 2-1",
					   "br2 trunk 4090-4095",
					   "br2 trunk 1 trunk 2",
					   "br2 vlan 5 trunk 1-9",
					   "br2 isolated isolated",
					   "br2 default",
					   "br2 tagged 1",
					   "none isolated",
					   "absent",
					   "" };

	(void)state;
	set_well("tap", TAP, "queues 1");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_refused(set("bridge-port", TAP, bad[i]), -EINVAL, "expected none");
	assert_true(matches("bridge-port", "br2 trunk 3,1-2", "br2 trunk 1-3"));
	assert_true(matches("bridge-port", "br2", "br2 vlan 1 default"));
	assert_true(matches("bridge-port", "br2 vlan 1", "br2 vlan 1 default"));
	assert_true(matches("bridge-port", "br2 vlan 1 default", "br2"));
	assert_true(matches("bridge-port", "br2 isolated vlan 5", "br2 vlan 5 isolated"));
	assert_false(matches("bridge-port", "br2", "br2 vlan 2"));
	assert_false(matches("bridge-port", "br2 vlan 2", "br2"));
	assert_false(matches("bridge-port", "br2 vlan 2", "br2 vlan 1 default"));
	assert_false(matches("bridge-port", "br2 vlan 2", "br2 vlans ?"));
	assert_false(matches("bridge-port", "br2", "br2 isolated"));
	assert_false(matches("bridge-port", "br2", "br2 (openvswitch)"));
	assert_false(matches("bridge-port", "none", KNOB_ABSENT));
	assert_true(matches("bridge-port", "none", "none"));
	assert_false(matches("bridge-port", "br2", "br1"));
}

static void test_too_many_ranges(void **state)
{
	char value[KNOB_VALUE_MAX] = "br2 trunk 1";
	size_t n = strlen(value);

	(void)state;
	set_well("tap", TAP, "queues 1");
	for (int i = 1; i < 32; i++)
		n += (size_t)snprintf(value + n, sizeof(value) - n, ",%d", 2 * i + 1);
	set_well("bridge-port", TAP, value);
	assert_is("bridge-port", TAP, value);
	strcpy(value + n, ",99");
	assert_refused(set("bridge-port", TAP, value), -EINVAL, "at most 32");
}

/* What could not be done whole is not done. */
static void test_port_undone(void **state)
{
	(void)state;
	set_well("tap", TAP, "queues 1");
	fake_host_put(dir, "fail", "port_set:vlans:* ENOMEM\n");
	assert_refused(set("bridge-port", TAP, "br2 vlan 100"), -ENOMEM, "bridge-port " TAP);
	assert_is("bridge-port", TAP, "none");
	fake_host_put(dir, "fail", "port_set:isolated:* ENOMEM\n");
	assert_refused(set("bridge-port", TAP, "br1 isolated"), -ENOMEM, "br1 isolated");
	assert_is("bridge-port", TAP, "none");
}

/* A bond or Open vSwitch is nobody's to leave but its own. */
static void test_other_master(void **state)
{
	(void)state;
	set_well("tap", TAP, "queues 1");
	set_well("bridge-port", TAP, "br1");
	edit("(.links[] | select(.name == \\\"br1\\\")).kind = \\\"openvswitch\\\"");
	assert_is("bridge-port", TAP, "br1 (openvswitch)");
	assert_refused(set("bridge-port", TAP, "none"), -EBUSY, "left alone");
	assert_refused(set("bridge-port", TAP, "br2"), -EBUSY, "port of br1 already");
	edit("(.links[] | select(.name == \\\"br1\\\")) |= (.kind = \\\"bridge\\\" | "
	     ".name = \\\"none\\\")");
	err = VNET_ERR_INIT;
	assert_int_equal(knob_find("bridge-port")->get(k, TAP, (char[KNOB_VALUE_MAX]){ 0 }, &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "rename the bridge"));
}

static void test_half_set(void **state)
{
	bool (*half)(const char *before, const char *after, const char *actual) =
		knob_find("bridge-port")->half_set;

	(void)state;
	assert_true(half("none", "br2 vlan 100", "br2 vlan 1 default"));
	assert_true(half("none", "br2 vlan 100", "br2 vlans ?"));
	assert_true(half("none", "br2 vlan 100 isolated", "br2 vlan 100"));
	assert_true(half("absent", "br2 vlan 100", "br2"));
	assert_false(half("none", "br2 vlan 100", "br1"));
	assert_false(half("none", "br2 vlan 100", "br22"));
	assert_false(half("none", "br2 vlan 100", "none"));
	assert_false(half("none", "br2", "br2 (openvswitch)"));
	assert_false(half("br2 vlan 5", "br2 vlan 6", "br2 vlan 7"));
	assert_false(half("br2", "none", "none"));
}

static void test_faults(void **state)
{
	(void)state;
	fake_host_put(dir, "fail", "netdev_add:* EPERM\n");
	assert_refused(set("tap", TAP, "queues 1"), -EPERM, "not permitted");
	assert_non_null(strstr(writes(), "EPERM\tinjected"));
	fake_host_put(dir, "fail", "silent netdev_add:*\n");
	set_well("tap", TAP, "queues 1");
	assert_is("tap", TAP, KNOB_ABSENT);
	assert_refused(set("macvtap", TAP, "on enp1s0 mode bridge"), -EIO, "not there");
	fake_host_put(dir, "fail", "netdev_get:" TAP " ENOMEM\n");
	assert_refused(set("net-mtu", TAP, "1500"), -ENOMEM, "read interface " TAP);
	fake_host_put(dir, "fail", "netdev_holder ENOMEM\nnetdev_get:nothing EIO\n");
	set_well("tap", TAP, "queues 1");
	assert_refused(set("tap", TAP, KNOB_ABSENT), -ENOMEM, TAP);
	assert_is("tap", TAP, "queues 1");
}

static void test_captured(void **state)
{
	static const char *const options[] = { "--captured", "--bridged", "enp1s0", NULL };

	(void)state;
	k = kernel_close(k);
	fake_host_free(dir);
	fake_host_new(dir, options);
	assert_int_equal(kernel_open(&k, dir, &err), 0);
	assert_is("net-mtu", "enp1s0", "1500");
	assert_is("bridge-port", "enp2s0", "none");
	assert_refused(set("tap", TAP, "queues 1"), -EROFS, "captured host");
	assert_refused(set("macvtap", TAP, "on enp2s0 mode vepa"), -EROFS, "captured host");
	assert_refused(set("net-mtu", "enp1s0", "9000"), -EROFS, "captured host");
	assert_refused(set("bridge-port", "enp2s0", "br0"), -EROFS, "captured host");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_table),	  TEST(test_tap),
		TEST(test_foreign),	  TEST(test_busy),
		TEST(test_macvtap),	  TEST(test_net),
		TEST(test_port),	  TEST(test_port_vlans),
		TEST(test_port_spelling), TEST(test_too_many_ranges),
		TEST(test_port_undone),	  TEST(test_other_master),
		TEST(test_half_set),	  TEST(test_faults),
		TEST(test_captured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
