/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The knob ovs-port against a real ovsdb-server. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <cmocka.h>

#include "daemon/host/ovs-port.h"
#include "lib/json.h"
#include "tests/unit/host-tree.h"
#include "tests/unit/ovs-server.h"

#define ID "6a51a3e7-0000-4000-8000-0123456789ab.net0"
#define ID2 "6a51a3e7-0000-4000-8000-0123456789ab.net1"
#define VN "vn0123456789a"
#define GOOD "ofport=5"

static struct tree t;
static struct ovs_server ovs;
static struct vnet_err err;
static const struct knob *knob;

static int setup(void **state)
{
	(void)state;
	err = VNET_ERR_INIT;
	knob = knob_find("ovs-port");
	tree_new(&t);
	tree_open(&t);
	return 0;
}

static int setup_server(void **state)
{
	setup(state);
	ovs_server_start(&ovs, t.dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ovs_server_stop(&ovs);
	tree_free(&t);
	return 0;
}

static int set(const char *object, const char *value)
{
	err = VNET_ERR_INIT;
	return knob->set(t.k, object, value, &err);
}

/* For what has to time out. */
static int set_soon(const char *object, const char *value)
{
	static const struct ovs_times soon = { .answer = 1000, .settle = 300, .back = 600 };

	err = VNET_ERR_INIT;
	return ovs_port_set_within(t.k, object, value, &soon, &err);
}

static void assert_set(const char *object, const char *value)
{
	if (set(object, value) < 0)
		fail_msg("%s = %s: %s", object, value, err.text);
}

static void assert_is(const char *object, const char *expected)
{
	char value[KNOB_VALUE_MAX];

	if (knob->get(t.k, object, value, &err) < 0)
		fail_msg("%s: %s", object, err.text);
	assert_string_equal(value, expected);
	assert_true(knob->matches(expected, value));
}

static void assert_says(const char *text)
{
	if (!strstr(err.text, text))
		fail_msg("not in \"%s\": %s", err.text, text);
}

#define assert_vsctl(expected, ...)                             \
	do {                                                    \
		char _out[512];                                 \
		ovs_server_vsctl(&ovs, _out, 512, __VA_ARGS__); \
		assert_string_equal(_out, expected);            \
	} while (0)

/* Rows of both tables are gone, but those of the bridges themselves. */
static void assert_no_rows(void)
{
	assert_vsctl("", "--bare --columns=name find Port 'name!=br0' 'name!=br1'");
	assert_vsctl("", "--bare --columns=name find Interface 'name!=br0' 'name!=br1'");
}

/* ---- values ---- */

static void test_matches(void **state)
{
	(void)state;
	assert_true(knob->matches("br0 id " ID, "br0 id " ID));
	assert_true(knob->matches("br0 trunks 1,2,3,5 id " ID, "br0 trunks 1-3,5 id " ID));
	assert_false(knob->matches("br0 id " ID, "br1 id " ID));
	assert_false(knob->matches("br0 id " ID, "br0 id " ID2));
	assert_false(knob->matches("br0 id " ID, "br0 tag 5 id " ID));
	assert_false(knob->matches("br0 tag 5 id " ID, "br0 trunks 5 id " ID));
	assert_false(knob->matches("br0 tag 5 id " ID, "br0 tag 6 id " ID));
	assert_false(knob->matches("br0 id " ID, KNOB_ABSENT));
	assert_false(knob->matches("br0 id " ID, "foreign br0"));
	assert_false(knob->matches(KNOB_ABSENT, "foreign br0"));
	assert_true(knob->matches(KNOB_ABSENT, KNOB_ABSENT));
}

static void test_refused_values(void **state)
{
	static const char *const bad[] = {
		"",
		"br0",
		"br0 id",
		"id " ID,
		"foreign br0",
		"br0 tag 0 id " ID,
		"br0 tag 4095 id " ID,
		"br0 tag 1,2 id " ID,
		"br0 tag 5 trunks 6 id " ID,
		"br0 trunks 0 id " ID,
		"br0 trunks id " ID,
		"br0 vlan 5 id " ID,
		"a-bridge-name-too-long id " ID,
		"br/0 id " ID,
		"br0 id an-id-that-is-longer-than-any-uuid-with-a-nics-name-behind-it",
		"br0 id " ID " x y",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (set(VN, bad[i]) != -EINVAL)
			fail_msg("accepted \"%s\"", bad[i]);
	assert_says("expected BRIDGE");
	assert_int_equal(set("an-interface-name-too-long", "br0 id " ID), -EINVAL);
	assert_int_equal(set("", KNOB_ABSENT), -EINVAL);
}

/* ---- without a server ---- */

static void test_no_openvswitch(void **state)
{
	_cleanup_json_ json_t *all = NULL;
	char value[KNOB_VALUE_MAX];

	(void)state;
	/* Its rows are in a file, which nobody reads now. */
	assert_int_equal(knob->get(t.k, VN, value, &err), -ENOENT);
	assert_int_equal(set(VN, KNOB_ABSENT), -ENOENT);
	assert_int_equal(set(VN, "br0 id " ID), -ENOENT);
	assert_says("no Open vSwitch runs here");
	assert_says("systemctl start openvswitch-switch");
	assert_int_equal(ovs_scan(t.k, &all, &err), 0);
	assert_true(json_is_false(json_object_get(all, "running")));
	assert_int_equal(json_array_size(json_object_get(all, "ports")), 0);
}

/* A socket that a server left behind: there may be ports, only nobody says so. */
static void test_dead_server(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char value[KNOB_VALUE_MAX];

	(void)state;
	tree_dir(&t, "run/openvswitch");
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/run/openvswitch/db.sock", t.dir);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	close_fd(fd);
	assert_int_equal(knob->get(t.k, VN, value, &err), -ECONNREFUSED);
	assert_says("systemctl restart openvswitch-switch");
	assert_int_equal(set(VN, KNOB_ABSENT), -ECONNREFUSED);
}

/* ---- with one ---- */

static void test_life_of_a_port(void **state)
{
	(void)state;
	ovs_server_vswitchd(&ovs, GOOD);
	assert_is(VN, KNOB_ABSENT);
	assert_set(VN, KNOB_ABSENT);
	assert_set(VN, "br0 id " ID);
	assert_is(VN, "br0 id " ID);
	assert_vsctl("br0", "port-to-br " VN);
	assert_vsctl(VN, "list-ifaces br0");
	assert_vsctl("\"" ID "\"", "get Port " VN " external_ids:vnetd");
	/* Once more: nothing to be afraid of. */
	assert_set(VN, "br0 id " ID);
	/* Other columns, another bridge; what is no longer wanted goes. */
	assert_set(VN, "br0 tag 100 id " ID);
	assert_is(VN, "br0 tag 100 id " ID);
	assert_vsctl("100", "get Port " VN " tag");
	assert_set(VN, "br0 trunks 30,20,21,10 id " ID);
	assert_is(VN, "br0 trunks 10,20-21,30 id " ID);
	assert_vsctl("[]\n[10, 20, 21, 30]", "get Port " VN " tag trunks");
	assert_set(VN, "br1 tag 7 id " ID);
	assert_is(VN, "br1 tag 7 id " ID);
	assert_vsctl("", "list-ports br0");
	assert_vsctl(VN, "list-ports br1");
	assert_vsctl("7\n[]", "get Port " VN " tag trunks");
	assert_set(VN, KNOB_ABSENT);
	assert_is(VN, KNOB_ABSENT);
	assert_no_rows();
}

static void test_widest_values(void **state)
{
	(void)state;
	ovs_server_vswitchd(&ovs, GOOD);
	assert_set(VN, "br0 trunks 1-4094 id " ID);
	assert_is(VN, "br0 trunks 1-4094 id " ID);
	/* More than a value can spell. */
	ovs_server_vsctl(&ovs, NULL, 0, "set Port " VN " trunks=$(seq -s , 1 2 999)");
	assert_is(VN, "br0 trunks other id " ID);
	assert_set(VN, "br0 tag 4094 id " ID);
	assert_is(VN, "br0 tag 4094 id " ID);
}

/* What others made of a port of ours is seen, and matches no value; it goes by setting. */
static void test_changed_by_others(void **state)
{
	(void)state;
	ovs_server_vswitchd(&ovs, GOOD);
	assert_set(VN, "br0 tag 5 id " ID);
	ovs_server_vsctl(&ovs, NULL, 0, "set Port " VN " vlan_mode=native-tagged trunks=0,5");
	assert_is(VN, "br0 tag 5 vlan_mode native-tagged trunks other id " ID);
	ovs_server_vsctl(&ovs, NULL, 0, "set Port " VN " external_ids:theirs=1");
	assert_set(VN, "br0 tag 5 id " ID);
	assert_is(VN, "br0 tag 5 id " ID);
	assert_vsctl("\"1\"", "get Port " VN " external_ids:theirs");
	ovs_server_vsctl(&ovs, NULL, 0, "del-port " VN);
	assert_is(VN, KNOB_ABSENT);
	assert_set(VN, KNOB_ABSENT);
}

static void test_no_bridge(void **state)
{
	(void)state;
	ovs_server_vswitchd(&ovs, GOOD);
	assert_int_equal(set(VN, "br7 id " ID), -ENOENT);
	assert_says("there is no Open vSwitch bridge br7: ovs-vsctl list-br");
	assert_no_rows();
	assert_set(VN, "br0 id " ID);
	assert_int_equal(set(VN, "br7 tag 5 id " ID), -ENOENT);
	assert_is(VN, "br0 id " ID);
}

static void test_foreign_ports(void **state)
{
	(void)state;
	ovs_server_vswitchd(&ovs, GOOD);
	ovs_server_vsctl(&ovs, NULL, 0, "add-port br0 tap0 tag=9");
	ovs_server_vsctl(&ovs, NULL, 0, "add-bond br0 bond0 eth8 eth9");
	assert_is("tap0", "foreign br0");
	assert_int_equal(set("tap0", "br0 id " ID), -EEXIST);
	assert_says("tap0 is a port of Open vSwitch bridge br0 that vnetd did not make");
	assert_int_equal(set("tap0", KNOB_ABSENT), -EEXIST);
	assert_vsctl("9", "get Port tap0 tag");
	/* An ID that nobody gave out is no claim. */
	ovs_server_vsctl(&ovs, NULL, 0, "set Port tap0 external_ids:vnetd='\"a b\"'");
	assert_is("tap0", "foreign br0");
	assert_int_equal(set("tap0", KNOB_ABSENT), -EEXIST);
	/* No port of that name, but a bond that has the interface. */
	assert_is("eth8", KNOB_ABSENT);
	assert_int_equal(set("eth8", "br0 id " ID), -EEXIST);
	assert_says("ovs-vsctl iface-to-br eth8");
	assert_set(VN, "br0 id " ID);
	assert_int_equal(set(VN, "br0 id " ID2), -EEXIST);
	assert_says("that of NIC " ID);
	assert_is(VN, "br0 id " ID);
}

/* ---- what ovs-vswitchd makes of it ---- */

static void test_interface_refused(void **state)
{
	(void)state;
	ovs_server_vswitchd(&ovs, "ofport=-1 error='\"could not open network device x\"'");
	assert_int_equal(set(VN, "br0 id " ID), -EIO);
	assert_says("Open vSwitch cannot use " VN ": could not open network device x");
	assert_no_rows();
	ovs_server_vswitchd(&ovs, "ofport=-1");
	assert_int_equal(set(VN, "br0 id " ID), -EIO);
	assert_says("see the log of ovs-vswitchd");
	assert_no_rows();
}

static void test_no_vswitchd(void **state)
{
	(void)state;
	assert_int_equal(set_soon(VN, "br0 id " ID), -ETIMEDOUT);
	assert_says("ovs-vswitchd does not take up port " VN);
	assert_no_rows();
	/* It can be taken out all the same, and a change of it is told. */
	ovs_server_vsctl(&ovs, NULL, 0,
			 "add-port br0 " VN " -- set Port " VN " external_ids:vnetd='\"" ID "\"'");
	assert_int_equal(set_soon(VN, "br0 tag 5 id " ID), -ETIMEDOUT);
	assert_is(VN, "br0 tag 5 id " ID);
	/* Also where it has been in use: that was with the tag before. */
	ovs_server_vsctl(&ovs, NULL, 0, "set Interface " VN " ofport=5");
	assert_int_equal(set_soon(VN, "br0 tag 6 id " ID), -ETIMEDOUT);
	assert_int_equal(set_soon(VN, KNOB_ABSENT), 0);
	assert_no_rows();
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A server that is stopped takes connections, and says nothing. */
static void test_stopped_server(void **state)
{
	double began = seconds();

	(void)state;
	kill(-ovs.server, SIGSTOP);
	assert_int_equal(set_soon(VN, "br0 id " ID), -ETIMEDOUT);
	assert_says("Open vSwitch does not answer: systemctl status openvswitch-switch");
	assert_int_equal(set_soon(VN, KNOB_ABSENT), -ETIMEDOUT);
	assert_true(seconds() - began < 8);
	kill(-ovs.server, SIGCONT);
	assert_is(VN, KNOB_ABSENT);
}

static void test_scan(void **state)
{
	_cleanup_json_ json_t *all = NULL, *expected = NULL;

	(void)state;
	ovs_server_vswitchd(&ovs, GOOD);
	ovs_server_vsctl(&ovs, NULL, 0, "add-port br1 tap0");
	assert_set(VN, "br1 tag 5 id " ID);
	assert_int_equal(ovs_scan(t.k, &all, &err), 0);
	assert_true(json_is_true(json_object_get(all, "running")));
	assert_int_equal(json_array_size(json_object_get(all, "bridges")), 2);
	expected =
		json_pack("[{s:s,s:s,s:s,s:i}]", "bridge", "br1", "port", VN, "id", ID, "tag", 5);
	assert_true(json_equal(json_object_get(all, "ports"), expected));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define SERVED(f) cmocka_unit_test_setup_teardown(f, setup_server, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_matches),
		CASE(test_refused_values),
		CASE(test_no_openvswitch),
		CASE(test_dead_server),
		SERVED(test_life_of_a_port),
		SERVED(test_widest_values),
		SERVED(test_changed_by_others),
		SERVED(test_no_bridge),
		SERVED(test_foreign_ports),
		SERVED(test_interface_refused),
		SERVED(test_no_vswitchd),
		SERVED(test_stopped_server),
		SERVED(test_scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
