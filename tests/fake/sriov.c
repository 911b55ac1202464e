/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The count of VFs of the fake kernel: sriov_numvfs of an igb-like PF. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "tests/fake/priv.h"

/* Address of VF @i: routing ID of the PF + offset + stride * i. */
static void vf_address(struct fake *f, const char *pf, unsigned i, char vf[static PCI_ADDR_STR])
{
	struct pci_addr a;
	unsigned rid;

	pci_addr_parse(pf, &a);
	rid = (unsigned)(a.bus << 8 | a.dev << 3 | a.fn);
	rid += (unsigned)get_number(f, 128, PCI_DEV "/%s/sriov_offset", pf);
	rid += i * (unsigned)get_number(f, 2, PCI_DEV "/%s/sriov_stride", pf);
	a.bus = (uint8_t)(rid >> 8);
	a.dev = rid >> 3 & 0x1f;
	a.fn = rid & 7;
	pci_addr_str(&a, vf);
}

static void copy_attribute(struct fake *f, const char *pf, const char *vf, const char *name)
{
	char value[64];

	get_text(f, value, sizeof(value), PCI_DEV "/%s/%s", pf, name);
	strncat(value, "\n", sizeof(value) - strlen(value) - 1);
	put_file(f, value, PCI_DEV "/%s/%s", vf, name);
}

static void join_group(struct fake *f, const char *pf, const char *vf)
{
	char up[FAKE_PATH_MAX], target[FAKE_PATH_MAX + 64];
	int group = group_of(f, pf);

	if (group < 0)
		return;
	if (json_is_true(json_object_get(f->doc, "acs")))
		group = take_number(f, "nextGroup", 64);
	put_dir(f, "sys/kernel/iommu_groups/%d/devices", group);
	put_file(f, "DMA-FQ\n", "sys/kernel/iommu_groups/%d/type", group);
	snprintf(target, sizeof(target), "../../../../%s", below_sys(f, vf, up));
	put_link(f, target, "sys/kernel/iommu_groups/%d/devices/%s", group, vf);
	snprintf(target, sizeof(target), "%s/kernel/iommu_groups/%d", up_to_sys(f, vf, up), group);
	put_link(f, target, PCI_DEV "/%s/iommu_group", vf);
}

static void make_function(struct fake *f, const char *pf, const char *vf, unsigned i)
{
	json_t *record = json_deep_copy(json_object_get(function_of(f, pf), "vf"));
	const char *driver = function_text(f, pf, "vfDriver");
	char device[16], text[32];

	if (!record)
		record = json_object();
	json_put_int(record, "index", i);
	json_put_str(record, "nativeDriver", driver);
	json_object_set_new(json_object_get(f->doc, "functions"), vf, record);

	get_text(f, device, sizeof(device), PCI_DEV "/%s/sriov_vf_device", pf);
	snprintf(text, sizeof(text), "0x%s\n", device);
	put_file(f, text, PCI_DEV "/%s/device", vf);
	copy_attribute(f, pf, vf, "vendor");
	copy_attribute(f, pf, vf, "class");
	copy_attribute(f, pf, vf, "subsystem_vendor");
	copy_attribute(f, pf, vf, "subsystem_device");
	copy_attribute(f, pf, vf, "numa_node");
	put_file(f, "(null)\n", PCI_DEV "/%s/driver_override", vf);
	put_file(f, "flr\n", PCI_DEV "/%s/reset_method", vf);
	put_file(f, "", PCI_DEV "/%s/reset", vf);
}

static void make_vf(struct fake *f, const char *pf, unsigned i)
{
	char vf[PCI_ADDR_STR], pf_link[FAKE_PATH_MAX], text[FAKE_PATH_MAX + 64];
	char *slash;

	vf_address(f, pf, i, vf);
	get_target(f, pf_link, sizeof(pf_link), PCI_DEV "/%s", pf);
	slash = strrchr(pf_link, '/');
	if (slash)
		*slash = '\0';
	snprintf(text, sizeof(text), "%s/%s", pf_link, vf);
	put_link(f, text, PCI_DEV "/%s", vf);
	below_sys(f, vf, pf_link);
	put_dir(f, "sys/%s", pf_link);
	make_function(f, pf, vf, i);
	join_group(f, pf, vf);
	snprintf(text, sizeof(text), "%s/bus/pci", up_to_sys(f, vf, pf_link));
	put_link(f, text, PCI_DEV "/%s/subsystem", vf);
	snprintf(text, sizeof(text), "../%s", pf);
	put_link(f, text, PCI_DEV "/%s/physfn", vf);
	snprintf(text, sizeof(text), "../%s", vf);
	put_link(f, text, PCI_DEV "/%s/virtfn%u", pf, i);
}

