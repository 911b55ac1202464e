/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_TESTS_FAKE_KERNEL_H
#define VNETD_TESTS_FAKE_KERNEL_H
/*
 * The fake kernel: a back end of daemon/host (kernel_test_open() of host.h) whose
 * whole state is a directory, so that the daemon, its workers, what comes after a
 * kill -9 and a test script with jq all see the same host. tests/fake/mkhost
 * makes such a directory:
 *
 *	sys/, dev/	what the real ones would show, plain files and links
 *	dev/vfio/N	a group's node; in it whose it is, "UID GID MODE", where it is not root's
 *	fake.json	what netlink and /proc would say, and how drivers behave:
 *	  links		rows as nic-json.c spells them
 *	  vfs		{PF: rows as nic-json.c spells them}
 *	  holders	[{address, pid, comm, guest, cdev, uio}]: who has a function open by
 *			VFIO; cdev: by its device node, uio: by that of UIO, else by its
 *			group. Instead of address: interface, a queue of that tap or
 *			macvtap, with queues and vhost, numbers of descriptors; node, that
 *			node: "/dev/vhost-vdpa-0"
 *	  netdevs	{INTERFACE: {multiQueue, ip, mode, defaultPvid, port}}: what links
 *			do not say of taps, macvtaps and bridges; port: {pvid, trunk,
 *			isolated} of one that is in a bridge, "10,20-30" its tagged VLANs
 *	  functions	{ADDRESS: {nativeDriver, vendorName, deviceName, flr, ari, acs,
 *			msixVectors, vfDriver, vf, link, mac, noLink, mgmtdev}}; vf: the
 *			record a new VF of it gets; link, mac: of the interface that its native driver
 *			makes; noLink: it makes none; mgmtdev: that driver makes such a vDPA
 *			management device, "pci/ADDRESS"
 *	  mgmtdevs	[{name, features: "0x..", maxVqs, takes: ["mac", "mtu",
 *			"max_vqp"], hidden}]: vDPA management devices of no function;
 *			hidden: the next so many looks do not show it
 *	  vdpas		{NAME: {mgmtdev, mac, mtu, maxVqp}}: vDPA devices; they are below
 *			sys/bus/vdpa too
 *	  acs		new VFs get an IOMMU group each, else that of their PF
 *	  cdev		binding to VFIO makes a device node too
 *	writes.log	every write, done or refused, a line each, tab-separated:
 *			OP, path or object, value, "ok" or errno, "" or "injected"
 *	fail		faults, a line each, read anew for every operation:
 *	  PATTERN ERRNO [COUNT]	the operation fails (fnmatch; the next COUNT times)
 *	  silent PATTERN [COUNT]	it says yes and does nothing
 *	  nth N ERRNO		the Nth write from now on fails, whatever it is
 *	  hang PATTERN		it does not return while the line is there; a write is
 *				logged once more before, with the OP "hangs"
 *	  die PATTERN		the process is killed by it; once
 *
 * A script that changes fake.json holds the lock: flock DIR/fake.lock COMMAND.
 * fail it replaces whole (mv), or makes before anything runs.
 *
 * Operations: write:PATH, vf_set:{mac,vlan,trust,spoofchk}:PF/vfN, link_up:NAME,
 * netdev_add:NAME, netdev_del:NAME, netdev_set:{mac,mtu,master}:NAME,
 * port_set:{vlans,isolated}:NAME; and looks, which are not logged: fence:GROUP, links,
 * holders, vf_get:PF, netdev_get:NAME, netdev_holder, queue_users, port_get:NAME. Written values:
 * "tap one", "tap many", "macvtap on IFINDEX mode MODE"; of VLANs "PVID/TRUNK". As on the real kernel, taking away a
 * fence:GROUP, open:NODE, give:NODE, queue:NAME, by_fds:NAME, iommufd_own, links, holders, vf_get:PF. As on the real kernel, taking away a
 * VFIO device that somebody holds does not return until it is let go.
 * fence:GROUP, links, holders, vf_get:PF, mgmtdevs, vdpa_get:NAME, vdpa_new:NAME,
 * vdpa_del:NAME. As on the real kernel, taking away a VFIO or vDPA device that
 * somebody holds does not return until it is let go.
 */
#include "daemon/host/host.h"

/* What QEMU does with a VF: open its group, at @dir. -EBUSY: somebody has it, or it
 * is fenced; -ENOENT: not bound to VFIO; -EPERM: the group is not viable. */
int fake_kernel_hold(const char *dir, const struct pci_addr *addr, pid_t pid, const char *guest,
		     struct vnet_err *err);
/* The same of any device as a guest's XML names it; of a socket it opens nothing. @how of
 * an interface: "queues=2 vhost=on". */
int fake_kernel_hold_device(const char *dir, enum delivery_kind kind, const char *device,
			    const char *how, pid_t pid, const char *guest, struct vnet_err *err);
/* Is the row of holders with @value in @field ("address", "interface", "node") that of this
 * device? */
bool fake_kernel_is_row(const char *dir, enum delivery_kind kind, const char *device,
			const char *field, const char *value);
int fake_kernel_release_row(const char *dir, const char *field, const char *value,
			    struct vnet_err *err);
/* Let go of it; fine when nobody holds it. */
int fake_kernel_release(const char *dir, const struct pci_addr *addr, struct vnet_err *err);
#endif
