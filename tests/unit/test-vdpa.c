/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vDPA: what is scanned, and the knobs, over the fake kernel. Run from the
 * top of the source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/host/vdpa.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "tests/unit/fake-host.h"

#define DEV "vn0123456789a"
#define BUS "sys/bus/vdpa/"
#define ID "00000000-0000-4000-8000-000000000001.net0"
#define MAC1 "52:54:00:00:00:01"
#define VF0 "0000:01:10.0"

struct host {
	char dir[64], runtime[80];
	struct kernel *k;
	struct vnet_err err;
};

static int setup_with(void **state, const char *const *options)
{
	struct host *h = calloc(1, sizeof(*h));

	if (!h)
		return -1;
	fake_host_new(h->dir, options);
	assert_int_equal(kernel_open(&h->k, h->dir, &h->err), 0);
	snprintf(h->runtime, sizeof(h->runtime), "%s/run", h->dir);
	assert_int_equal(mkdir(h->runtime, 0755), 0);
	assert_int_equal(kernel_set_runtime(h->k, h->runtime, &h->err), 0);
	*state = h;
	return 0;
}

static int setup(void **state)
{
	const char *const options[] = { "--mgmtdev", "vdpasim_net", "--mgmtdev", "vduse", NULL };

	return setup_with(state, options);
}

static int setup_vfs(void **state)
{
	const char *const options[] = { "--vdpa-vfs", "--existing-vfs", "2",
					"--bound",    "igbvf",		NULL };

	return setup_with(state, options);
}

static int setup_none(void **state)
{
	const char *const options[] = { NULL };

	return setup_with(state, options);
}

static int teardown(void **state)
{
	struct host *h = *state;

	kernel_close(h->k);
	fake_host_free(h->dir);
	free(h);
	return 0;
}

static int set(struct host *h, const char *knob, const char *object, const char *value)
{
	h->err = VNET_ERR_INIT;
	return knob_find(knob)->set(h->k, object, value, &h->err);
}

static void set_ok(struct host *h, const char *knob, const char *object, const char *value)
{
	if (set(h, knob, object, value) < 0)
		fail_msg("%s %s %s: %s", knob, object, value, h->err.text);
}

static void refused(struct host *h, const char *knob, const char *object, const char *value, int r,
		    const char *words)
{
	assert_int_equal(set(h, knob, object, value), r);
	if (!strstr(h->err.text, words))
		fail_msg("'%s' does not say '%s'", h->err.text, words);
}

static void is(struct host *h, const char *knob, const char *object, const char *value)
{
	char actual[KNOB_VALUE_MAX];

	h->err = VNET_ERR_INIT;
	if (knob_find(knob)->get(h->k, object, actual, &h->err) < 0)
		fail_msg("%s %s: %s", knob, object, h->err.text);
	assert_string_equal(actual, value);
	assert_true(knob_find(knob)->matches(value, actual));
}

static void file_is(struct host *h, const char *path, const char *text)
{
	char buf[64];

	assert_true(kernel_read(h->k, buf, sizeof(buf), "%s", path) >= 0);
	assert_string_equal(buf, text);
}

static const char *log_of(struct host *h)
{
	static char buf[8192];

	if (kernel_read(h->k, buf, sizeof(buf), "writes.log") < 0)
		buf[0] = '\0';
	return buf;
}

/* Change fake.json: @field of the whole or of its first management device. */
static void edit(struct host *h, const char *in, const char *field, json_t *value)
{
	char path[96];
	json_t *doc;

	snprintf(path, sizeof(path), "%s/fake.json", h->dir);
	doc = json_load_file(path, 0, NULL);
	assert_non_null(doc);
	json_object_set_new(in ? json_array_get(json_object_get(doc, in), 0) : doc, field, value);
	assert_int_equal(json_dump_file(doc, path, 0), 0);
	json_decref(doc);
}

static void hold(struct host *h, const char *node)
{
	edit(h, NULL, "holders",
	     json_pack("[{s:s,s:i,s:s,s:s}]", "node", node, "pid", 812, "comm", "qemu-system-x86",
		       "guest", "vm1"));
}

/* ---- the scan ---- */