/* What the driver reports of new VFs: no MAC, no VLAN, spoof check on, trust off. */
static void default_attrs(struct fake *f, const char *pf, unsigned n)
{
	_cleanup_free_ struct vf_attrs *rows = calloc(n, sizeof(*rows));
	struct host_scan s = { .vfs = rows, .n_vfs = n };
	json_t *vfs = json_object_get(f->doc, "vfs");

	if (!vfs) {
		vfs = json_object();
		json_object_set_new(f->doc, "vfs", vfs);
	}
	for (unsigned i = 0; rows && i < n; i++) {
		rows[i].index = (int)i;
		rows[i].spoofchk = 1;
		rows[i].vlan.proto = 0x8100;
		pci_addr_parse(pf, &rows[i].pf);
	}
	if (rows && n)
		json_object_set_new(vfs, pf, host_vfs_to_json(&s));
}

static void drop_vf(struct fake *f, const char *pf, unsigned i)
{
	char vf[PCI_ADDR_STR], path[FAKE_PATH_MAX];
	int group;

	get_link(f, vf, sizeof(vf), PCI_DEV "/%s/virtfn%u", pf, i);
	if (!vf[0])
		return;
	take_away(f, PCI_DEV "/%s/virtfn%u", pf, i); /* goes first, as in the kernel */
	unbind_driver(f, vf);
	group = group_of(f, vf);
	if (group >= 0) {
		take_away(f, "sys/kernel/iommu_groups/%d/devices/%s", group, vf);
		if (group != group_of(f, pf))
			take_away(f, "sys/kernel/iommu_groups/%d", group);
	}
	take_away(f, "sys/%s", below_sys(f, vf, path));
	take_away(f, PCI_DEV "/%s", vf);
	json_object_del(json_object_get(f->doc, "functions"), vf);
}

static int set_count(struct fake *f, const char *pf, unsigned from, unsigned to)
{
	char text[16], vf[PCI_ADDR_STR];

	for (unsigned i = to; i < from; i++)
		drop_vf(f, pf, i);
	if (to < from)
		json_object_del(json_object_get(f->doc, "vfs"), pf);
	for (unsigned i = from; i < to; i++)
		make_vf(f, pf, i);
	if (to > from)
		default_attrs(f, pf, to);
	snprintf(text, sizeof(text), "%u\n", to);
	put_file(f, text, PCI_DEV "/%s/sriov_numvfs", pf);
	if (get_number(f, 0, PCI_DEV "/%s/sriov_drivers_autoprobe", pf) != 1)
		return 0;
	for (unsigned i = from; i < to; i++) {
		vf_address(f, pf, i, vf);
		react_probe(f, vf);
	}
	return 0;
}

int react_numvfs(struct fake *f, const char *pf, const char *value)
{
	long now = get_number(f, -1, PCI_DEV "/%s/sriov_numvfs", pf), want;
	char *end;

	if (now < 0)
		return -ENOENT;
	want = strtol(value, &end, 10);
	if (end == value || (*end && *end != '\n') || want < 0 || want > 65535)
		return -EINVAL;
	if (want > get_number(f, 0, PCI_DEV "/%s/sriov_totalvfs", pf))
		return -ERANGE;
	if (want == now)
		return 0;
	if (!is_there(f, PCI_DEV "/%s/driver", pf) || !function_text(f, pf, "vfDriver"))
		return -ENOENT;
	if (want && now)
		return -EBUSY;
	return set_count(f, pf, (unsigned)now, (unsigned)want);
}
