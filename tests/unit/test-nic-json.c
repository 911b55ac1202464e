/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A scan as JSON and back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/host/nic.h"
#include "lib/cleanup.h"
#include "lib/json.h"

static struct vnet_err err;

static struct pci_addr addr(const char *text)
{
	struct pci_addr a;

	assert_int_equal(pci_addr_parse(text, &a), 0);
	return a;
}

static char *text_of(json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);

	assert_non_null(text);
	json_decref(j);
	return text;
}

/* Through text, as it goes over the wire. */
static json_t *again(json_t *j)
{
	_cleanup_free_ char *text = text_of(j);
	json_t *back = json_loads(text, 0, NULL);

	assert_non_null(back);
	return back;
}

static void check_vfs(const struct host_scan *s)
{
	/* described as the first of its PF is, but for what is its own */
	assert_string_equal(s->nics[3].vendor_name, "Intel");
	assert_int_equal(s->nics[3].msix_vectors, 3);
	assert_int_equal(s->nics[3].vfio_dev, -1);
	assert_int_equal(s->nics[3].iommu_group, 9);
	assert_null(s->nics[4].vendor_name); /* this one is another */
	assert_int_equal(s->nics[4].vendor, 32903);
	assert_ptr_equal(host_scan_group(s, 9, 0), &s->nics[3]);
	assert_null(host_scan_group(s, 9, 1));
	assert_true(s->has_iommufd && s->has_vfio_pci && s->unsafe_interrupts &&
		    s->intr_remap == 1);
}

static void test_nics_round_trip(void **state)
{
	_cleanup_json_ json_t *j = NULL;
	struct host_scan s = { 0 }, back = { 0 };
	_cleanup_free_ char *before = NULL, *after = NULL;

	(void)state;
	j = json_loads(
		"{\"nics\": [{\"addr\": \"0000:01:00.0\", \"kind\": \"pf\", \"network\": true,"
		" \"class\": 131072, \"vendor\": 32902, \"device\": 4297, \"subvendor\": 1,"
		" \"subdevice\": 2, \"vendorName\": \"Intel\", \"deviceName\": \"82576\","
		" \"driver\": \"igb\", \"driverOverride\": \"x\", \"iommuGroup\": 0,"
		" \"numaNode\": 1, \"flr\": 1, \"ari\": 0, \"acs\": 1, \"msixVectors\": 10,"
		" \"resetMethod\": \"flr pm\", \"totalVfs\": 8, \"numVfs\": 1, \"autoprobe\": 0,"
		" \"ifindex\": [3, 4]},"
		" {\"addr\": \"0000:01:10.0\", \"kind\": \"vf\", \"pf\": \"0000:01:00.0\","
		"  \"class\": 131072, \"vendor\": 32902, \"msixVectors\": 3,"
		"  \"vendorName\": \"Intel\", \"vfIndex\": 0, \"vfioDev\": 0},"
		" {\"addr\": \"0000:01:10.4\", \"kind\": \"vf\", \"pf\": \"0000:01:00.0\","
		"  \"class\": 131072, \"vendor\": 32903, \"vfIndex\": 2},"
		" {\"addr\": \"0000:01:10.2\", \"kind\": \"vf\", \"pf\": \"0000:01:00.0\","
		"  \"vfIndex\": 1, \"iommuGroup\": 9, \"driver\": \"igbvf\"},"
		" {\"addr\": \"0000:00:01.0\", \"kind\": \"plain\", \"bridge\": true}],"
		" \"links\": [{\"ifindex\": 3, \"name\": \"eth3\"}],"
		" \"holders\": [{\"pid\": 5, \"comm\": \"q\", \"guest\": \"vm1\","
		"  \"iommuGroup\": 7, \"node\": \"/dev/vfio/7\"}],"
		" \"vdpas\": [{\"name\": \"a\", \"mgmtdev\": \"m\", \"driver\": \"vhost_vdpa\","
		"  \"chardev\": \"/dev/vhost-vdpa-0\", \"pci\": \"0000:01:10.0\"}],"
		" \"iommufd\": true, \"vfioPci\": true, \"intrRemap\": 1,"
		" \"unsafeInterrupts\": true}",
		0, NULL);
	assert_non_null(j);
	assert_int_equal(host_nics_from_json(j, &s, &err), 0);
	assert_int_equal(s.n_nics, 5);
	assert_true(s.nics[0].bridge); /* sorted */
	assert_int_equal(s.nics[0].iommu_group, -1);
	assert_int_equal(s.nics[1].iommu_group, 0);
	assert_int_equal(s.nics[1].n_ifindex, 2);
	assert_string_equal(s.nics[1].device_name, "82576");
	assert_ptr_equal(host_scan_vf(&s, &s.nics[1].addr, 0), &s.nics[2]);
	assert_int_equal(s.nics[2].vfio_dev, 0);
	assert_int_equal(s.holders[0].vfio_dev, -1);
	assert_string_equal(s.links[0].name, "eth3");
	check_vfs(&s);

	json_decref(j);
	j = again(host_nics_to_json(&s));
	assert_int_equal(host_nics_from_json(j, &back, &err), 0);
	before = text_of(host_nics_to_json(&s));
	after = text_of(host_nics_to_json(&back));
	assert_string_equal(before, after);
	assert_null(json_object_get(json_array_get(json_object_get(j, "nics"), 3), "vendor"));
	assert_non_null(json_object_get(json_array_get(json_object_get(j, "nics"), 4), "vendor"));
	host_scan_done(&s);
	host_scan_done(&back);
	assert_int_equal(s.n_nics, 0);
}

