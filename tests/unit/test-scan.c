/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scan of a captured host: which functions it shows, and what it knows of each. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/host/holders.h"
#include "tests/unit/host-tree.h"

#define DEVICES "sys/bus/pci/devices"

static struct tree t;
static struct host_scan s;

static struct pci_addr addr(const char *text)
{
	struct pci_addr a;

	assert_int_equal(pci_addr_parse(text, &a), 0);
	return a;
}

static struct nic *nic(const char *text)
{
	struct pci_addr a = addr(text);

	return host_scan_nic(&s, &a);
}

static struct nic *vf(const char *pf, unsigned index)
{
	struct pci_addr a = addr(pf);

	return host_scan_vf(&s, &a, index);
}

/* Two PFs whose VFs lie between each other, each behind a root port. */
static int setup(void **state)
{
	char name[32];

	(void)state;
	tree_new(&t);
	tree_function(&t, "0000:00:01.0", 0x060400, 0x3420, 1);
	tree_function(&t, "0000:00:1b.0", 0x040300, 0x293e, 2); /* sound: nothing to us */
	tree_function(&t, "0000:01:00.0", 0x020000, 0x10c9, 1);
	tree_function(&t, "0000:01:00.1", 0x020000, 0x10c9, 3);
	tree_sriov(&t, "0000:01:00.0", 7);
	tree_sriov(&t, "0000:01:00.1", 7);
	tree_bind(&t, "0000:01:00.0", "igb");
	tree_interface(&t, "0000:01:00.0", "eth5", 5);
	tree_interface(&t, "0000:01:00.0", "eth4", 4);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "0000:01:10.%d", 2 * i);
		tree_vf(&t, "0000:01:00.0", i, name, 20 + i);
		snprintf(name, sizeof(name), "0000:01:10.%d", 2 * i + 1);
		tree_vf(&t, "0000:01:00.1", i, name, 30 + i);
	}
	tree_bind(&t, "0000:01:10.2", "vfio-pci");
	/* NVMe with SR-IOV */
	tree_function(&t, "0000:02:00.0", 0x010802, 0x5845, 4);
	tree_sriov(&t, "0000:02:00.0", 4);
	/* a NIC that shares its group with a USB controller */
	tree_function(&t, "0000:03:00.0", 0x020000, 0x1041, 5);
	tree_function(&t, "0000:03:00.1", 0x0c0330, 0x1e31, 5);
	tree_bind(&t, "0000:03:00.0", "virtio-pci");
	tree_file(&t, "8\n", DEVICES "/0000:03:00.0/virtio0/net/eth8/ifindex");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	host_scan_done(&s);
	tree_free(&t);
	return 0;
}

static void scan(void)
{
	struct vnet_err err = VNET_ERR_INIT;

	if (!t.k)
		tree_open(&t);
	assert_int_equal(host_scan_nics(t.k, &s, &err), 0);
}

static void test_what_is_shown(void **state)
{
	(void)state;
	scan();
	assert_int_equal(s.n_nics, 12);
	for (size_t i = 1; i < s.n_nics; i++)
		assert_true(pci_addr_cmp(&s.nics[i - 1].addr, &s.nics[i].addr) < 0);
	assert_null(nic("0000:00:1b.0"));
	assert_true(nic("0000:00:01.0")->bridge);
	assert_false(nic("0000:02:00.0")->network);
	assert_int_equal(nic("0000:02:00.0")->kind, NIC_PF);
	assert_int_equal(nic("0000:03:00.1")->kind, NIC_PLAIN);
	assert_int_equal(nic("0000:03:00.0")->n_ifindex, 1);
	assert_int_equal(nic("0000:03:00.0")->ifindex[0], 8);
}

static void test_pf(void **state)
{
	const struct nic *pf;

	(void)state;
	scan();
	pf = nic("0000:01:00.0");
	assert_int_equal(pf->kind, NIC_PF);
	assert_int_equal(pf->total_vfs, 7);
	assert_int_equal(pf->num_vfs, 3);
	assert_int_equal(pf->autoprobe, 1);
	assert_int_equal(pf->iommu_group, 1);
	assert_int_equal(pf->vendor, 0x8086);
	assert_string_equal(pf->driver, "igb");
	assert_string_equal(pf->reset_method, "flr");
	assert_int_equal(pf->flr, -1); /* there is no config to read */
	assert_int_equal(pf->msix_vectors, -1);
	assert_int_equal(pf->n_ifindex, 2);
	assert_int_equal(pf->ifindex[0], 4);
	assert_int_equal(pf->ifindex[1], 5);
	assert_int_equal(nic("0000:01:00.1")->num_vfs, 3);
}

