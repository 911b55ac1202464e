/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fake kernel behaves as the real one was measured to, and the knobs of
 * daemon/host work over it. Run from the top of the source.
 */
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
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/host/host.h"
#include "lib/cleanup.h"
#include "tests/fake/kernel.h"
#include "tests/unit/fake-host.h"

#define PF "0000:01:00.0"
#define VF0 "0000:01:10.0"
#define VF1 "0000:01:10.2"
#define DEV "sys/bus/pci/devices/"
#define VFIO "sys/bus/pci/drivers/vfio-pci/"

struct host {
	char dir[64];
	struct kernel *k;
	struct vnet_err err;
};

/* ---- a host of its own for each test ---- */

static int setup_with(void **state, const char *option)
{
	const char *const options[] = { option, NULL };
	struct host *h = calloc(1, sizeof(*h));

	if (!h)
		return -1;
	fake_host_new(h->dir, options);
	assert_int_equal(kernel_open(&h->k, h->dir, &h->err), 0);
	assert_string_equal(h->k->ops->name, "fake");
	*state = h;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, NULL);
}

static int setup_no_acs(void **state)
{
	return setup_with(state, "--no-acs");
}

static int setup_no_iommu(void **state)
{
	return setup_with(state, "--no-iommu");
}

static int teardown(void **state)
{
	struct host *h = *state;

	kernel_close(h->k);
	fake_host_free(h->dir);
	free(h);
	return 0;
}

/* ---- short hands ---- */

static int put(struct host *h, const char *path, const char *value)
{
	return kernel_write(h->k, value, "%s", path);
}

static bool there(struct host *h, const char *path)
{
	return kernel_exists(h->k, "%s", path);
}

static void expect_link(struct host *h, const char *path, const char *base)
{
	char buf[64] = "";

	kernel_readlink_base(h->k, buf, sizeof(buf), "%s", path);
	assert_string_equal(buf, base);
}

static void fail_file(struct host *h, const char *text)
{
	fake_host_put(h->dir, "fail", text);
}

static struct pci_addr addr(const char *s)
{
	struct pci_addr a;

	assert_int_equal(pci_addr_parse(s, &a), 0);
	return a;
}

static void three_vfs(struct host *h)
{
	assert_int_equal(put(h, DEV PF "/sriov_drivers_autoprobe", "0"), 0);
	assert_int_equal(put(h, DEV PF "/sriov_numvfs", "3"), 0);
}

static void to_vfio(struct host *h, const char *vf)
{
	assert_int_equal(kernel_write(h->k, "vfio-pci", DEV "%s/driver_override", vf), 0);
	assert_int_equal(put(h, VFIO "bind", vf), 0);
}

static int set_vf(struct host *h, unsigned index, const struct vf_change *c)
{
	struct pci_addr pf = addr(PF);

	return h->k->ops->vf_set(h->k, &pf, index, c, &h->err);
}

static struct vf_attrs get_vf(struct host *h, unsigned index)
{
	struct pci_addr pf = addr(PF);
	struct vf_attrs *rows = NULL, found;
	size_t n = 0;

	assert_int_equal(h->k->ops->vf_get(h->k, &pf, &rows, &n, &h->err), 0);
	assert_true(index < n);
	found = rows[index];
	free(rows);
	return found;
}

static void expect_mac(struct host *h, unsigned index, const char *wanted)
{
	struct vf_attrs row = get_vf(h, index);
	char buf[MAC_STR];

	assert_string_equal(mac_str(&row.mac, buf), wanted);
}

/* ---- reactions ---- */

static void numvfs_errors(void **state)
{
	struct host *h = *state;

	assert_int_equal(put(h, DEV PF "/sriov_numvfs", "many"), -EINVAL);
	assert_int_equal(put(h, DEV PF "/sriov_numvfs", "-1"), -EINVAL);
	assert_int_equal(put(h, DEV PF "/sriov_numvfs", "70000"), -EINVAL);
	assert_int_equal(put(h, DEV PF "/sriov_numvfs", "8"), -ERANGE);
	assert_int_equal(put(h, DEV PF "/sriov_numvfs", "0"), 0);
	three_vfs(h);
	assert_int_equal(put(h, DEV PF "/sriov_numvfs", "3\n"), 0);
	assert_int_equal(put(h, DEV PF "/sriov_numvfs", "5"), -EBUSY);
	assert_int_equal(put(h, DEV "0000:09:00.0/sriov_numvfs", "1"), -ENOENT);
	assert_int_equal(put(h, "sys/bus/pci/drivers/igb/unbind", PF), 0);
	assert_false(there(h, DEV VF0));
	assert_int_equal(put(h, DEV PF "/sriov_numvfs", "3"), -ENOENT);
}

