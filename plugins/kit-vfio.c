/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kit-vfio.h"

#include <stdio.h>

static void list_blockers(const struct vnet_plugin_nic *nic, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < nic->n_members && n < size; i++) {
		const struct vnet_plugin_member *m = &nic->members[i];
		int k = snprintf(buf + n, size - n, "%s%s (%s, %s)", n ? ", " : "", m->address,
				 m->driver[0] ? m->driver : "no driver",
				 m->blocks ? "host" : m->what);

		if (k < 0)
			return;
		n += (size_t)k;
	}
}

static int blocked(const struct vnet_plugin_nic *nic)
{
	for (size_t i = 0; i < nic->n_members; i++) {
		if (nic->members[i].blocks)
			return 1;
	}
	return 0;
}

int vfio_isolates(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		  const char *what, struct vnet_plugin_verdict *ret)
{
	char members[384];

	if (nic->iommu_group < 0) {
		host->verdict(
			ret, 0,
			"%s is in no IOMMU group: the IOMMU is off; switch VT-d or AMD-Vi on in "
			"the firmware and boot with intel_iommu=on (AMD: no option)",
			what);
		return 0;
	}
	if (blocked(nic)) {
		list_blockers(nic, members, sizeof(members));
		host->verdict(
			ret, 0,
			"IOMMU group %d of %s also holds %s: VFIO refuses a group that the host "
			"uses; enable ACS on the port above or use another slot",
			nic->iommu_group, what, members);
		return 0;
	}
	if (nic->intr_remap == 0 && !nic->unsafe_interrupts) {
		host->verdict(
			ret, 0,
			"%s cannot be isolated: interrupt remapping is off, so a guest could "
			"send the host interrupts; switch it on in the firmware (x2APIC, VT-d "
			"interrupt remapping) and drop intremap=off from the kernel command "
			"line",
			what);
		return 0;
	}
	if (!nic->has_vfio_pci) {
		host->verdict(ret, 0, "%s: the driver vfio-pci is not loaded: modprobe vfio-pci",
			      what);
		return 0;
	}
	return 1;
}

int vfio_let_open(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		  const char *object, struct vnet_plugin_plan *ret)
{
	char uid[24];

	/* A daemon of before knows of no such user. */
	if (nic->struct_size < offsetof(struct vnet_plugin_nic, guest_uid) + sizeof(nic->guest_uid))
		return 0;
	if (!nic->guest_process || nic->has_iommufd || nic->guest_uid <= 0)
		return 0;
	snprintf(uid, sizeof(uid), "%lld", (long long)nic->guest_uid);
	return host->want(ret, "vfio-owner", object, uid);
}

int vfio_fds(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
	     const char *address, struct vnet_plugin_fds *ret)
{
	int r;

	if (!nic->has_iommufd) /* QEMU opens the group by itself */
		return 0;
	r = host->open(ret, "iommufd", VNET_OPEN_IOMMUFD, "", 1);
	return r < 0 ? r : host->open(ret, "vfio", VNET_OPEN_VFIO, address, 1);
}
