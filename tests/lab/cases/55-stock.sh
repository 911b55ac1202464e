#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# On the kernel that users run, without iommufd and with AppArmor: a VF goes to QEMU by its
# group's path, with libvirt and without; a tap on a bridge; none of it outside of what
# libvirt's own profile of the guest allows.
# shellcheck disable=SC2034 # PLAIN_PREFIX is plain_start's
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

[ "$LAB_KERNEL" = stock ] || skip "for Debian's kernel: run --kernel stock"
mac=52:54:00:d4:00:11
world_up
bridge_up br0
ip link set "$pool0" up
vfs_create "$pf0" 1
guest_define vm1
guest_start vm1
guest_ready vm1
keep before
[ ! -e /dev/iommu ] || fail "this kernel has iommufd: it is not what this case is for"
vnet_exit 0 'iommufd no' inventory
if [ "$LAB_APPARMOR" = 1 ]; then
	same "QEMU's profile" "libvirt-$(virsh domuuid vm1 | head -n 1) (enforce)" \
		"$(<"/proc/$(qemu_pid vm1)/attr/current")"
fi

note "mode vf, live: QEMU opens the group by itself"
attach_live vm1 $mac --mode vf --pool "$pool0"
guest_ping_wait vm1 $mac world
same "handover" path "$(field vm1/net0 handover)"
holds vm1 "vfio/group:1 vfio/vfio:1"
modprobe uio_pci_generic
vnet_exit 1 'attachment vm1/net0' bind "$(field vm1/net0 vf)" --driver uio_pci_generic
modprobe -r uio_pci_generic
systemctl restart vnetd
same "state after a restart" in-use "$(attachment_state vm1/net0)"
detach_live vm1 $mac before

note "mode vhost-net on a bridge, live"
attach_live vm1 $mac --mode vhost-net --pool br0 --vlan 100
guest_ping_wait vm1 $mac world100
same "handover" fd-by-libvirt "$(field vm1/net0 handover)"
holds vm1 net/tun:1
detach_live vm1 $mac before
guest_destroy vm1

note "exec: by the VF's address, and by descriptors of a tap and of vhost"
PLAIN_PREFIX=(vnetctl exec p1 --mode vf --pool "$pool0" --mac "$mac" --
	vnetctl exec p1 --name net1 --mode vhost-net --pool br0 --mac 52:54:00:d4:00:12 --)
plain_start p1 @net0 @net1
guest_ready p1 300
tr '\0' '\n' <"/proc/$(qemu_pid p1)/cmdline" | grep 'host=0000:' || fail "QEMU was not told the VF's address"
guest_ping_wait p1 $mac world
guest_ping_wait p1 52:54:00:d4:00:12 world
same "handover" path "$(field p1/net0 handover)"
same "handover" fd-by-vnetd "$(field p1/net1 handover)"
holds p1 "net/tun:1 vfio/group:1 vfio/vfio:1 vhost-net:1"
plain_stop p1
gave_back p1 before
bridge_down br0
vfs_remove "$pf0"
