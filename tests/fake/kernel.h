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
 *	fake.json	what netlink and /proc would say, and how drivers behave:
 *	  links		rows as nic-json.c spells them
 *	  vfs		{PF: rows as nic-json.c spells them}
 *	  holders	[{address, pid, comm, guest, cdev}]: who has a function open by
 *			VFIO; cdev: by its device node, else by its group
 *	  functions	{ADDRESS: {nativeDriver, vendorName, deviceName, flr, ari, acs,
 *			msixVectors, vfDriver, vf}}; vf: the record a new VF of it gets
 *	  acs		new VFs get an IOMMU group each, else that of their PF
 *	  cdev		binding to VFIO makes a device node too
 *	writes.log	every write, done or refused, a line each, tab-separated:
 *			OP, path or object, value, "ok" or errno, "" or "injected"
 *	fail		faults, a line each, read anew for every operation:
 *	  PATTERN ERRNO [COUNT]	the operation fails (fnmatch; the next COUNT times)
 *	  silent PATTERN [COUNT]	it says yes and does nothing
 *	  nth N ERRNO		the Nth write from now on fails, whatever it is
 *	  hang PATTERN		it does not return while the line is there
 *	  die PATTERN		the process is killed by it; once
 *
 * A script that changes fake.json holds the lock: flock DIR/fake.lock COMMAND.
 * fail it replaces whole (mv), or makes before anything runs.
 *
 * Operations: write:PATH, vf_set:{mac,vlan,trust,spoofchk}:PF/vfN, link_up:NAME,
 * fence:GROUP, open:NODE, queue:NAME, by_fds:NAME, iommufd_own, links, holders, vf_get:PF. As on the real kernel, taking away a
 * VFIO device that somebody holds does not return until it is let go.
 */
#include "daemon/host/host.h"

/* What QEMU does with a VF: open its group, at @dir. -EBUSY: somebody has it, or it
 * is fenced; -ENOENT: not bound to VFIO; -EPERM: the group is not viable. */
int fake_kernel_hold(const char *dir, const struct pci_addr *addr, pid_t pid, const char *guest,
		     struct vnet_err *err);
/* Let go of it; fine when nobody holds it. */
int fake_kernel_release(const char *dir, const struct pci_addr *addr, struct vnet_err *err);
#endif
