#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vnetctl attach --qmp: a QEMU that runs already, without libvirt, is handed a NIC of each mode
# that has fds, and gives it back; one whose QEMU refuses a command leaves nothing.
# shellcheck disable=SC2034 # PLAIN_PREFIX is plain_start's
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac=52:54:00:c3:00:11
vdpa_mac=52:54:00:99:03:01
other=$(pci_netdev "$LAB_OTHER")
other_mac=$(<"/sys/class/net/$other/address")
world_up
ip link set "$pool0" up
ip link set "$pool1" up
vfs_create "$pf0" 1
modprobe -a vhost_vdpa vp_vdpa
pci_bind "$LAB_VPVDPA" vp-vdpa
bridge_up br0
PLAIN_PREFIX=()
# What has an id that NICs of these names would have: "netdev", "object" and "device".
PLAIN_PORTS=2 plain_start p1 -netdev hubport,id=vnetd-netdev,hubid=9 \
	-object iommufd,id=vnetd-object-iommufd -device virtio-rng-pci,id=vnetd-device
qmp=$lab_guests/p1.qmp
guest_ready p1 500
keep before
lsof_before=$(find "/proc/$(qemu_pid p1)/fd" -type l | wc -l)

kept=0
round() { # MAC DEVICE-FDS ARG...
	local mac=$1 fds=$2 has=$kept
	shift 2
	[[ $fds != vfio* ]] || has=$((kept + 1))
	note "$*"
	guest_mark p1
	timed "attach" vnetctl attach p1 --qmp "$qmp" --mac "$mac" "$@"
	guest_nic_wait p1 "$mac"
	guest_ping_wait p1 "$mac" world
	holds p1 "$( ((has == 0)) || echo "iommu:$has ")$fds"
	same "handover" fd-by-vnetd "$(field p1/net0 handover)"
	guest_mark p1
	timed "detach" vnetctl detach --qmp "$qmp" p1
	guest_nic_gone p1 "$mac"
	# QEMU does not close an iommufd that it was given (backends/iommufd.c, owned): each VF
	# leaves it one, that nothing is behind.
	kept=$has
	same "fds that QEMU has open" "$( ((kept == 0)) || echo "iommu:$kept")" \
		"$(device_fds "$(qemu_pid p1)")"
	qemu_keeps_none
	back_as before
}

qemu_keeps_none() {
	same "all that it has open" $((lsof_before + kept)) \
		"$(find "/proc/$(qemu_pid p1)/fd" -type l | wc -l)"
}

memlock() { prlimit --pid "$(qemu_pid p1)" --memlock --raw --noheadings -o SOFT; }
had=$(memlock)
round $mac 'net/tun:1 vhost-net:1' --mode vhost-net --pool br0
same "what it may lock" "$had" "$(memlock)"
round $mac 'vfio/devices:1' --mode vf --pool "$pool0"
# shellcheck disable=SC2154 # lib.sh's
same "what it may lock" $(((lab_guest_memory << 20) + (1 << 30))) "$(memlock)"
round $vdpa_mac 'vhost-vdpa:1' --mode vdpa --pool "pci/$LAB_VPVDPA"
round $mac 'net/tun:1' --mode tap --pool br0 --model e1000e
round $mac 'tap:1 vhost-net:1' --mode macvtap --pool "$pool1"
round "$other_mac" 'vfio/devices:1' --mode passthrough --pool "$other"

note "refused here: nothing stays, neither there nor here"
refused 'has no option model' vnetctl attach p1 --qmp "$qmp" --mode vhost-net --pool br0 --model nosuch
back_as before
refused 'nosuch.sock' vnetctl attach p1 --qmp /run/lab/nosuch.sock --mode vhost-net --pool br0
qemu_keeps_none

note "refused there, by one command after the other: what was done before is taken back"
refused_there() { # PATTERN ARG...
	refused "$1" vnetctl attach p1 --qmp "$qmp" "${@:2}"
	same "attachments" 0 "$(vnetctl --json list | jq '.attachments | length')"
	qemu_keeps_none
	back_as before
}
refused_there "refuses netdev_add: .*vnetd-netdev" --name netdev --mode vhost-net --pool br0
refused_there "refuses netdev_add: .*vnetd-netdev" --name netdev --mode vdpa --pool "pci/$LAB_VPVDPA"
kept=$((kept + 1)) # its iommufd, as above: QEMU has taken it before it looks at the id
refused_there "refuses object-add: .*vnetd-object" --name object --mode vf --pool "$pool0"
for model in virtio e1000e; do
	refused_there "refuses device_add: .*vnetd-device" --name device --mode tap --pool br0 --model $model
done
refused_there "refuses device_add: .*vnetd-device" --name device --mode vhost-net --pool br0
refused_there "refuses device_add: .*vnetd-device" --name device --mode vdpa --pool "pci/$LAB_VPVDPA"
kept=$((kept + 1))
refused_there "refuses device_add: .*vnetd-device" --name device --mode vf --pool "$pool0"

note "no slot is free"
for i in 0 1; do
	guest_mark p1
	vnet attach p1 --qmp "$qmp" --mode vhost-net --pool br0 --mac ${mac%?}$((i + 4))
	guest_nic_wait p1 ${mac%?}$((i + 4))
done
net_state >$state_dir/full
refused 'no empty PCIe root port' vnetctl attach p1 --qmp "$qmp" --mode macvtap --pool "$pool1"
net_state | diff -u $state_dir/full - || fail "the host is not as it was"
holds p1 "iommu:$kept net/tun:2 vhost-net:2"
for i in 0 1; do
	guest_mark p1
	vnet detach --qmp "$qmp" p1 net$i
	guest_nic_gone p1 ${mac%?}$((i + 4))
done
qemu_keeps_none
back_as before

note "its end gives back what it has"
vnetctl attach p1 --qmp "$qmp" --mac $mac --mode vf --pool "$pool0"
guest_nic_wait p1 $mac
plain_stop p1
gave_back p1 before
bridge_down br0
pci_home "$LAB_VPVDPA"
vfs_remove "$pf0"
