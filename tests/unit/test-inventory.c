/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inventory over the fake kernel, with workers of its own: this program is
 * their binary too.
 */
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

#include "daemon/host/host.h"
#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "daemon/pool.h"
#include "lib/json.h"
#include "tests/fake/kernel.h"
#include "tests/unit/fake-host.h"

#define PF "0000:01:00.0"
#define VF0 "0000:01:10.0"
#define VF1 "0000:01:10.2"

struct fixture {
	char dir[64], runtime[96];
	struct manager m;
	struct kernel *k; /* to change the host behind the inventory's back */
	unsigned answers;
	int r;
	bool again;
	json_t *doc;
	struct vnet_err err;
};

static struct fixture *host(const char *const *options)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	fake_host_new(f->dir, options);
	snprintf(f->runtime, sizeof(f->runtime), "%s/run", f->dir);
	assert_int_equal(mkdir(f->runtime, 0700), 0);
	f->m.runtime_fd = open(f->runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->m.runtime_fd >= 0);
	assert_true(sd_event_new(&f->m.event) >= 0);
	assert_int_equal(workers_new(&f->m.workers, f->m.event, "/proc/self/exe", f->dir,
				     f->runtime, &f->err),
			 0);
	assert_int_equal(inventory_new(&f->m.inventory, &f->m, &f->err), 0);
	assert_int_equal(pools_new(&f->m.pools, &f->m, &f->err), 0);
	assert_int_equal(kernel_open(&f->k, f->dir, &f->err), 0);
	return f;
}

#define HOST(...) host((const char *const[]){ __VA_ARGS__, NULL })

static void gone(struct fixture *f)
{
	json_decref(f->doc);
	kernel_close(f->k);
	pools_free(f->m.pools);
	inventory_free(f->m.inventory);
	workers_free(f->m.workers);
	sd_event_unref(f->m.event);
	close(f->m.runtime_fd);
	fake_host_free(f->dir);
	free(f);
}

static void done(void *user, int r, struct vnet_err *err)
{
	struct fixture *f = user;

	f->answers++;
	f->r = r;
	f->err = *err;
	if (!f->again)
		return;
	f->again = false;
	inventory_refresh(f->m.inventory, done, f);
}

static void reply(void *user, int r, json_t *result, struct vnet_err *err)
{
	struct fixture *f = user;

	json_decref(f->doc);
	f->doc = result;
	done(user, r, err);
}

static void wait_for(struct fixture *f, unsigned answers)
{
	for (int i = 0; i < 1000 && f->answers < answers; i++)
		assert_true(sd_event_run(f->m.event, 20000) >= 0);
	assert_int_equal(f->answers, answers);
}

static void refresh(struct fixture *f)
{
	f->answers = 0;
	inventory_refresh(f->m.inventory, done, f);
	assert_int_equal(f->answers, 0); /* never from within */
	wait_for(f, 1);
}

/* The document's row for @address. */
static const json_t *shown(struct fixture *f, const char *address)
{
	const json_t *nics, *nic;
	size_t i;

	f->answers = 0;
	inventory_run(&f->m, reply, f);
	wait_for(f, 1);
	assert_int_equal(f->r, 0);
	nics = json_object_get(json_object_get(f->doc, "inventory"), "nics");
	json_array_foreach (nics, i, nic) {
		if (strcmp(json_string_value(json_object_get(nic, "address")), address) == 0)
			return nic;
	}
	fail_msg("%s is not shown", address);
	return NULL;
}

static void expect(const json_t *nic, const char *field, const char *wanted)
{
	const char *is = json_string_value(json_object_get(nic, field));

	if (!is || !strstr(is, wanted))
		fail_msg("%s is '%s', not '%s'", field, is ? is : "null", wanted);
}

static void put(struct fixture *f, const char *path, const char *value)
{
	assert_int_equal(kernel_write(f->k, value, "%s", path), 0);
}

static const struct nic *nic(struct fixture *f, const char *address)
{
	struct pci_addr a;
	const struct nic *n;

	assert_int_equal(pci_addr_parse(address, &a), 0);
	n = host_scan_nic(inventory_scan(f->m.inventory), &a);
	assert_non_null(n);
	return n;
}

/* ---- refreshing ---- */