static void numvfs_makes_vfs(void **state)
{
	struct host *h = *state;
	char group0[16] = "", group1[16] = "", pf_group[16] = "";

	three_vfs(h);
	expect_link(h, DEV PF "/virtfn0", VF0);
	expect_link(h, DEV PF "/virtfn1", VF1);
	expect_link(h, DEV VF1 "/physfn", PF);
	assert_false(there(h, DEV PF "/virtfn3"));
	assert_false(there(h, DEV VF0 "/driver"));
	kernel_readlink_base(h->k, group0, sizeof(group0), DEV VF0 "/iommu_group");
	kernel_readlink_base(h->k, group1, sizeof(group1), DEV VF1 "/iommu_group");
	kernel_readlink_base(h->k, pf_group, sizeof(pf_group), DEV PF "/iommu_group");
	assert_string_not_equal(group0, group1);
	assert_string_not_equal(group0, pf_group);
	assert_true(
		kernel_exists(h->k, "sys/kernel/iommu_groups/%s/devices/" VF0 "/class", group0));
	assert_int_equal(get_vf(h, 2).spoofchk, 1);

	assert_int_equal(put(h, DEV PF "/sriov_numvfs", "0"), 0);
	assert_false(there(h, DEV VF0));
	assert_false(there(h, DEV PF "/virtfn0"));
	assert_false(kernel_exists(h->k, "sys/kernel/iommu_groups/%s", group0));
}

static void without_acs_vfs_share(void **state)
{
	struct host *h = *state;
	char vf[16] = "", pf[16] = "", port[16] = "";
	struct pci_addr a = addr(VF0);

	three_vfs(h);
	kernel_readlink_base(h->k, vf, sizeof(vf), DEV VF0 "/iommu_group");
	kernel_readlink_base(h->k, pf, sizeof(pf), DEV PF "/iommu_group");
	kernel_readlink_base(h->k, port, sizeof(port), DEV "0000:00:02.0/iommu_group");
	assert_string_equal(vf, pf);
	assert_string_equal(vf, port);
	to_vfio(h, VF0);
	assert_int_equal(fake_kernel_hold(h->dir, &a, 77, "vm1", &h->err), -EPERM);
}

static void without_iommu_no_vfio(void **state)
{
	struct host *h = *state;

	three_vfs(h);
	assert_int_equal(put(h, DEV VF0 "/driver_override", "vfio-pci"), 0);
	assert_int_equal(put(h, VFIO "bind", VF0), -EINVAL);
}

static void autoprobe_binds(void **state)
{
	struct host *h = *state;
	struct host_scan s = { 0 };
	struct pci_addr vf = addr(VF1);
	bool found = false;

	assert_int_equal(put(h, DEV PF "/sriov_numvfs", "2"), 0);
	expect_link(h, DEV VF1 "/driver", "igbvf");
	assert_true(there(h, DEV VF1 "/net/enp1s0v1/ifindex"));
	assert_true(there(h, "sys/class/net/enp1s0v1/ifindex"));
	assert_int_equal(h->k->ops->links(h->k, &s, &h->err), 0);
	for (size_t i = 0; i < s.n_links; i++)
		found |= pci_addr_eq(&s.links[i].pci, &vf);
	assert_true(found);
	host_scan_done(&s);

	assert_int_equal(put(h, "sys/bus/pci/drivers/igbvf/unbind", VF1), 0);
	assert_false(there(h, "sys/class/net/enp1s0v1"));
	assert_int_equal(put(h, "sys/bus/pci/drivers/igbvf/unbind", VF1), -ENODEV);
	assert_int_equal(put(h, "sys/bus/pci/drivers_probe", VF1), 0);
	expect_link(h, DEV VF1 "/driver", "igbvf");
}

static void what_may_bind(void **state)
{
	struct host *h = *state;

	three_vfs(h);
	assert_int_equal(put(h, VFIO "bind", VF0), -ENODEV); /* no override */
	assert_int_equal(put(h, VFIO "bind", "0000:7f:00.0"), -ENODEV);
	assert_int_equal(put(h, "sys/bus/pci/drivers/none/bind", VF0), -ENOENT);
	assert_int_equal(put(h, "sys/bus/pci/drivers/igbvf/bind", VF0), -ENODEV); /* autoprobe 0 */
	to_vfio(h, VF0);
	assert_int_equal(put(h, VFIO "bind", VF0), -EBUSY);
	assert_int_equal(put(h, DEV VF1 "/driver_override", "igbvf"), 0);
	assert_int_equal(put(h, "sys/bus/pci/drivers/igbvf/bind", VF1), 0);
	assert_int_equal(put(h, "sys/bus/pci/drivers_probe", VF0), 0);
	expect_link(h, DEV VF0 "/driver", "vfio-pci");
	assert_int_equal(put(h, DEV VF1 "/driver_override", "\n"), 0);
}