static void test_scan(void **state)
{
	struct host_scan s = { 0 }, again = { 0 };
	struct host *h = *state;
	json_t *j;

	assert_int_equal(host_scan_nics(h->k, &again, &h->err), 0);
	assert_true(again.has_vdpa);
	set_ok(h, "vdpa", DEV, "vdpasim_net mtu 1500");
	assert_int_equal(host_scan_nics(h->k, &again, &h->err), 0);
	assert_int_equal(host_scan_mgmtdevs(h->k, &s, &h->err), 0);
	assert_int_equal(s.n_mgmtdevs, 2);
	assert_string_equal(s.mgmtdevs[0].name, "vdpasim_net");
	assert_string_equal(s.mgmtdevs[1].name, "vduse");
	j = host_mgmtdevs_to_json(&s);
	assert_int_equal(host_mgmtdevs_merge_json(j, &again, &h->err), 0);
	json_decref(j);
	assert_int_equal(again.n_mgmtdevs, 2);
	assert_true(again.mgmtdevs[0].takes_mac && again.mgmtdevs[0].takes_mtu);
	assert_false(again.mgmtdevs[0].takes_vqp);
	assert_int_equal(again.mgmtdevs[0].max_vqs, 3);
	assert_true(again.mgmtdevs[0].features == s.mgmtdevs[0].features);
	assert_false(again.mgmtdevs[1].takes_mac || again.mgmtdevs[1].takes_mtu);
	assert_int_equal(again.n_vdpas, 1);
	assert_string_equal(again.vdpas[0].mgmtdev, "vdpasim_net");
	host_scan_done(&s);
	host_scan_done(&again);
}

static void test_scan_of_vfs(void **state)
{
	struct host *h = *state;
	struct host_scan s = { 0 };

	assert_int_equal(host_scan_mgmtdevs(h->k, &s, &h->err), 0);
	assert_int_equal(s.n_mgmtdevs, 4);
	assert_string_equal(s.mgmtdevs[0].name, "pci/" VF0);
	assert_true(s.mgmtdevs[0].pci.set && s.mgmtdevs[0].takes_vqp);
	host_scan_done(&s);
	set_ok(h, "driver", "0000:01:00.0/vf0", "none");
	assert_int_equal(host_scan_mgmtdevs(h->k, &s, &h->err), 0);
	assert_int_equal(s.n_mgmtdevs, 3);
	host_scan_done(&s);
}

static void test_no_vdpa(void **state)
{
	struct host *h = *state;
	struct host_scan s = { 0 };

	assert_int_equal(host_scan_nics(h->k, &s, &h->err), 0);
	assert_false(s.has_vdpa);
	assert_int_equal(host_scan_mgmtdevs(h->k, &s, &h->err), 0);
	assert_int_equal(s.n_mgmtdevs, 0);
	host_scan_done(&s);
	fake_host_put(h->dir, "fail", "mgmtdevs EIO\n");
	assert_int_equal(host_scan_mgmtdevs(h->k, &s, &h->err), -EIO);
	is(h, "vdpa", DEV, KNOB_ABSENT);
	is(h, "vdpa-driver", DEV, KNOB_ABSENT);
	is(h, "vdpa-path", ID, KNOB_ABSENT);
	set_ok(h, "vdpa", DEV, KNOB_ABSENT);
	set_ok(h, "vdpa-driver", DEV, KNOB_ABSENT);
	set_ok(h, "vdpa-path", ID, KNOB_ABSENT);
}

/* ---- knob vdpa ---- */

static void test_make_and_delete(void **state)
{
	struct host *h = *state;

	is(h, "vdpa", DEV, KNOB_ABSENT);
	set_ok(h, "vdpa", DEV, "vdpasim_net mac " MAC1 " mtu 1500");
	is(h, "vdpa", DEV, "vdpasim_net mac " MAC1 " mtu 1500");
	is(h, "vdpa-driver", DEV, "none"); /* not virtio_vdpa */
	file_is(h, BUS "drivers_autoprobe", "1");
	set_ok(h, "vdpa", DEV, "vdpasim_net mac " MAC1); /* is so */
	refused(h, "vdpa", DEV, "vdpasim_net mtu 9000", -EEXIST, "is there already");
	set_ok(h, "vdpa", "second", "vdpasim_net"); /* it has room */
	set_ok(h, "vdpa", "second", KNOB_ABSENT);
	set_ok(h, "vdpa", DEV, KNOB_ABSENT);
	is(h, "vdpa", DEV, KNOB_ABSENT);
}

