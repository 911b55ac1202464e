#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vnetctl attach --qmp: a QEMU that runs already, without libvirt, is handed a VF by iommufd,
# vhost-net with its fds, a macvtap and a vDPA device, and gives them back.
# shellcheck disable=SC2034 # PLAIN_PREFIX is plain_start's
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac=52:54:00:c3:00:11
vdpa_mac=52:54:00:99:03:01
world_up
ip link set "$pool0" up
ip link set "$pool1" up
vfs_create "$pf0" 1
modprobe -a vhost_vdpa vp_vdpa
pci_bind "$LAB_VPVDPA" vp-vdpa
bridge_up br0
PLAIN_PREFIX=()
PLAIN_PORTS=2 plain_start p1
qmp=$lab_guests/p1.qmp
guest_ready p1 500
keep before
lsof_before=$(find "/proc/$(qemu_pid p1)/fd" -type l | wc -l)

kept=0
round() { # MAC DEVICE-FDS ARG...
	local mac=$1 fds=$2
	shift 2
	note "$*"
	guest_mark p1
	timed "attach" vnetctl attach p1 --qmp "$qmp" --mac "$mac" "$@"
	guest_nic_wait p1 "$mac"
	guest_ping_wait p1 "$mac" world
	holds p1 "$( ((kept == 0)) || echo "iommu:$kept ")$fds"
	same "handover" fd-by-vnetd "$(field p1/net0 handover)"
	guest_mark p1
	timed "detach" vnetctl detach --qmp "$qmp" p1
	guest_nic_gone p1 "$mac"
	# QEMU does not close an iommufd that it was given (backends/iommufd.c, owned): each VF
	# leaves it one, that nothing is behind.
	[[ $fds != iommu* ]] || kept=$((kept + 1))
	same "fds that QEMU has open" "$( ((kept == 0)) || echo "iommu:$kept")" \
		"$(device_fds "$(qemu_pid p1)")"
	same "all that it has open" $((lsof_before + kept)) \
		"$(find "/proc/$(qemu_pid p1)/fd" -type l | wc -l)"
	back_as before
}

memlock() { prlimit --pid "$(qemu_pid p1)" --memlock --raw --noheadings -o SOFT; }
had=$(memlock)
round $mac 'net/tun:1 vhost-net:1' --mode vhost-net --pool br0
same "what it may lock" "$had" "$(memlock)"
round $mac 'iommu:1 vfio/devices:1' --mode vf --pool "$pool0"
# shellcheck disable=SC2154 # lib.sh's
same "what it may lock" $(((lab_guest_memory << 20) + (1 << 30))) "$(memlock)"
round $vdpa_mac 'vhost-vdpa:1' --mode vdpa --pool "pci/$LAB_VPVDPA"

note "refused: nothing stays, neither there nor here"
refused 'has no option model' vnetctl attach p1 --qmp "$qmp" --mode vhost-net --pool br0 --model nosuch
back_as before
refused 'nosuch.sock' vnetctl attach p1 --qmp /run/lab/nosuch.sock --mode vhost-net --pool br0
same "all that it has open" $((lsof_before + kept)) "$(find "/proc/$(qemu_pid p1)/fd" -type l | wc -l)"

note "its end gives back what it has"
vnetctl attach p1 --qmp "$qmp" --mac $mac --mode vf --pool "$pool0"
guest_nic_wait p1 $mac
plain_stop p1
gave_back p1 before
bridge_down br0
pci_home "$LAB_VPVDPA"
vfs_remove "$pf0"