static void vfio_nodes_and_fence(void **state)
{
	struct host *h = *state;
	char group[16] = "";
	struct pci_addr a = addr(VF0);
	int fd = -1, second = -1;

	three_vfs(h);
	kernel_readlink_base(h->k, group, sizeof(group), DEV VF0 "/iommu_group");
	assert_int_equal(h->k->ops->fence(h->k, atoi(group), &fd), -ENOENT);
	to_vfio(h, VF0);
	assert_true(kernel_exists(h->k, "dev/vfio/%s", group));
	assert_true(there(h, DEV VF0 "/vfio-dev/vfio0"));

	assert_int_equal(h->k->ops->fence(h->k, atoi(group), &fd), 0);
	assert_int_equal(h->k->ops->fence(h->k, atoi(group), &second), -EBUSY);
	assert_int_equal(fake_kernel_hold(h->dir, &a, 77, "vm1", &h->err), -EBUSY);
	close(fd);
	assert_int_equal(fake_kernel_hold(h->dir, &a, 77, "vm1", &h->err), 0);
	assert_int_equal(h->k->ops->fence(h->k, atoi(group), &fd), -EBUSY);
	assert_int_equal(fake_kernel_release(h->dir, &a, &h->err), 0);

	assert_int_equal(put(h, VFIO "unbind", VF0), 0);
	assert_false(kernel_exists(h->k, "dev/vfio/%s", group));
	assert_false(there(h, DEV VF0 "/vfio-dev"));
}