static void test_autoprobe_that_was_off(void **state)
{
	struct host *h = *state;

	assert_int_equal(kernel_write(h->k, "0", BUS "drivers_autoprobe"), 0);
	set_ok(h, "vdpa", DEV, "vdpasim_net");
	file_is(h, BUS "drivers_autoprobe", "0");
}

/* A worker that is killed between: whoever looks next finishes it. */
static void test_autoprobe_left_off(void **state)
{
	struct host *h = *state;
	int dir = -1, r;
	char path[128];

	assert_int_equal(vdpa_runtime(h->k, true, &dir, &h->err), 0);
	r = file_replace_at(dir, ".autoprobe", "1", 1, 0644, &h->err);
	close(dir);
	assert_int_equal(r, 0);
	assert_int_equal(kernel_write(h->k, "0", BUS "drivers_autoprobe"), 0);
	is(h, "vdpa", DEV, KNOB_ABSENT);
	file_is(h, BUS "drivers_autoprobe", "1");
	snprintf(path, sizeof(path), "%s/vdpa/.autoprobe", h->runtime);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_refusals_of_the_kernel(void **state)
{
	struct host *h = *state;

	refused(h, "vdpa", DEV, "vduse mac " MAC1, -EOPNOTSUPP, "attributes are not supported");
	is(h, "vdpa", DEV, KNOB_ABSENT);
	file_is(h, BUS "drivers_autoprobe", "1");
	refused(h, "vdpa", DEV, "vdpasim_net mtu 1", -EINVAL, "expected a management device");
	refused(h, "vdpa", "a/b", "vdpasim_net", -EINVAL, "can't name a vDPA device");
	fake_host_put(h->dir, "fail", "silent vdpa_new:*\n");
	refused(h, "vdpa", DEV, "vdpasim_net", -EIO, "reads back as 'absent'");
	fake_host_put(h->dir, "fail", "write:sys/bus/vdpa/drivers_autoprobe EPERM\n");
	refused(h, "vdpa", DEV, "vdpasim_net", -EPERM, "drivers_autoprobe");
	fake_host_put(h->dir, "fail", "nth 3 EPERM\n"); /* back to 1 */
	refused(h, "vdpa", DEV, "vdpasim_net", -EPERM, "back to 1");
	is(h, "vdpa", DEV, KNOB_ABSENT);
	file_is(h, BUS "drivers_autoprobe", "1");
	set_ok(h, "vdpa", DEV, "vdpasim_net");
	fake_host_put(h->dir, "fail", "silent vdpa_del:*\n");
	refused(h, "vdpa", DEV, KNOB_ABSENT, -EIO, "still there");
}

/* One that offers DEV. */
static void vduse_program(const struct host *h, const char *queues_set_up)
{
	static const char *const dirs[] = { "sys/class/vduse", "sys/class/vduse/" DEV };
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", h->dir, dirs[i]);
		mkdir(path, 0755);
	}
	fake_host_put(h->dir, "sys/class/vduse/" DEV "/queues_set_up", queues_set_up);
}

static void test_vduse(void **state)
{
	struct host *h = *state;

	refused(h, "vdpa", DEV, "vduse", -EINVAL,
		"vDPA device " DEV ": no program offers a VDUSE device of this name: start one");
	is(h, "vdpa", DEV, KNOB_ABSENT);
	file_is(h, BUS "drivers_autoprobe", "1");
	vduse_program(h, "0\n");
	refused(h, "vdpa", DEV, "vduse", -EINVAL, "has not set up all of its queues");
	refused(h, "vdpa", "vn0", "vduse", -EINVAL, "no program offers");
	vduse_program(h, "1\n");
	set_ok(h, "vdpa", DEV, "vduse");
	is(h, "vdpa", DEV, "vduse");
}

static void test_waits_for_mgmtdev(void **state)
{
	struct host *h = *state;

	edit(h, "mgmtdevs", "hidden", json_integer(3));
	set_ok(h, "vdpa", DEV, "vdpasim_net");
	set_ok(h, "vdpa", DEV, KNOB_ABSENT);
	edit(h, "mgmtdevs", "hidden", json_integer(1000));
	refused(h, "vdpa", DEV, "vdpasim_net", -ENODEV, "did not come within 6 s");
}