static void a_refresh_answers_all_who_asked(void **state)
{
	struct fixture *f = HOST("--existing-vfs", "3");

	(void)state;
	assert_int_equal(inventory_scan(f->m.inventory)->n_nics, 0);
	for (int i = 0; i < 3; i++)
		inventory_refresh(f->m.inventory, done, f);
	wait_for(f, 3);
	assert_int_equal(f->r, 0);
	assert_int_equal(nic(f, PF)->num_vfs, 3);
	assert_int_equal(inventory_scan(f->m.inventory)->n_vfs, 6);
	assert_string_equal(pools_at(f->m.pools, 0)->name, "enp1s0");
	gone(f);
}

/* Who asks from within an answer gets another scan, made after the question. */
static void asking_again_looks_again(void **state)
{
	struct fixture *f = HOST("--pfs", "1");

	(void)state;
	f->again = true;
	inventory_refresh(f->m.inventory, done, f);
	wait_for(f, 1);
	assert_int_equal(nic(f, PF)->num_vfs, 0);
	put(f, "sys/bus/pci/devices/" PF "/sriov_numvfs", "2");
	wait_for(f, 2);
	assert_int_equal(nic(f, PF)->num_vfs, 2);
	gone(f);
}

static void forgotten_is_not_called(void **state)
{
	struct fixture *f = HOST("--pfs", "1");
	struct fixture other = { .answers = 0 };

	(void)state;
	inventory_refresh(f->m.inventory, done, &other);
	inventory_refresh(f->m.inventory, done, f);
	inventory_forget(f->m.inventory, &other);
	wait_for(f, 1);
	assert_int_equal(other.answers, 0);
	/* and nobody is left over at the end */
	inventory_refresh(f->m.inventory, done, f);
	sd_event_run(f->m.event, 0);
	gone(f);
}

static void a_failed_scan_keeps_the_last(void **state)
{
	struct fixture *f = HOST("--existing-vfs", "1");
	size_t n;

	(void)state;
	refresh(f);
	n = inventory_scan(f->m.inventory)->n_nics;
	fake_host_put(f->dir, "fail", "links EIO\n");
	refresh(f);
	assert_int_equal(f->r, -EIO);
	assert_non_null(strstr(f->err.text, "scan of the host"));
	assert_int_equal(inventory_scan(f->m.inventory)->n_nics, n);
	assert_int_equal(inventory_scan(f->m.inventory)->n_vfs, 2);
	/* one PF that says no costs its own attributes alone */
	fake_host_put(f->dir, "fail", "vf_get:" PF " EMSGSIZE\n");
	refresh(f);
	assert_int_equal(f->r, 0);
	assert_int_equal(inventory_scan(f->m.inventory)->n_vfs, 1);
	assert_true(json_is_null(json_object_get(shown(f, VF0), "vf")));
	gone(f);
}

/* ---- answers from memory ---- */

/* In the monitor's place: there are no events of a fake kernel. */
static bool is_quiet;

bool monitor_quiet(struct monitor *m)
{
	(void)m;
	return is_quiet;
}

static int64_t vfs_shown(struct fixture *f)
{
	return json_integer_value(json_object_get(shown(f, PF), "numVfs"));
}

static void what_is_known_is_not_read_again(void **state)
{
	struct fixture *f = HOST("--existing-vfs", "1", "--pf-up", "0", "--pf-up", "1");

	(void)state;
	is_quiet = true;
	assert_int_equal(vfs_shown(f), 1);
	/* nobody tells of it */
	put(f, "sys/bus/pci/devices/" PF "/sriov_numvfs", "0");
	put(f, "sys/bus/pci/devices/" PF "/sriov_numvfs", "2");
	assert_int_equal(vfs_shown(f), 1);
	is_quiet = false; /* an event waits to be taken in */
	assert_int_equal(vfs_shown(f), 2);
	is_quiet = true;

	put(f, "sys/bus/pci/devices/" PF "/sriov_numvfs", "0");
	put(f, "sys/bus/pci/devices/" PF "/sriov_numvfs", "3");
	assert_int_equal(vfs_shown(f), 2);
	inventory_changed(f->m.inventory);
	assert_int_equal(vfs_shown(f), 3);

	/* who is to change something looks at it all the same */
	put(f, "sys/bus/pci/devices/" PF "/sriov_numvfs", "0");
	put(f, "sys/bus/pci/devices/" PF "/sriov_numvfs", "4");
	refresh(f);
	assert_int_equal(nic(f, PF)->num_vfs, 4);
	is_quiet = false;
	gone(f);
}