static void test_vfs(void **state)
{
	(void)state;
	scan();
	for (unsigned i = 0; i < 3; i++) {
		const struct nic *v = vf("0000:01:00.1", i);

		assert_int_equal(v->addr.fn, 2 * i + 1);
		assert_int_equal(v->iommu_group, 30 + (int)i);
		assert_int_equal(v->device, 0x10ca);
		assert_int_equal(v->numa_node, 0);
		assert_true(v->network);
		assert_string_equal(v->driver, "");
		assert_int_equal(v->vfio_dev, -1);
	}
	assert_null(vf("0000:01:00.1", 3));
	assert_null(vf("0000:02:00.0", 0));
	assert_string_equal(vf("0000:01:00.0", 1)->driver, "vfio-pci");
	assert_int_equal(vf("0000:01:00.0", 1)->vfio_dev, 5);
	assert_int_equal(vf("0000:01:00.0", 1)->n_ifindex, 0);
}

/* More than two: only the ends are followed. Where they do not agree, each one is. */
static void test_distances(void **state)
{
	(void)state;
	tree_vf(&t, "0000:01:00.0", 3, "0000:01:10.6", 23);
	tree_vf(&t, "0000:01:00.0", 4, "0000:01:11.0", 24);
	/* never in a kernel: it tells whether the link was read */
	tree_link(&t, "../0000:01:11.0", DEVICES "/0000:01:00.0/virtfn3");
	scan();
	assert_int_equal(vf("0000:01:00.0", 3)->addr.fn, 6);
	assert_int_equal(vf("0000:01:00.0", 3)->iommu_group, 23);
	assert_int_equal(vf("0000:01:00.0", 4)->addr.dev, 0x11);
	assert_int_equal(nic("0000:01:00.0")->num_vfs, 5);

	/* the last lies elsewhere: the third's own link counts again */
	tree_link(&t, "../0000:01:10.6", DEVICES "/0000:01:00.0/virtfn3");
	tree_vf(&t, "0000:01:00.0", 5, "0000:02:1f.7", 25);
	scan();
	assert_int_equal(vf("0000:01:00.0", 3)->addr.fn, 6);
	assert_int_equal(vf("0000:01:00.0", 5)->addr.bus, 2);
	assert_int_equal(vf("0000:01:00.0", 5)->iommu_group, 25);

	/* one is not there yet: the numbers have a gap */
	tree_vf(&t, "0000:01:00.0", 7, "0000:01:11.6", 27);
	scan();
	assert_null(vf("0000:01:00.0", 6));
	assert_int_equal(vf("0000:01:00.0", 7)->iommu_group, 27);
	assert_int_equal(nic("0000:01:00.0")->num_vfs, 7);
}

/* VFIO's class lists its devices; one that it does not know yet is looked at itself. */
static void test_vfio_class(void **state)
{
	(void)state;
	tree_dir(&t, "sys/class/vfio-dev");
	scan();
	assert_int_equal(vf("0000:01:00.0", 1)->vfio_dev, 5);
	tree_link(&t, "../../devices/pci0000:00/0000:01:10.2/vfio-dev/vfio6",
		  "sys/class/vfio-dev/vfio6");
	tree_link(&t, "../../devices/pci0000:00/0000:01:10.4/vfio-dev/vfio7",
		  "sys/class/vfio-dev/vfio7");
	scan();
	assert_int_equal(vf("0000:01:00.0", 1)->vfio_dev, 6);
	assert_int_equal(vf("0000:01:00.0", 2)->vfio_dev, -1); /* no driver: it just went */
}

/* What netlink says of an interface's parent counts before what lies below it. */
static void test_interfaces(void **state)
{
	(void)state;
	tree_bind(&t, "0000:01:10.1", "igbvf");
	tree_bind(&t, "0000:01:10.3", "igbvf");
	tree_interface(&t, "0000:01:10.3", "eth33", 33);
	t.links[0] = (struct link){ .ifindex = 41, .pci = addr("0000:01:10.1") };
	t.links[1] = (struct link){ .ifindex = 40, .pci = addr("0000:01:10.1") };
	t.links[2] = (struct link){ .ifindex = 5, .pci = addr("0000:01:10.5") };
	t.n_links = 3;
	scan();
	assert_int_equal(s.n_links, 3);
	assert_int_equal(vf("0000:01:00.1", 0)->n_ifindex, 2);
	assert_int_equal(vf("0000:01:00.1", 0)->ifindex[0], 40);
	assert_int_equal(vf("0000:01:00.1", 0)->ifindex[1], 41);
	assert_int_equal(vf("0000:01:00.1", 1)->ifindex[0], 33);
	assert_int_equal(vf("0000:01:00.1", 2)->n_ifindex, 0); /* it has no driver */
}