static void test_one_device_a_function(void **state)
{
	struct host *h = *state;

	set_ok(h, "vdpa", DEV, "pci/" VF0 " mac " MAC1 " max_vqp 4");
	is(h, "vdpa", DEV, "pci/" VF0 " mac " MAC1 " max_vqp 4");
	refused(h, "vdpa", "second", "pci/" VF0, -EBUSY, "has a device already: " DEV);
	assert_int_equal(h->err.name, VNET_E_IN_USE);
	set_ok(h, "vdpa", "second", "pci/0000:01:10.2");
	/* and its VF is not taken away below it */
	refused(h, "driver", "0000:01:00.0/vf0", "none", -EBUSY, DEV);
}

/* ---- knob vdpa-driver ---- */

static void test_bind_and_unbind(void **state)
{
	struct host *h = *state;

	refused(h, "vdpa-driver", DEV, "vhost_vdpa", -ENOENT, "no such device");
	set_ok(h, "vdpa", DEV, "vdpasim_net");
	set_ok(h, "vdpa-driver", DEV, "vhost_vdpa");
	is(h, "vdpa-driver", DEV, "vhost_vdpa");
	file_is(h, BUS "devices/" DEV "/driver_override", "vhost_vdpa");
	refused(h, "vdpa", DEV, KNOB_ABSENT, -EBUSY, "bound to vhost_vdpa");
	set_ok(h, "vdpa-driver", DEV, "none");
	file_is(h, BUS "devices/" DEV "/driver_override", "(null)");
	is(h, "vdpa-driver", DEV, "none");
	set_ok(h, "vdpa-driver", DEV, "virtio_vdpa");
	set_ok(h, "vdpa-driver", DEV, "vhost_vdpa"); /* from one to the other */
	set_ok(h, "vdpa-driver", DEV, KNOB_ABSENT);  /* what was read before it was made */
	is(h, "vdpa-driver", DEV, "none");
	set_ok(h, "vdpa", DEV, KNOB_ABSENT);
	refused(h, "vdpa-driver", DEV, "igb", -EINVAL, "expected none");
}

static void test_never_under_a_guest(void **state)
{
	struct host *h = *state;

	set_ok(h, "vdpa", DEV, "vdpasim_net");
	set_ok(h, "vdpa-driver", DEV, "vhost_vdpa");
	hold(h, "/dev/vhost-vdpa-0");
	refused(h, "vdpa-driver", DEV, "none", -EBUSY,
		"qemu-system-x86 (pid 812, guest vm1), /dev/vhost-vdpa-0");
	assert_int_equal(h->err.name, VNET_E_IN_USE);
	refused(h, "vdpa-driver", DEV, "virtio_vdpa", -EBUSY, "vm1");
	refused(h, "vdpa", DEV, KNOB_ABSENT, -EBUSY, "bound to vhost_vdpa");
	assert_null(strstr(log_of(h), "hangs"));
	hold(h, "/dev/vhost-vdpa-1");
	set_ok(h, "vdpa-driver", DEV, "none");
}

/* virtio_vdpa made an interface of it. */
static void test_never_under_the_host(void **state)
{
	struct host *h = *state;
	char path[160];

	set_ok(h, "vdpa", DEV, "vdpasim_net");
	set_ok(h, "vdpa-driver", DEV, "virtio_vdpa");
	snprintf(path, sizeof(path), "mkdir -p %s/" BUS "devices/" DEV "/virtio7/net", h->dir);
	assert_int_equal(system(path), 0);
	refused(h, "vdpa-driver", DEV, "none", -EBUSY, "another network namespace");
	snprintf(path, sizeof(path), "mkdir -p %s/" BUS "devices/" DEV "/virtio7/net/eth7", h->dir);
	assert_int_equal(system(path), 0);
	fake_host_put(h->dir, BUS "devices/" DEV "/virtio7/net/eth7/ifindex", "7\n");
	edit(h, NULL, "links", json_pack("[{s:i,s:s,s:b}]", "ifindex", 7, "name", "eth7", "up", 1));
	refused(h, "vdpa-driver", DEV, "vhost_vdpa", -EBUSY, "its interface is up");
	is(h, "vdpa-driver", DEV, "virtio_vdpa");
	edit(h, NULL, "links", json_pack("[{s:i,s:s}]", "ifindex", 7, "name", "eth7"));
	set_ok(h, "vdpa-driver", DEV, "vhost_vdpa");
}

