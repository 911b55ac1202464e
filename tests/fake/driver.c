/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drivers of the fake kernel: match, bind, unbind, and what each brings with it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "tests/fake/priv.h"

static bool is_vfio(const char *driver)
{
	return strncmp(driver, FAKE_VFIO, strlen(FAKE_VFIO)) == 0;
}

int group_of(struct fake *f, const char *bdf)
{
	char group[16];

	get_link(f, group, sizeof(group), PCI_DEV "/%s/iommu_group", bdf);
	return group[0] ? atoi(group) : -1;
}

bool vfio_held(struct fake *f, const char *bdf, bool group)
{
	json_t *holders = json_object_get(f->doc, "holders"), *h;
	size_t i;

	json_array_foreach (holders, i, h) {
		const char *address = json_string_value(json_object_get(h, "address"));

		if (!address || json_is_true(json_object_get(h, "uio")))
			continue;
		if (strcmp(address, bdf) == 0 ||
		    (group && group_of(f, bdf) >= 0 && group_of(f, address) == group_of(f, bdf)))
			return true;
	}
	return false;
}

/* ---- network interfaces that native drivers make ---- */

static void set_links(struct fake *f, const struct host_scan *s)
{
	json_object_set_new(f->doc, "links", host_links_to_json(s));
}

/* The interface's name, after the PF's as udev does: enp1s0 -> enp1s0v3. */
static void vf_link_name(struct fake *f, const char *bdf, char name[static IF_NAMESIZE])
{
	char pf[PCI_ADDR_STR];
	const char *pf_link;
	const json_t *index = json_object_get(function_of(f, bdf), "index");

	get_link(f, pf, sizeof(pf), PCI_DEV "/%s/physfn", bdf);
	pf_link = pf[0] ? function_text(f, pf, "link") : NULL;
	snprintf(name, IF_NAMESIZE, "%.10sv%d", pf_link ? pf_link : "eth",
		 (int)json_integer_value(index));
}

static void show_link(struct fake *f, const char *bdf, const struct link *l)
{
	char dev[FAKE_PATH_MAX], number[16], target[FAKE_PATH_MAX + 64];

	snprintf(number, sizeof(number), "%d\n", l->ifindex);
	put_dir(f, PCI_DEV "/%s/net/%s", bdf, l->name);
	put_file(f, number, PCI_DEV "/%s/net/%s/ifindex", bdf, l->name);
	snprintf(target, sizeof(target), "../../%s/net/%s", below_sys(f, bdf, dev), l->name);
	put_link(f, target, "sys/class/net/%s", l->name);
}

static void make_link(struct fake *f, const char *bdf)
{
	struct host_scan s = { 0 };
	struct vnet_err err = VNET_ERR_INIT;
	struct link *links;
	struct link new = { .mtu = 1500, .has_mac = true };

	new.ifindex = take_number(f, "nextIfindex", 100);
	vf_link_name(f, bdf, new.name);
	if (function_text(f, bdf, "link"))
		snprintf(new.name, sizeof(new.name), "%s", function_text(f, bdf, "link"));
	pci_addr_parse(bdf, &new.pci);
	if (function_text(f, bdf, "mac") &&
	    mac_parse(function_text(f, bdf, "mac"), &new.mac) == 0) {
		new.perm_mac = new.mac;
		new.has_perm_mac = true;
	} else {
		mac_generate(&new.mac);
	}
	if (host_links_from_json(json_object_get(f->doc, "links"), &s, &err) == 0) {
		links = reallocarray(s.links, s.n_links + 1, sizeof(*links));
		if (links) {
			s.links = links;
			s.links[s.n_links++] = new;
			set_links(f, &s);
			show_link(f, bdf, &new);
		}
	}
	host_scan_done(&s);
}

static void drop_link(struct fake *f, const char *bdf)
{
	struct host_scan s = { 0 };
	struct vnet_err err = VNET_ERR_INIT;
	struct pci_addr addr;
	size_t i = 0;

	pci_addr_parse(bdf, &addr);
	if (host_links_from_json(json_object_get(f->doc, "links"), &s, &err) == 0) {
		while (i < s.n_links) {
			if (pci_addr_eq(&s.links[i].pci, &addr)) {
				drop_netdev(f, &s, s.links[i].ifindex);
				i = 0;
			} else {
				i++;
			}
		}
	}
	host_scan_done(&s);
	take_away(f, PCI_DEV "/%s/net", bdf);
}

/* ---- VFIO's nodes ---- */

static void make_vfio(struct fake *f, const char *bdf)
{
	int n = take_number(f, "nextVfio", 0);

	put_dir(f, PCI_DEV "/%s/vfio-dev/vfio%d", bdf, n);
	put_dir(f, "dev/vfio");
	put_file(f, "", "dev/vfio/%d", group_of(f, bdf));
	if (!json_is_true(json_object_get(f->doc, "cdev")))
		return;
	put_dir(f, "dev/vfio/devices");
	put_file(f, "", "dev/vfio/devices/vfio%d", n);
	put_file(f, "511:0\n", PCI_DEV "/%s/vfio-dev/vfio%d/dev", bdf, n);
}

static bool group_has_vfio(struct fake *f, int group)
{
	json_t *functions = json_object_get(f->doc, "functions"), *fn;
	const char *bdf;

	json_object_foreach (functions, bdf, fn) {
		if (group_of(f, bdf) == group && is_there(f, PCI_DEV "/%s/vfio-dev", bdf))
			return true;
	}
	return false;
}

