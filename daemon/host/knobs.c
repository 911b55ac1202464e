/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of knobs. Deadlines are generous, for an emulated host is ten times as
 * slow: making VFs sleeps 100 ms and more, and failing to sleeps seconds; a VFIO
 * open, unbind or reset takes some 110 ms, one after the other below one port; a PF's
 * driver sleeps while it starts, and then its interface is waited for up to 5 s; a VF
 * that resets holds its PF's netlink call for up to 800 ms, and is asked for 3 s; a
 * vDPA management device may come 5 s after its driver. Open vSwitch is waited for no
 * longer than 14 s in one set, going back included.
 */
#include <string.h>

#include "daemon/host/backend.h"
#include "lib/cleanup.h"

static bool same_text(const char *wanted, const char *actual)
{
	return !strcmp(wanted, actual);
}

static const struct knob knobs[] = {
	{
		.name = "autoprobe",
		.summary = "whether the kernel binds new VFs to their native driver",
		.object = "PF",
		.owner = KNOB_OF_POOL,
		.deadline_ms = 10000,
		.matches = number_matches,
		.get = autoprobe_get,
		.set = autoprobe_set,
	},
	{
		.name = "numvfs",
		.summary = "number of VFs of a PF; only ever set where there are none",
		.object = "PF",
		.owner = KNOB_OF_POOL,
		.deadline_ms = 60000,
		.lane = "host",
		.matches = number_matches,
		.get = numvfs_get,
		.set = numvfs_set,
	},
	{
		.name = "link-up",
		.summary = "administrative state of a PF's interface",
		.object = "PF",
		.owner = KNOB_OF_POOL,
		.deadline_ms = 20000,
		.matches = same_text,
		.get = link_up_get,
		.set = link_up_set,
	},
	{
		.name = "driver",
		.summary = "driver of a function and its driver_override",
		.object = "PF/vfN or PCI address",
		.owner = KNOB_OF_ATTACHMENT,
		.idle = "none",
		.deadline_ms = 30000,
		.matches = driver_matches,
		.check_free = vf_check_free,
		.get = driver_get,
		.set = driver_set,
	},
	{
		.name = "vfio-owner",
		.summary = "who may open the VFIO node of a function's IOMMU group",
		.object = "PF/vfN or PCI address",
		.owner = KNOB_OF_ATTACHMENT,
		.idle = "0:0",
		.deadline_ms = 10000,
		.matches = vfio_owner_matches,
		.check_free = vf_check_free,
		.get = vfio_owner_get,
		.set = vfio_owner_set,
	},
	{
		.name = "vf-mac",
		.summary = "administrative MAC of a VF, set through its PF",
		.object = "PF/vfN",
		.owner = KNOB_OF_ATTACHMENT,
		.idle = "00:00:00:00:00:00",
		.live = true,
		.deadline_ms = 10000,
		.matches = vf_mac_matches,
		.check_free = vf_check_free,
		.get = vf_mac_get,
		.set = vf_mac_set,
	},
	{
		.name = "vf-vlan",
		.summary = "VLAN, priority and protocol of a VF, set through its PF",
		.object = "PF/vfN",
		.owner = KNOB_OF_ATTACHMENT,
		.idle = "0",
		.live = true,
		.deadline_ms = 10000,
		.matches = vf_vlan_matches,
		.check_free = vf_check_free,
		.get = vf_vlan_get,
		.set = vf_vlan_set,
	},
	{
		.name = "vf-trust",
		.summary = "whether a VF may change its own MAC and receive everything",
		.object = "PF/vfN",
		.owner = KNOB_OF_ATTACHMENT,
		.idle = "off",
		.live = true,
		.deadline_ms = 10000,
		.matches = vf_trust_matches,
		.check_free = vf_check_free,
		.get = vf_trust_get,
		.set = vf_trust_set,
	},
	{
		.name = "vf-spoofchk",
		.summary = "whether a VF may send only with its own MAC and VLAN",
		.object = "PF/vfN",
		.owner = KNOB_OF_ATTACHMENT,
		.idle = "on",
		.live = true,
		.deadline_ms = 10000,
		.matches = vf_spoofchk_matches,
		.check_free = vf_check_free,
		.get = vf_spoofchk_get,
		.set = vf_spoofchk_set,
	},
	{
		.name = "ovs-port",
		.summary = "an interface's port on an Open vSwitch bridge",
		.object = "IFNAME",
		.owner = KNOB_OF_ATTACHMENT,
		.idle = KNOB_ABSENT,
		.lane = "ovs",
		.deadline_ms = 20000,
		.matches = ovs_port_matches,
		.get = ovs_port_get,
		.set = ovs_port_set,
	},
	{
		.name = "tap",
		.summary = "persistent tap, for one queue or many",
		.object = "interface",
		.owner = KNOB_OF_ATTACHMENT,
		.idle = KNOB_ABSENT,
		.deadline_ms = 20000,
		.lane = "net",
		.matches = tap_matches,
		.check_free = netdev_check_free,
		.get = tap_get,
		.set = tap_set,
	},
	{
		.name = "macvtap",
		.summary = "macvtap on another interface, and its mode",
		.object = "interface",
		.owner = KNOB_OF_ATTACHMENT,
		.idle = KNOB_ABSENT,
		.deadline_ms = 20000,
		.lane = "net",
		.matches = macvtap_matches,
		.check_free = netdev_check_free,
		.get = macvtap_get,
		.set = macvtap_set,
	},
	{
		.name = "net-mac",
		.summary = "MAC of an interface that vnetd made",
		.object = "interface",
		.owner = KNOB_OF_ATTACHMENT,
		.deadline_ms = 10000,
		.lane = "net",
		.matches = net_mac_matches,
		.get = net_mac_get,
		.set = net_mac_set,
	},
	{
		.name = "net-mtu",
		.summary = "MTU of an interface that vnetd made",
		.object = "interface",
		.owner = KNOB_OF_ATTACHMENT,
		.deadline_ms = 10000,
		.lane = "net",
		.matches = number_matches,
		.get = net_mtu_get,
		.set = net_mtu_set,
	},
	{
		.name = "net-up",
		.summary = "administrative state of an interface that vnetd made",
		.object = "interface",
		.owner = KNOB_OF_ATTACHMENT,
		.deadline_ms = 10000,
		.lane = "net",
		.matches = same_text,
		.get = net_up_get,
		.set = net_up_set,
	},
	{
		.name = "bridge-port",
		.summary = "Linux bridge of an interface, and its VLANs there",
		.object = "interface",
		.owner = KNOB_OF_ATTACHMENT,
		.idle = "none",
		.deadline_ms = 10000,
		.lane = "net",
		.matches = bridge_port_matches,
		.half_set = bridge_port_half_set,
		.get = bridge_port_get,
		.set = bridge_port_set,
	},
	{
		.name = "vdpa",
		.summary = "vDPA device and what it is made of",
		.object = "DEVNAME",
		.owner = KNOB_OF_ATTACHMENT,
		.idle = KNOB_ABSENT,
		.deadline_ms = 20000,
		.lane = "vdpa",
		.matches = vdpa_knob_matches,
		.check_free = vdpa_check_free,
		.get = vdpa_knob_get,
		.set = vdpa_knob_set,
	},
	{
		.name = "vdpa-driver",
		.summary = "driver of a vDPA device",
		.object = "DEVNAME",
		.owner = KNOB_OF_ATTACHMENT,
		.idle = "none",
		.deadline_ms = 20000,
		.lane = "vdpa",
		.matches = vdpa_driver_matches,
		.get = vdpa_driver_get,
		.set = vdpa_driver_set,
	},
	{
		.name = "vdpa-path",
		.summary = "path by which a guest finds its vDPA device",
		.object = "ID",
		.owner = KNOB_OF_ATTACHMENT,
		.idle = KNOB_ABSENT,
		.own = true,
		.deadline_ms = 10000,
		.lane = "vdpa",
		.matches = same_text,
		.half_set = vdpa_path_is_link,
		.get = vdpa_path_get,
		.set = vdpa_path_set,
	},
};

const struct knob *knob_at(size_t i)
{
	return i < ARRAY_SIZE(knobs) ? &knobs[i] : NULL;
}

const struct knob *knob_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(knobs); i++) {
		if (!strcmp(knobs[i].name, name))
			return &knobs[i];
	}
	return NULL;
}