static void test_links_round_trip(void **state)
{
	struct link links[3] = {
		{ .ifindex = 9, .name = "tap0", .kind = "tun", .tap_persistent = true },
		{ .ifindex = 3,
		  .name = "eth0",
		  .mac = { { 2, 0, 0, 0, 0, 1 } },
		  .has_mac = true,
		  .perm_mac = { { 2, 0, 0, 0, 0, 2 } },
		  .has_perm_mac = true,
		  .up = true,
		  .carrier = true,
		  .mtu = 1500,
		  .master = 9,
		  .lower = 8,
		  .addresses = 1,
		  .routes = 2 },
		{ .ifindex = 12, .name = "br0", .kind = "bridge", .vlan_filtering = true },
	};
	struct host_scan s = { .links = links, .n_links = 3 }, back = { 0 };
	_cleanup_json_ json_t *j = NULL;

	(void)state;
	links[1].pci = addr("0000:01:00.0");
	j = again(host_links_to_json(&s));
	assert_int_equal(host_links_from_json(j, &back, &err), 0);
	assert_int_equal(back.n_links, 3);
	assert_memory_equal(&back.links[2], &links[2], sizeof(links[2]));
	assert_memory_equal(&back.links[0], &links[1], sizeof(links[1]));
	assert_memory_equal(&back.links[1], &links[0], sizeof(links[0]));
	assert_ptr_equal(host_scan_link(&back, 9), &back.links[1]);
	assert_null(host_scan_link(&back, 4));
	host_scan_done(&back);
}