static void unbind_waits_for_the_holder(void **state)
{
	struct host *h = *state;
	struct pci_addr a = addr(VF0);
	int status;
	pid_t pid;

	three_vfs(h);
	to_vfio(h, VF0);
	assert_int_equal(fake_kernel_hold(h->dir, &a, 77, "vm1", &h->err), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(put(h, DEV PF "/sriov_numvfs", "0") ? 1 : 0);
	usleep(200000);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_false(there(h, DEV PF "/virtfn0")); /* gone, while the VF is not */
	assert_true(there(h, DEV VF0 "/class"));
	assert_int_equal(fake_kernel_release(h->dir, &a, &h->err), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(there(h, DEV VF0 "/class"));
}

static void vf_attributes_as_igb(void **state)
{
	struct host *h = *state;
	struct vf_change c = { .which = VF_ATTR_MAC, .mac = { { 0x52, 0x54, 0, 1, 2, 3 } } };

	three_vfs(h);
	assert_int_equal(set_vf(h, 1, &c), 0);
	expect_mac(h, 1, "52:54:00:01:02:03");
	expect_mac(h, 0, "00:00:00:00:00:00");
	assert_int_equal(set_vf(h, 3, &c), -EINVAL);
	c.mac.b[0] = 0x01;
	assert_int_equal(set_vf(h, 1, &c), -EINVAL);
	c = (struct vf_change){ .which = VF_ATTR_VLAN, .vlan = { .id = 100, .qos = 3 } };
	assert_int_equal(set_vf(h, 1, &c), 0);
	assert_int_equal(get_vf(h, 1).vlan.id, 100);
	c.vlan.id = 4096;
	assert_int_equal(set_vf(h, 1, &c), -EINVAL);
	c.vlan = (struct vlan){ .id = 100, .proto = 0x88a8 };
	assert_int_equal(set_vf(h, 1, &c), -EPROTONOSUPPORT);
	c = (struct vf_change){ .which = VF_ATTR_TRUST, .on = true };
	assert_int_equal(set_vf(h, 1, &c), 0);
	assert_int_equal(get_vf(h, 1).trust, 1);

	assert_int_equal(put(h, DEV PF "/sriov_numvfs", "0"), 0);
	assert_int_equal(put(h, DEV PF "/sriov_numvfs", "3"), 0);
	expect_mac(h, 1, "00:00:00:00:00:00");
	assert_int_equal(get_vf(h, 1).vlan.id, 0);
	assert_int_equal(get_vf(h, 1).trust, 0);
}

/* ---- faults ---- */

static void faults_by_pattern(void **state)
{
	struct host *h = *state;
	struct vf_change c = { .which = VF_ATTR_TRUST, .on = true };

	three_vfs(h);
	fail_file(h, "# a comment\n"
		     "write:*/vfio-pci/bind EIO 1\n"
		     "vf_set:trust:" PF "/vf0 EOPNOTSUPP\n"
		     "fence:* EBUSY\n");
	assert_int_equal(put(h, DEV VF0 "/driver_override", "vfio-pci"), 0);
	assert_int_equal(put(h, VFIO "bind", VF0), -EIO);
	assert_false(there(h, DEV VF0 "/driver"));
	assert_int_equal(put(h, VFIO "bind", VF0), 0);
	assert_int_equal(set_vf(h, 0, &c), -EOPNOTSUPP);
	assert_int_equal(set_vf(h, 0, &c), -EOPNOTSUPP);
	assert_int_equal(set_vf(h, 1, &c), 0);
}

static void nth_write_fails(void **state)
{
	struct host *h = *state;

	fail_file(h, "nth 3 EAGAIN\n");
	three_vfs(h);
	assert_int_equal(put(h, DEV VF0 "/driver_override", "vfio-pci"), -EAGAIN);
	assert_int_equal(put(h, DEV VF0 "/driver_override", "vfio-pci"), 0);
	assert_false(there(h, "fail"));
}

static void silence_is_no_success(void **state)
{
	struct host *h = *state;

	fail_file(h, "silent write:*sriov_numvfs\n");
	assert_int_equal(put(h, DEV PF "/sriov_numvfs", "3"), 0);
	assert_false(there(h, DEV PF "/virtfn0"));
}

static void writes_are_logged(void **state)
{
	struct host *h = *state;
	char log[1024] = "";

	assert_false(there(h, "writes.log"));
	fail_file(h, "write:*numvfs ENOMEM 1\n");
	put(h, DEV PF "/sriov_drivers_autoprobe", "0\n");
	put(h, DEV PF "/sriov_numvfs", "3");
	put(h, DEV PF "/sriov_numvfs", "99");
	assert_true(kernel_read(h->k, log, sizeof(log), "writes.log") > 0);
	assert_string_equal(log, "write\t" DEV PF "/sriov_drivers_autoprobe\t0\\n\tok\t\n"
				 "write\t" DEV PF "/sriov_numvfs\t3\tENOMEM\tinjected\n"
				 "write\t" DEV PF "/sriov_numvfs\t99\tERANGE\t");
}

/* ---- the knobs over it ---- */

static int turn(struct host *h, const char *name, const char *object, const char *value)
{
	const struct knob *knob = knob_find(name);

	assert_non_null(knob);
	h->err = VNET_ERR_INIT;
	return knob->set(h->k, object, value, &h->err);
}

static void expect_knob(struct host *h, const char *name, const char *object, const char *wanted)
{
	const struct knob *knob = knob_find(name);
	char value[KNOB_VALUE_MAX] = "";

	assert_non_null(knob);
	assert_int_equal(knob->get(h->k, object, value, &h->err), 0);
	if (!knob->matches(wanted, value))
		fail_msg("%s of %s is '%s', not '%s'", name, object, value, wanted);
}

static void knobs_of_the_pool(void **state)
{
	struct host *h = *state;

	expect_knob(h, "autoprobe", PF, "1");
	assert_int_equal(turn(h, "autoprobe", PF, "0"), 0);
	expect_knob(h, "autoprobe", PF, "0");
	expect_knob(h, "numvfs", PF, "0");
	expect_knob(h, "driver", PF "/vf0", KNOB_ABSENT);
	assert_int_equal(turn(h, "numvfs", PF, "7"), 0);
	expect_knob(h, "numvfs", PF, "7");
	assert_true(turn(h, "numvfs", PF, "0") < 0); /* never under anybody */
	expect_knob(h, "numvfs", PF, "7");
	expect_knob(h, "link-up", PF, "down");
	assert_int_equal(turn(h, "link-up", PF, "up"), 0);
	expect_knob(h, "link-up", PF, "up");
}

static void knobs_of_a_vf(void **state)
{
	struct host *h = *state;
	static const struct {
		const char *name, *value, *idle;
	} rows[] = {
		{ "vf-mac", "52:54:00:0a:0b:0c", "00:00:00:00:00:00" },
		{ "vf-vlan", "100 qos 3", "0" },
		{ "vf-trust", "on", "off" },
		{ "vf-spoofchk", "off", "on" },
		{ "driver", "vfio-pci override=vfio-pci", "none" },
	};

	three_vfs(h);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		expect_knob(h, rows[i].name, PF "/vf1", rows[i].idle);
		assert_int_equal(turn(h, rows[i].name, PF "/vf1", rows[i].value), 0);
		expect_knob(h, rows[i].name, PF "/vf1", rows[i].value);
		expect_knob(h, rows[i].name, PF "/vf0", rows[i].idle);
	}
	for (size_t i = ARRAY_SIZE(rows); i-- > 0;) {
		assert_int_equal(turn(h, rows[i].name, PF "/vf1", rows[i].idle), 0);
		expect_knob(h, rows[i].name, PF "/vf1", rows[i].idle);
	}
}

/* A knob never starts what would not return. */
static void driver_of_a_held_vf(void **state)
{
	struct host *h = *state;
	struct pci_addr a = addr(VF1);

	three_vfs(h);
	assert_int_equal(turn(h, "driver", PF "/vf1", "vfio-pci override=vfio-pci"), 0);
	assert_int_equal(fake_kernel_hold(h->dir, &a, 77, "vm1", &h->err), 0);
	alarm(20);
	assert_int_equal(turn(h, "driver", PF "/vf1", "none"), -EBUSY);
	alarm(0);
	expect_knob(h, "driver", PF "/vf1", "vfio-pci override=vfio-pci");
	assert_int_equal(fake_kernel_release(h->dir, &a, &h->err), 0);
	assert_int_equal(turn(h, "driver", PF "/vf1", "none"), 0);
}

static void a_knob_says_who_refused(void **state)
{
	struct host *h = *state;

	three_vfs(h);
	fail_file(h, "vf_set:mac:* EBUSY 100\nwrite:*/bind EINVAL\n");
	assert_true(turn(h, "vf-mac", PF "/vf0", "52:54:00:0a:0b:0c") < 0);
	assert_non_null(strstr(h->err.text, "vf0"));
	assert_true(turn(h, "driver", PF "/vf0", "vfio-pci override=vfio-pci") < 0);
	assert_true(strlen(h->err.text) > 10);
}

static void a_scan_shows_it(void **state)
{
	struct host *h = *state;
	struct host_scan s = { 0 };
	struct pci_addr pf = addr(PF), vf = addr(VF1);
	const struct nic *n;

	three_vfs(h);
	to_vfio(h, VF1);
	assert_int_equal(fake_kernel_hold(h->dir, &vf, 77, "vm1", &h->err), 0);
	assert_int_equal(host_scan_nics(h->k, &s, &h->err), 0);
	assert_int_equal(host_scan_links(h->k, &s, &h->err), 0);
	assert_int_equal(host_scan_vfs(h->k, &pf, &s, &h->err), 0);
	n = host_scan_nic(&s, &pf);
	assert_non_null(n);
	assert_int_equal(n->kind, NIC_PF);
	assert_int_equal(n->num_vfs, 3);
	assert_int_equal(n->total_vfs, 7);
	assert_int_equal(n->msix_vectors, 10);
	assert_string_equal(host_scan_nic_link(&s, n)->name, "enp1s0");
	n = host_scan_vf(&s, &pf, 1);
	assert_non_null(n);
	assert_string_equal(n->driver, "vfio-pci");
	assert_int_equal(n->vfio_dev, 0);
	assert_int_equal(s.n_vfs, 3);
	assert_int_equal(s.n_holders, 1);
	assert_int_equal(s.holders[0].iommu_group, n->iommu_group);
	assert_true(s.has_vfio_pci);
	assert_int_equal(s.intr_remap, 1);
	host_scan_done(&s);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(numvfs_errors),
		TEST(numvfs_makes_vfs),
		cmocka_unit_test_setup_teardown(without_acs_vfs_share, setup_no_acs, teardown),
		cmocka_unit_test_setup_teardown(without_iommu_no_vfio, setup_no_iommu, teardown),
		TEST(autoprobe_binds),
		TEST(what_may_bind),
		TEST(vfio_nodes_and_fence),
		TEST(unbind_waits_for_the_holder),
		TEST(vf_attributes_as_igb),
		TEST(faults_by_pattern),
		TEST(nth_write_fails),
		TEST(silence_is_no_success),
		TEST(writes_are_logged),
		TEST(knobs_of_the_pool),
		TEST(knobs_of_a_vf),
		TEST(driver_of_a_held_vf),
		TEST(a_knob_says_who_refused),
		TEST(a_scan_shows_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
