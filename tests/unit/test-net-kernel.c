/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Knobs of interfaces on the real kernel, in a network namespace of this program's
 * own. What the kernel has not (macvtap and bridge are modules) is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "daemon/host/holders.h"
#include "daemon/host/host.h"
#include "lib/cleanup.h"
#include "lib/json.h"

#define TAP "vn0123456789a"

static struct kernel *k;
static struct vnet_err err;
static bool inside; /* the namespace */

static int setup(void **state)
{
	(void)state;
	if (!inside && unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return 0;
	inside = true;
	err = VNET_ERR_INIT;
	return kernel_open(&k, "/", &err);
}

/* All that may be left of a test. */
static int teardown(void **state)
{
	(void)state;
	if (inside &&
	    system("for i in " TAP " vnbr vnlow; do ip link del $i; done 2>/dev/null") < 0)
		return -1;
	k = kernel_close(k);
	return 0;
}

static void cannot(const char *reason)
{
	print_message("%s\n", reason);
	skip();
}

static void needs_tun(void)
{
	_cleanup_close_ int fd = -1;

	if (!inside)
		cannot("no network namespace of its own: not allowed here");
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		cannot("no /dev/net/tun that could be opened");
}

static void needs_link(const char *command)
{
	char quiet[256];

	snprintf(quiet, sizeof(quiet), "ip link add %s 2>/dev/null", command);
	if (system(quiet) != 0) {
		print_message("this kernel refuses: ip link add %s\n", command);
		skip();
	}
}

static int set(const char *knob, const char *value)
{
	err = VNET_ERR_INIT;
	return knob_find(knob)->set(k, TAP, value, &err);
}

static void set_well(const char *knob, const char *value)
{
	if (set(knob, value) < 0)
		fail_msg("%s %s: %s", knob, value, err.text);
}

static void assert_is(const char *knob, const char *expected)
{
	char value[KNOB_VALUE_MAX];

	if (knob_find(knob)->get(k, TAP, value, &err) < 0)
		fail_msg("%s: %s", knob, err.text);
	assert_string_equal(value, expected);
}

/* As QEMU or libvirt does. */
static int open_queue(int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags),
			     .ifr_name = TAP };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static void test_tap(void **state)
{
	(void)state;
	needs_tun();
	for (int many = 0; many < 2; many++) {
		const char *value = many ? "queues 2" : "queues 1";
		int flags = many ? IFF_MULTI_QUEUE : 0, fd, fd2 = -1;

		assert_is("tap", KNOB_ABSENT);
		set_well("tap", value);
		assert_is("tap", value);
		fd = open_queue(flags);
		if (many)
			fd2 = open_queue(flags);
		assert_is("tap", value);
		assert_int_equal(set("tap", KNOB_ABSENT), -EBUSY);
		assert_non_null(strstr(err.text, "test-net-kernel (pid "));
		assert_is("tap", value);
		close_fd(fd);
		close_fd(fd2);
		assert_is("tap", value); /* persistent */
		set_well("tap", KNOB_ABSENT);
		assert_is("tap", KNOB_ABSENT);
	}
}

/* Where /proc does not show who it is, as with hidepid. */
static void test_fence(void **state)
{
	(void)state;
	needs_tun();
	for (int many = 0; many < 2; many++) {
		struct netdev d = { 0 };
		int fd;

		set_well("tap", many ? "queues 2" : "queues 1");
		fd = open_queue(many ? IFF_MULTI_QUEUE : 0);
		assert_int_equal(k->ops->netdev_get(k, TAP, 0, &d, &err), 0);
		assert_int_equal(k->ops->netdev_del(k, &d, &err), -EBUSY);
		assert_non_null(strstr(err.text, "has a queue of tap " TAP));
		close_fd(fd);
		set_well("tap", KNOB_ABSENT);
	}
}

/* Another's tap goes with its descriptor, and is not taken over. */
static void test_foreign(void **state)
{
	_cleanup_close_ int fd = -1;
	struct netdev d = { .link.name = TAP, .link.kind = "tun" };

	(void)state;
	needs_tun();
	fd = open_queue(0);
	assert_is("tap", "foreign tun");
	assert_int_equal(set("tap", "queues 1"), -EEXIST);
	assert_int_equal(set("tap", KNOB_ABSENT), -EEXIST);
	assert_is("tap", "foreign tun");
	close_fd(take_fd(&fd));
	set_well("tap", "queues 1"); /* it has room for the one queue */
	assert_int_equal(k->ops->netdev_add(k, &d, &err), -EEXIST);
}

