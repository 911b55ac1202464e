#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The lab itself, without vnetd: VFs, vfio-pci, a nested guest that pings
# through them, live attach and detach, a VLAN. Green before anything else.
# shellcheck source=/dev/null
. "${LAB_DIR:?run me by tests/lab/run}/lib.sh"

note "$(uname -r), $(virsh --version) libvirt, script at $(now) s of uptime"
pf=$(lab_pf 0)

# Boots made to be refused: only that the facts are what the option promises.
if [ "$LAB_IOMMU" = no ]; then
	vfs_create "$pf" 1
	same "IOMMU group of a VF" none "$(iommu_group "$(vf_address "$pf" 0)")"
	exit 0
fi

timed "7 VFs" vfs_create "$pf" 7
vf0=$(vf_address "$pf" 0)
vf1=$(vf_address "$pf" 1)
note "group of $vf0: $(iommu_group_members "$vf0")"
timed "vfio-pci on $vf0" pci_bind "$vf0" vfio-pci
timed "vfio-pci on $vf1" pci_bind "$vf1" vfio-pci

mac0=52:54:00:aa:00:01 mac1=52:54:00:aa:00:02
pfdev=$(pci_netdev "$pf")
ip link set "$pfdev" up
ip link set "$pfdev" vf 0 mac $mac0
ip link set "$pfdev" vf 1 mac $mac1
GUEST_DEVICES=$(hostdev_xml "$vf0" $mac0) guest_define g1

if [ "$LAB_ACS" = no ]; then
	[[ " $(iommu_group_members "$vf0") " == *" $pf "* ]] ||
		fail "without ACS the group should hold the PF"
	refused "not viable|group .* is not viable" guest_start g1
	exit 0
fi
same "IOMMU group of $vf0" "$vf0" "$(iommu_group_members "$vf0")"
if [ "$LAB_INTREMAP" = off ]; then
	refused "Operation not permitted" guest_start g1
	exit 0
fi

if [ -n "$LAB_NVME" ]; then
	modprobe nvme
	vfs_create "$LAB_NVME" 2
	note "NVMe VF: $(vf_address "$LAB_NVME" 0), group $(iommu_group_members "$(vf_address "$LAB_NVME" 0)")"
	same "class of the NVMe VF" 0x010802 "$(cat "/sys/bus/pci/devices/$(vf_address "$LAB_NVME" 0)/class")"
fi

world_up
start=$(now)
timed "virsh start" guest_start g1
guest_ready g1
printf 'time: guest ready: %s s after virsh start\n' "$(since "$start")"
guest_ping_wait g1 $mac0
printf 'time: first ping: %s s after virsh start\n' "$(since "$start")"

hostdev_xml "$vf1" $mac1 net1 >/run/lab/net1.xml
start=$(now)
timed "live attach" virsh -q attach-device g1 /run/lab/net1.xml --live
guest_nic_wait g1 $mac1
guest_ping_wait g1 $mac1
printf 'time: ping through the attached VF: %s s\n' "$(since "$start")"

timed "live detach" virsh -q detach-device g1 /run/lab/net1.xml --live
guest_nic_gone g1 $mac1
guest_mark g1
guest_ping_wait g1 $mac0

# The VLAN is the PF's to set: the guest does not see it, the peer changes.
ip link set "$pfdev" vf 0 vlan 100
guest_mark g1
guest_ping_wait g1 $mac0 world100
timed "destroy" guest_destroy g1
ok "the lab works"