/* A VF comes and goes in steps: half a VF is none. */
static void test_half_a_vf(void **state)
{
	(void)state;
	tree_function(&t, "0000:01:10.7", 0x020000, 0x10ca, 40);
	tree_link(&t, "../0000:01:00.0", DEVICES "/0000:01:10.7/physfn");
	tree_link(&t, "../0000:01:11.0", DEVICES "/0000:01:00.0/virtfn3");
	scan();
	assert_null(nic("0000:01:10.7"));
	assert_null(vf("0000:01:00.0", 3));
	assert_int_equal(nic("0000:01:00.0")->num_vfs, 4);
}

static void test_host_facts(void **state)
{
	(void)state;
	scan();
	assert_true(s.has_vfio_pci); /* something is bound to it */
	assert_false(s.has_iommufd);
	assert_false(s.unsafe_interrupts);
	assert_int_equal(s.intr_remap, -1);

	tree_file(&t, "", "dev/iommu");
	tree_file(&t, "Y\n", "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
	tree_file(&t, "PCI-MSI-0000:00:1f.2\n", "sys/kernel/irq/24/chip_name");
	scan();
	assert_true(s.has_iommufd);
	tree_file(&t, "Character devices:\n  1 mem\n511 vfio\n", "proc/devices");
	scan();
	assert_false(s.has_iommufd); /* its VFIO makes no device nodes */
	tree_file(&t, "Character devices:\n  1 mem\n511 vfio-dev\n", "proc/devices");
	scan();
	assert_true(s.has_iommufd);
	assert_true(s.unsafe_interrupts);
	assert_int_equal(s.intr_remap, -1); /* no x86 IOMMU: the name says nothing */
	tree_dir(&t, "sys/class/iommu/dmar0");
	scan();
	assert_int_equal(s.intr_remap, 0);
	tree_file(&t, "IR-PCI-MSI-0000:00:1f.2\n", "sys/kernel/irq/25/chip_name");
	scan();
	assert_int_equal(s.intr_remap, 1);
}

static void test_vdpa(void **state)
{
	(void)state;
	tree_dir(&t, "sys/devices/pci0000:00/0000:04:00.0/vdpa0/vhost-vdpa-3");
	tree_link(&t, "../../../bus/pci", "sys/devices/pci0000:00/0000:04:00.0/subsystem");
	tree_link(&t, "../../../../bus/vdpa/drivers/vhost_vdpa",
		  "sys/devices/pci0000:00/0000:04:00.0/vdpa0/driver");
	tree_link(&t, "../../../devices/pci0000:00/0000:04:00.0/vdpa0",
		  "sys/bus/vdpa/devices/vdpa0");
	tree_dir(&t, "sys/devices/virtual/vdpasim_net/a");
	tree_link(&t, "../../../devices/virtual/vdpasim_net/a", "sys/bus/vdpa/devices/a");
	scan();
	assert_int_equal(s.n_vdpas, 2);
	assert_string_equal(s.vdpas[0].name, "a");
	assert_string_equal(s.vdpas[0].mgmtdev, "vdpasim_net");
	assert_false(s.vdpas[0].pci.set);
	assert_string_equal(s.vdpas[1].mgmtdev, "pci/0000:04:00.0");
	assert_string_equal(s.vdpas[1].driver, "vhost_vdpa");
	assert_string_equal(s.vdpas[1].chardev, "/dev/vhost-vdpa-3");
	assert_int_equal(s.vdpas[1].pci.bus, 4);
}

static void test_captured_netlink(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct pci_addr pf = addr("0000:01:00.0");
	struct kernel *k;

	(void)state;
	tree_file(&t,
		  "{\"links\": [{\"ifindex\": 4, \"name\": \"eth4\", \"up\": true,"
		  " \"mac\": \"52:54:00:00:00:01\", \"pci\": \"0000:01:00.0\"}],"
		  "\"vfs\": [{\"pf\": \"0000:01:00.0\", \"index\": 1, \"vlan\": \"100 qos 3\"},"
		  " {\"pf\": \"0000:01:00.1\", \"index\": 0}]}",
		  "nic.json");
	assert_int_equal(kernel_open(&k, t.dir, &err), 0);
	assert_string_equal(k->ops->name, "captured");
	assert_int_equal(host_scan_nics(k, &s, &err), 0);
	assert_int_equal(host_scan_links(k, &s, &err), 0);
	assert_int_equal(host_scan_vfs(k, &pf, &s, &err), 0);
	assert_int_equal(host_scan_vfs(k, &pf, &s, &err), 0); /* again: replaced, not added */
	assert_int_equal(s.n_vfs, 1);
	assert_int_equal(host_scan_vf_attrs(&s, &pf, 1)->vlan.qos, 3);
	assert_string_equal(host_scan_nic_link(&s, nic("0000:01:00.0"))->name, "eth4");
	assert_int_equal(s.n_nics, 12); /* still there */
	assert_int_equal(kernel_write(k, "0", DEVICES "/0000:01:00.0/sriov_numvfs"), -EROFS);
	assert_int_equal(k->ops->link_up(k, 4, false, &err), -EROFS);
	kernel_close(k);

	tree_file(&t, "{\"links\": [{", "nic.json");
	assert_true(kernel_open(&k, t.dir, &err) < 0);
	assert_non_null(strstr(err.text, "nic.json:1"));
}

static void test_no_host(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct kernel *k;

	(void)state;
	assert_int_equal(kernel_open(&k, "/nonexistent", &err), -ENOENT);
	assert_int_equal(kernel_open(&k, "/etc", &err), -ENOENT);
	assert_non_null(strstr(err.text, "has no sys/"));
	assert_int_equal(kernel_open(&k, "/", &err), 0);
	assert_string_equal(k->ops->name, "real");
	kernel_close(k);
}

static void test_holder_nodes(void **state)
{
	struct holder h = { 0 };

	(void)state;
	assert_true(holders_parse_node("/dev/vfio/42", &h));
	assert_int_equal(h.iommu_group, 42);
	assert_int_equal(h.vfio_dev, -1);
	assert_true(holders_parse_node("/dev/vfio/42 (deleted)", &h));
	assert_string_equal(h.node, "/dev/vfio/42");
	assert_true(holders_parse_node("/dev/vfio/noiommu-3", &h));
	assert_int_equal(h.iommu_group, 3);
	assert_true(holders_parse_node("/dev/vfio/devices/vfio7", &h));
	assert_int_equal(h.iommu_group, -1);
	assert_int_equal(h.vfio_dev, 7);
	assert_true(holders_parse_node("/dev/uio1", &h));
	assert_int_equal(h.iommu_group, -1);
	assert_false(holders_parse_node("/dev/vfio/vfio", &h));
	assert_false(holders_parse_node("anon_inode:[vfio-device]", &h));
	assert_false(holders_parse_node("/dev/vfio/42x", &h));
}

#define ASSERT_GUEST(expected, cmdline)                              \
	do {                                                         \
		char _name[GUEST_NAME_MAX];                          \
		holders_guest_name(cmdline, sizeof(cmdline), _name); \
		assert_string_equal(_name, expected);                \
	} while (0)

static void test_guest_names(void **state)
{
	char *longer;
	char name[GUEST_NAME_MAX];

	(void)state;
	ASSERT_GUEST("vm1", "qemu\0-name\0guest=vm1,debug-threads=on\0-S");
	ASSERT_GUEST("vm1", "qemu\0-S\0-name\0debug-threads=on,guest=vm1");
	ASSERT_GUEST("a,b", "qemu\0-name\0guest=a,,b,process=x");
	ASSERT_GUEST("plain", "qemu\0-name\0plain");
	ASSERT_GUEST("plain", "qemu\0--name\0plain,process=x");
	ASSERT_GUEST("", "qemu\0-name\0process=x");
	ASSERT_GUEST("", "qemu\0-S");
	ASSERT_GUEST("", "qemu\0-name");
	ASSERT_GUEST("evil??[31m", "qemu\0-name\0guest=evil\n\033[31m");
	longer = malloc(1000);
	memset(longer, 'x', 999);
	longer[999] = '\0';
	memcpy(longer, "-name", 6);
	holders_guest_name(longer, 1000, name);
	assert_string_equal(name, "");
	free(longer);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_what_is_shown),
		CASE(test_pf),
		CASE(test_vfs),
		CASE(test_distances),
		CASE(test_vfio_class),
		CASE(test_interfaces),
		CASE(test_half_a_vf),
		CASE(test_host_facts),
		CASE(test_vdpa),
		CASE(test_captured_netlink),
		cmocka_unit_test(test_no_host),
		cmocka_unit_test(test_holder_nodes),
		cmocka_unit_test(test_guest_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