static void set_done(void *user, int r, const json_t *result, struct vnet_err *err)
{
	(void)result;
	done(user, r, err);
}

static void what_a_worker_set_is_read(void **state)
{
	struct fixture *f = HOST("--existing-vfs", "1", "--pf-up", "0", "--pf-up", "1");

	(void)state;
	is_quiet = true;
	assert_false(json_is_false(json_object_get(shown(f, PF), "autoprobe")));
	f->answers = 0;
	assert_int_equal(workers_call(f->m.workers, PF, "set",
				      json_pack("{s:s,s:s,s:s}", "knob", "autoprobe", "object", PF,
						"value", "0"),
				      5000, set_done, f, &f->err),
			 0);
	wait_for(f, 1);
	assert_true(json_is_false(json_object_get(shown(f, PF), "autoprobe")));
	is_quiet = false;
	gone(f);
}

/* Nobody announces who opens what: it is looked at each time. */
static void holders_are_never_old(void **state)
{
	struct fixture *f =
		HOST("--existing-vfs", "1", "--bound", "vfio-pci", "--pf-up", "0", "--pf-up", "1");
	struct pci_addr vf;

	(void)state;
	is_quiet = true;
	expect(shown(f, VF0), "state", "free");
	assert_int_equal(pci_addr_parse(VF0, &vf), 0);
	assert_int_equal(fake_kernel_hold(f->dir, &vf, 4711, "vm7", &f->err), 0);
	expect(shown(f, VF0), "reason", "vm7");
	assert_int_equal(fake_kernel_release(f->dir, &vf, &f->err), 0);
	expect(shown(f, VF0), "state", "free");
	fake_host_put(f->dir, "fail", "holders EIO\n");
	f->answers = 0;
	inventory_run(&f->m, reply, f);
	wait_for(f, 1);
	assert_int_equal(f->r, -EIO);
	is_quiet = false;
	gone(f);
}

/* A PF that is down, or that did not say all, cannot be known. */
static void what_is_not_announced_is_read(void **state)
{
	struct fixture *f = HOST("--existing-vfs", "1");

	(void)state;
	is_quiet = true;
	assert_int_equal(vfs_shown(f), 1);
	put(f, "sys/bus/pci/devices/" PF "/sriov_numvfs", "0");
	put(f, "sys/bus/pci/devices/" PF "/sriov_numvfs", "2");
	assert_int_equal(vfs_shown(f), 2);
	gone(f);

	f = HOST("--existing-vfs", "1", "--pf-up", "0", "--pf-up", "1");
	fake_host_put(f->dir, "fail", "vf_get:" PF " EMSGSIZE\n");
	assert_int_equal(vfs_shown(f), 1);
	put(f, "sys/bus/pci/devices/" PF "/sriov_numvfs", "0");
	put(f, "sys/bus/pci/devices/" PF "/sriov_numvfs", "2");
	assert_int_equal(vfs_shown(f), 2);
	is_quiet = false;
	gone(f);
}

/* ---- who uses what ---- */

static void what_the_host_uses(void **state)
{
	struct fixture *f = HOST("--host-used", "1", "--bridged", "enp1s0", "--existing-vfs", "1",
				 "--bound", "igbvf");
	char text[REASON_MAX];

	(void)state;
	refresh(f);
	inventory_host_uses(f->m.inventory, nic(f, PF), text, sizeof(text));
	assert_string_equal(text, "enp1s0 is a port of bridge br0");
	inventory_host_uses(f->m.inventory, nic(f, "0000:02:00.0"), text, sizeof(text));
	assert_string_equal(text, "enp2s0 has 1 address of the host");
	expect(shown(f, "0000:02:00.0"), "state", "in-use");
	expect(shown(f, VF0), "state", "free");

	/* a VF that is up is somebody's */
	assert_int_equal(f->k->ops->link_up(f->k, nic(f, VF0)->ifindex[0], true, &f->err), 0);
	expect(shown(f, VF0), "state", "in-use");
	expect(shown(f, VF0), "reason", "host interface enp1s0v0 is up");
	gone(f);
}