static void test_net(void **state)
{
	(void)state;
	needs_tun();
	assert_is("net-mac", KNOB_ABSENT);
	assert_is("net-mtu", KNOB_ABSENT);
	assert_is("net-up", KNOB_ABSENT);
	set_well("tap", "queues 1");
	set_well("net-mac", "fe:54:00:01:02:03");
	assert_is("net-mac", "fe:54:00:01:02:03");
	set_well("net-mtu", "9000");
	assert_is("net-mtu", "9000");
	assert_int_equal(set("net-mtu", "65535"), -EINVAL);
	assert_non_null(strstr(err.text, "set MTU of interface " TAP));
	assert_is("net-up", "down");
	set_well("net-up", "up");
	assert_is("net-up", "up");
	set_well("net-up", "down");
	assert_is("net-up", "down");
	assert_is("bridge-port", "none");
	set_well("bridge-port", "none");
}

/* By its number, and only what it was. */
static void test_replaced(void **state)
{
	struct netdev d = { 0 };

	(void)state;
	needs_tun();
	set_well("tap", "queues 2");
	assert_int_equal(k->ops->netdev_get(k, TAP, 0, &d, &err), 0);
	assert_int_equal(system("ip link set " TAP " name vnlow"), 0);
	assert_int_equal(k->ops->netdev_del(k, &d, &err), -ESTALE);
	assert_int_equal(k->ops->netdev_get(k, NULL, d.link.ifindex, &d, &err), 0);
	assert_string_equal(d.link.name, "vnlow");
	assert_int_equal(k->ops->netdev_del(k, &d, &err), 0);
	assert_int_equal(k->ops->netdev_get(k, NULL, d.link.ifindex, &d, &err), -ENODEV);
	assert_int_equal(k->ops->netdev_del(k, &d, &err), d.multi_queue ? 0 : -1);
}