static void test_binding_fails(void **state)
{
	struct host *h = *state;

	set_ok(h, "vdpa", DEV, "vdpasim_net");
	set_ok(h, "vdpa-driver", DEV, "virtio_vdpa");
	fake_host_put(h->dir, "fail", "write:sys/bus/vdpa/drivers/vhost_vdpa/bind EOPNOTSUPP\n");
	refused(h, "vdpa-driver", DEV, "vhost_vdpa", -EOPNOTSUPP, "bind to vhost_vdpa");
	is(h, "vdpa-driver", DEV, "virtio_vdpa"); /* as before */
	set_ok(h, "vdpa-driver", DEV, "none");
	refused(h, "vdpa-driver", DEV, "vhost_vdpa", -EOPNOTSUPP, "none -> vhost_vdpa");
	file_is(h, BUS "devices/" DEV "/driver_override", "(null)");
	fake_host_put(h->dir, "fail", "silent write:sys/bus/vdpa/drivers/vhost_vdpa/bind\n");
	refused(h, "vdpa-driver", DEV, "vhost_vdpa", -EIO, "reads back as 'none'");
	fake_host_put(h->dir, "fail", "");
	set_ok(h, "vdpa-driver", DEV, "vhost_vdpa");
	fake_host_put(h->dir, "fail", "silent write:sys/bus/vdpa/drivers/vhost_vdpa/unbind\n");
	refused(h, "vdpa-driver", DEV, "none", -EIO, "still bound");
}

/* ---- knob vdpa-path ---- */

static ssize_t target(struct host *h, char *buf, size_t size)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/vdpa/" ID, h->runtime);
	return file_readlink_at(AT_FDCWD, path, buf, size);
}

static void test_path(void **state)
{
	struct host *h = *state;
	char buf[64], path[192];

	set_ok(h, "vdpa", DEV, "vdpasim_net");
	refused(h, "vdpa-path", ID, DEV, -ENODEV, "not bound to vhost_vdpa");
	set_ok(h, "vdpa-driver", DEV, "vhost_vdpa");
	is(h, "vdpa-path", ID, KNOB_ABSENT);
	set_ok(h, "vdpa-path", ID, DEV);
	is(h, "vdpa-path", ID, DEV);
	assert_true(target(h, buf, sizeof(buf)) > 0);
	assert_string_equal(buf, "/dev/vhost-vdpa-0");
	/* another number after each bind */
	set_ok(h, "vdpa-driver", DEV, "none");
	is(h, "vdpa-path", ID, "gone");
	set_ok(h, "vdpa-driver", DEV, "vhost_vdpa");
	set_ok(h, "vdpa-path", ID, DEV);
	assert_true(target(h, buf, sizeof(buf)) > 0);
	assert_string_equal(buf, "/dev/vhost-vdpa-1");
	set_ok(h, "vdpa-path", ID, KNOB_ABSENT);
	is(h, "vdpa-path", ID, KNOB_ABSENT);
	refused(h, "vdpa-path", "../x", DEV, -EINVAL, "no attachment");
	refused(h, "vdpa-path", ID, "../x", -ENODEV, "no node");
	/* what is no link is not ours */
	snprintf(path, sizeof(path), "%s/vdpa/" ID, h->runtime);
	assert_int_equal(mkdir(path, 0700), 0);
	is(h, "vdpa-path", ID, "foreign");
	refused(h, "vdpa-path", ID, KNOB_ABSENT, -EEXIST, "is no link");
	refused(h, "vdpa-path", ID, DEV, -EEXIST, "is no link");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define VFS(f) cmocka_unit_test_setup_teardown(f, setup_vfs, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_scan),
		VFS(test_scan_of_vfs),
		cmocka_unit_test_setup_teardown(test_no_vdpa, setup_none, teardown),
		CASE(test_make_and_delete),
		CASE(test_autoprobe_that_was_off),
		CASE(test_autoprobe_left_off),
		CASE(test_refusals_of_the_kernel),
		CASE(test_vduse),
		CASE(test_waits_for_mgmtdev),
		VFS(test_one_device_a_function),
		CASE(test_bind_and_unbind),
		CASE(test_never_under_a_guest),
		CASE(test_never_under_the_host),
		CASE(test_binding_fails),
		CASE(test_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