static void drop_vfio(struct fake *f, const char *bdf)
{
	_cleanup_closedir_ DIR *d = NULL;
	int group = group_of(f, bdf);

	for (int i = 0; i < 1024; i++) {
		if (is_there(f, PCI_DEV "/%s/vfio-dev/vfio%d", bdf, i))
			take_away(f, "dev/vfio/devices/vfio%d", i);
	}
	take_away(f, PCI_DEV "/%s/vfio-dev", bdf);
	if (!group_has_vfio(f, group))
		take_away(f, "dev/vfio/%d", group);
}

/* ---- bind, unbind ---- */

/* -ENODEV as pci_device_can_probe() and the match tell it. */
static int match(struct fake *f, const char *driver, const char *bdf)
{
	char override[64], pf[PCI_ADDR_STR];
	const char *native = function_text(f, bdf, "nativeDriver");

	get_text(f, override, sizeof(override), PCI_DEV "/%s/driver_override", bdf);
	if (override[0] && strcmp(override, "(null)") != 0)
		return strcmp(override, driver) == 0 ? 0 : -ENODEV;
	if (!native || strcmp(native, driver) != 0)
		return -ENODEV;
	get_link(f, pf, sizeof(pf), PCI_DEV "/%s/physfn", bdf);
	if (pf[0] && get_number(f, 1, PCI_DEV "/%s/sriov_drivers_autoprobe", pf) == 0)
		return -ENODEV;
	return 0;
}

static int probe(struct fake *f, const char *driver, const char *bdf)
{
	char up[FAKE_PATH_MAX], target[FAKE_PATH_MAX + 128];

	if (is_vfio(driver) && group_of(f, bdf) < 0)
		return -EINVAL;
	if (!is_vfio(driver) && vfio_held(f, bdf, true))
		return -EBUSY;
	snprintf(target, sizeof(target), "%s/bus/pci/drivers/%s", up_to_sys(f, bdf, up), driver);
	put_link(f, target, PCI_DEV "/%s/driver", bdf);
	snprintf(target, sizeof(target), "../../../../%s", below_sys(f, bdf, up));
	put_link(f, target, PCI_DRV "/%s/%s", driver, bdf);
	if (is_vfio(driver))
		make_vfio(f, bdf);
	else if (strncmp(driver, "uio_", 4) == 0)
		put_dir(f, PCI_DEV "/%s/uio/uio0", bdf);
	else if (strcmp(driver, "pci-stub") == 0)
		return 0;
	else if (get_number(f, 0, PCI_DEV "/%s/class", bdf) >> 16 == 2 &&
		 !json_is_true(json_object_get(function_of(f, bdf), "noLink")))
		make_link(f, bdf);
	return 0;
}

int react_bind(struct fake *f, const char *driver, const char *bdf)
{
	int r;

	if (!is_there(f, PCI_DRV "/%s", driver))
		return -ENOENT;
	if (!is_there(f, PCI_DEV "/%s", bdf))
		return -ENODEV;
	r = match(f, driver, bdf);
	if (r < 0)
		return r;
	if (is_there(f, PCI_DEV "/%s/driver", bdf))
		return -EBUSY;
	return probe(f, driver, bdf);
}

int unbind_driver(struct fake *f, const char *bdf)
{
	char driver[64];
	bool said = false;
	int r;

	get_link(f, driver, sizeof(driver), PCI_DEV "/%s/driver", bdf);
	if (!driver[0])
		return 0;
	while (is_vfio(driver) && vfio_held(f, bdf, false)) {
		if (!said)
			fake_log(f, "hangs", bdf, "", 0, false);
		said = true;
		r = fake_wait(f);
		if (r < 0)
			return r;
	}
	if (is_vfio(driver)) {
		drop_vfio(f, bdf);
	} else {
		if (get_number(f, 0, PCI_DEV "/%s/sriov_numvfs", bdf) > 0)
			react_numvfs(f, bdf, "0");
		drop_vdpas(f, bdf);
		drop_link(f, bdf);
		take_away(f, PCI_DEV "/%s/uio", bdf);
	}
	take_away(f, PCI_DRV "/%s/%s", driver, bdf);
	take_away(f, PCI_DEV "/%s/driver", bdf);
	return 0;
}

int react_unbind(struct fake *f, const char *driver, const char *bdf)
{
	char bound[64];

	if (!is_there(f, PCI_DRV "/%s", driver))
		return -ENOENT;
	get_link(f, bound, sizeof(bound), PCI_DEV "/%s/driver", bdf);
	if (strcmp(bound, driver) != 0)
		return -ENODEV;
	return unbind_driver(f, bdf);
}

/* Says yes also when nothing was bound. */
int react_probe(struct fake *f, const char *bdf)
{
	const char *native = function_text(f, bdf, "nativeDriver");
	char override[64];

	if (!is_there(f, PCI_DEV "/%s", bdf))
		return -ENODEV;
	get_text(f, override, sizeof(override), PCI_DEV "/%s/driver_override", bdf);
	if (override[0] && strcmp(override, "(null)") != 0)
		react_bind(f, override, bdf);
	else if (native)
		react_bind(f, native, bdf);
	return 0;
}