static void test_macvtap(void **state)
{
	static const char *const modes[] = { "private", "vepa", "bridge", "passthru" };
	struct netdev d = { 0 };
	char node[32], value[KNOB_VALUE_MAX];
	int fd;

	(void)state;
	needs_tun();
	assert_int_equal(system("ip tuntap add dev vnlow mode tap"), 0);
	needs_link("link vnlow name vnprobe type macvtap");
	assert_int_equal(system("ip link del vnprobe"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		snprintf(value, sizeof(value), "on vnlow mode %s", modes[i]);
		set_well("macvtap", value);
		assert_is("macvtap", value);
		assert_is("tap", "foreign macvtap");
		set_well("net-mac", "52:54:00:01:02:03");
		assert_int_equal(k->ops->netdev_get(k, TAP, 0, &d, &err), 0);
		snprintf(node, sizeof(node), "/dev/tap%d", d.link.ifindex);
		fd = open(node, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			cannot("the node of a macvtap may not be opened here");
		assert_int_equal(set("macvtap", KNOB_ABSENT), -EBUSY);
		close_fd(fd);
		set_well("macvtap", KNOB_ABSENT);
		assert_is("macvtap", KNOB_ABSENT);
	}
}

static void test_port(void **state)
{
	(void)state;
	needs_tun();
	needs_link("vnbr type bridge");
	set_well("tap", "queues 1");
	assert_is("bridge-port", "none");
	set_well("bridge-port", "vnbr isolated");
	assert_is("bridge-port", "vnbr isolated");
	set_well("bridge-port", "vnbr");
	assert_is("bridge-port", "vnbr");
	assert_int_equal(set("bridge-port", "vnbr vlan 100"), -EINVAL);
	set_well("bridge-port", "none");
	assert_is("bridge-port", "none");
}

static void test_port_vlans(void **state)
{
	static const char *const values[] = {
		"vnbr vlan 100",
		"vnbr trunk 10,20-30",
		"vnbr vlan 7 trunk 8-9,4094",
		"vnbr vlan 100 isolated",
	};

	(void)state;
	needs_tun();
	needs_link("vnbr type bridge vlan_filtering 1");
	set_well("tap", "queues 1");
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		set_well("bridge-port", values[i]);
		assert_is("bridge-port", values[i]);
	}
	set_well("bridge-port", "vnbr");
	assert_is("bridge-port", "vnbr vlan 1 default");
	set_well("bridge-port", "none");
	set_well("bridge-port", "vnbr vlan 5");
	assert_is("bridge-port", "vnbr vlan 5");
	set_well("tap", KNOB_ABSENT);
	assert_is("bridge-port", KNOB_ABSENT);
}

/* How a queue shows in /proc, wherever that QEMU's /dev is. */
static void test_queue_names(void **state)
{
	struct netdev tap = { .link = { .kind = "tun", .name = "vn1", .ifindex = 12 } };
	struct netdev macvtap = { .link = { .kind = "macvtap", .name = "vn2", .ifindex = 12 } };

	(void)state;
	assert_true(holders_is_queue("/dev/net/tun", &tap));
	assert_true(holders_is_queue("/net/tun", &tap));
	assert_true(holders_is_queue("/tun (deleted)", &tap));
	assert_false(holders_is_queue("socket:[12]/tun", &tap));
	assert_false(holders_is_queue("/dev/net/tunnel", &tap));
	assert_false(holders_is_queue("/dev/tap12", &tap));
	assert_true(holders_is_queue("/dev/tap12", &macvtap));
	assert_true(holders_is_queue("/tap12 (deleted)", &macvtap));
	assert_false(holders_is_queue("/dev/tap1", &macvtap));
	assert_false(holders_is_queue("/dev/tap123", &macvtap));
	assert_true(holders_fdinfo_is_of("pos:\t0\nflags:\t02\niff:\tvn1\n", "vn1"));
	assert_true(holders_fdinfo_is_of("iff:\tvn1", "vn1"));
	assert_false(holders_fdinfo_is_of("pos:\t0\niff:\tvn12\n", "vn1"));
	assert_false(holders_fdinfo_is_of("pos:\t0\niff:\t\n", "vn1"));
	assert_false(holders_fdinfo_is_of("pos:\t0\n", "vn1"));
}

/* A QEMU, as far as its descriptors go; any file may have these names. */
static void test_queue_users(void **state)
{
	char root[] = "/tmp/vnet-queues.XXXXXX", command[512];
	_cleanup_json_ json_t *rows = NULL, *names = NULL;
	_cleanup_free_ char *text = NULL;
	struct kernel at = *k; /* the real one, of that tree */

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(command, sizeof(command),
		 "cd %s && mkdir -p proc/9/fd proc/9/fdinfo proc/10/fd proc/x && "
		 "echo '9 (q) S 1' >proc/9/stat && echo '10 (q) S 1' >proc/10/stat && "
		 "for i in 3 4 7 8; do ln -s /dev/net/tun proc/9/fd/$i; done && "
		 "for i in 5 6; do ln -s /dev/vhost-net proc/9/fd/$i; done && "
		 "printf 'pos:\t0\niff:\tvn1\n' | tee proc/9/fdinfo/3 >proc/9/fdinfo/4 && "
		 "printf 'iff:\tvn2\n' >proc/9/fdinfo/7 && printf 'iff:\t\n' >proc/9/fdinfo/8 && "
		 "ln -s /dev/vhost-net proc/10/fd/3 && ln -s /dev/tap77 proc/10/fd/4",
		 root);
	assert_int_equal(system(command), 0);
	at.rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	names = json_pack("[s,s]", "lo", "nosuch0");
	assert_int_equal(host_queues_json(&at, names, &rows, &err), 0);
	text = json_dumps(rows, JSON_COMPACT | JSON_SORT_KEYS);
	assert_non_null(strstr(text, "{\"interface\":\"vn1\",\"pid\":9,\"queues\":2,\"vhost\":2}"));
	assert_non_null(strstr(text, "{\"interface\":\"vn2\",\"pid\":9,\"queues\":1,\"vhost\":2}"));
	assert_non_null(strstr(text, "\"masters\":{\"lo\":\"\"}"));
	assert_int_equal(json_array_size(json_object_get(rows, "users")),
			 2); /* no macvtap has that number here */
	close_fd(at.rootfd);
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tap),		TEST(test_fence),      TEST(test_foreign),
		TEST(test_net),		TEST(test_replaced),   TEST(test_macvtap),
		TEST(test_port),	TEST(test_port_vlans), TEST(test_queue_names),
		TEST(test_queue_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