static void who_holds_a_vf(void **state)
{
	struct fixture *f = HOST("--existing-vfs", "2", "--bound", "vfio-pci");
	struct pci_addr vf;
	const json_t *holder, *stale;

	(void)state;
	assert_int_equal(pci_addr_parse(VF1, &vf), 0);
	assert_int_equal(fake_kernel_hold(f->dir, &vf, 4711, "vm9", &f->err), 0);
	holder = json_object_get(shown(f, VF1), "holder");
	expect(holder, "kind", "guest");
	expect(holder, "name", "vm9");
	expect(holder, "text", "process 4711");
	assert_int_equal(json_integer_value(json_object_get(holder, "pid")), 4711);
	stale = json_object_get(json_object_get(f->doc, "inventory"), "stale");
	assert_int_equal(json_array_size(stale), 3); /* VF0, and two of the other PF */
	expect(json_array_get(stale, 0), "object", VF0);
	gone(f);
}

/* The driver is there, the interface is not: another network namespace has it. */
static void a_vf_that_went_elsewhere(void **state)
{
	struct fixture *f = HOST("--existing-vfs", "1", "--bound", "igbvf");
	char path[160];
	json_t *doc, *links;

	(void)state;
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/" VF0 "/net/enp1s0v0/ifindex", f->dir);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/fake.json", f->dir);
	doc = json_load_file(path, 0, NULL);
	links = json_object_get(doc, "links");
	for (size_t i = json_array_size(links); i > 0; i--) {
		const json_t *name = json_object_get(json_array_get(links, i - 1), "name");

		if (strcmp(json_string_value(name), "enp1s0v0") == 0)
			json_array_remove(links, i - 1);
	}
	assert_int_equal(json_dump_file(doc, path, 0), 0);
	json_decref(doc);
	expect(shown(f, VF0), "state", "in-use");
	expect(shown(f, VF0), "reason", "another network namespace");
	gone(f);
}

/* ---- why not ---- */

static void unavailable(const char *option, const char *why)
{
	struct fixture *f = HOST("--existing-vfs", "1", option);

	expect(shown(f, VF0), "state", "unavailable");
	expect(shown(f, VF0), "reason", why);
	gone(f);
}

static void why_a_vf_cannot_be_given(void **state)
{
	(void)state;
	unavailable("--no-acs", "IOMMU group 0 also holds " PF " (igb)");
	unavailable("--no-iommu", "no IOMMU group");
	unavailable("--no-intremap", "no interrupt remapping");
	unavailable("--no-vfio", "modprobe vfio-pci");
}

static void others_are_left_alone(void **state)
{
	struct fixture *f = HOST("--nvme");

	(void)state;
	expect(shown(f, "0000:0a:00.0"), "kind", "other");
	expect(shown(f, "0000:0a:00.0"), "reason", "not a network function");
	expect(shown(f, "0000:09:00.0"), "kind", "plain");
	gone(f);
}

static void files_kept_aside_are_shown(void **state)
{
	struct fixture *f = HOST("--pfs", "1");
	const json_t *stale;

	(void)state;
	assert_int_equal(mkdirat(f->m.runtime_fd, "journal", 0700), 0);
	fake_host_put(f->dir, "run/journal/x.net0.unreadable", "?");
	shown(f, PF);
	stale = json_object_get(json_object_get(f->doc, "inventory"), "stale");
	assert_int_equal(json_array_size(stale), 1);
	expect(json_array_get(stale, 0), "kind", "unreadable-file");
	expect(json_array_get(stale, 0), "object", "journal/x.net0.unreadable");
	gone(f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refresh_answers_all_who_asked),
		cmocka_unit_test(asking_again_looks_again),
		cmocka_unit_test(forgotten_is_not_called),
		cmocka_unit_test(a_failed_scan_keeps_the_last),
		cmocka_unit_test(what_the_host_uses),
		cmocka_unit_test(who_holds_a_vf),
		cmocka_unit_test(a_vf_that_went_elsewhere),
		cmocka_unit_test(what_is_known_is_not_read_again),
		cmocka_unit_test(what_a_worker_set_is_read),
		cmocka_unit_test(holders_are_never_old),
		cmocka_unit_test(what_is_not_announced_is_read),
		cmocka_unit_test(why_a_vf_cannot_be_given),
		cmocka_unit_test(others_are_left_alone),
		cmocka_unit_test(files_kept_aside_are_shown),
	};

	/* --worker --root DIR --runtime DIR, as worker.c starts its own binary */
	if (argc > 5 && strcmp(argv[1], "--worker") == 0)
		return worker_main(3, argv[3], argv[5]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