static void test_vfs_merge(void **state)
{
	struct pci_addr a = addr("0000:01:00.0"), b = addr("0000:02:00.0");
	struct vf_attrs rows[2] = {
		{ .index = 1, .pf = a, .trust = -1, .spoofchk = 0, .link_state = -1 },
		{ .index = 0,
		  .pf = a,
		  .mac = { { 2, 0, 0, 0, 0, 9 } },
		  .trust = 1,
		  .spoofchk = 1,
		  .vlan = { 100, 3, 0x88a8 },
		  .link_state = 2,
		  .max_tx_mbps = 10 },
	};
	struct host_scan one = { .vfs = rows, .n_vfs = 2 }, s = { 0 };
	_cleanup_json_ json_t *j = again(host_vfs_to_json(&one)), *none = json_array();

	(void)state;
	assert_int_equal(host_vfs_merge_json(j, &a, &s, &err), 0);
	assert_int_equal(host_vfs_merge_json(j, &a, &s, &err), 0);
	assert_int_equal(s.n_vfs, 2);
	assert_memory_equal(&s.vfs[0], &rows[1], sizeof(rows[1]));
	assert_memory_equal(&s.vfs[1], &rows[0], sizeof(rows[0]));
	assert_int_equal(host_vfs_merge_json(j, &b, &s, &err), 0); /* not its rows */
	assert_int_equal(s.n_vfs, 2);
	assert_int_equal(host_vfs_merge_json(none, &a, &s, &err), 0);
	assert_int_equal(s.n_vfs, 0);
	assert_null(host_scan_vf_attrs(&s, &a, 0));
	host_scan_done(&s);
}

static void test_bad_rows(void **state)
{
	static const char *const bad[] = {
		"{\"nics\": 3, \"holders\": [], \"vdpas\": []}",
		"{\"nics\": [3], \"holders\": [], \"vdpas\": []}",
		"{\"nics\": [{\"addr\": \"x\", \"kind\": \"pf\"}], \"holders\": [], \"vdpas\": []}",
		"{\"nics\": [{\"addr\": \"0000:01:00.0\", \"kind\": \"pfx\", \"vendorName\": \"a\"}],"
		" \"holders\": [], \"vdpas\": []}",
		"{\"nics\": [{\"addr\": \"0000:01:00.0\", \"kind\": \"pf\", \"vendor\": 65536}],"
		" \"holders\": [], \"vdpas\": []}",
		"{\"nics\": [], \"vdpas\": []}",
		"[]",
	};
	struct host_scan s = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_json_ json_t *j = json_loads(bad[i], 0, NULL);

		assert_non_null(j);
		err = VNET_ERR_INIT;
		assert_true(host_nics_from_json(j, &s, &err) < 0);
		assert_int_equal(s.n_nics, 0);
		assert_true(err.code < 0 && *err.text);
		assert_true(host_links_from_json(json_object_get(j, "nics"), &s, &err) < 0 ||
			    !s.n_links);
	}
	host_scan_done(&s);
}

/* A full SR-IOV host must stay a small message and a quick one. */
static void test_many(void **state)
{
	struct host_scan s = { 0 }, back = { 0 };
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *j = NULL;

	(void)state;
	s.nics = calloc(4097, sizeof(*s.nics));
	assert_non_null(s.nics);
	for (int i = 0; i < 4097; i++) {
		struct nic *n = &s.nics[i];

		n->addr = (struct pci_addr){ 0, (uint8_t)(1 + i / 256), i / 8 % 32, i % 8, true };
		n->kind = i ? NIC_VF : NIC_PF;
		n->pf = i ? s.nics[0].addr : (struct pci_addr){ 0 };
		n->vf_index = i - 1;
		n->device_name = strdup("82576 Virtual Function");
	}
	s.n_nics = 4097;
	text = text_of(host_nics_to_json(&s));
	assert_true(strlen(text) < 2 * 1024 * 1024);
	j = json_loads(text, 0, NULL);
	assert_int_equal(host_nics_from_json(j, &back, &err), 0);
	for (unsigned i = 0; i < 4096; i++)
		assert_ptr_equal(host_scan_vf(&back, &s.nics[0].addr, i), &back.nics[i + 1]);
	/* By hand, without the order that host_scan_vf() likes to have. */
	assert_ptr_equal(host_scan_vf(&s, &s.nics[0].addr, 4095), &s.nics[4096]);
	host_scan_done(&s);
	host_scan_done(&back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nics_round_trip),
		cmocka_unit_test(test_links_round_trip),
		cmocka_unit_test(test_vfs_merge),
		cmocka_unit_test(test_bad_rows),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
