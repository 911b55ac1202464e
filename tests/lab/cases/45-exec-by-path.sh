#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vnetctl exec of a user who is not root, on a host without iommufd: QEMU opens its VFIO group
# by path, and the group's node is that user's as long as QEMU runs. The ends: QEMU's, by a
# kill; vnetd's in between; both at once. On a kernel that has iommufd its node is put away.
# shellcheck disable=SC2034 # PLAIN_PREFIX is plain_start's
# shellcheck disable=SC2016 # for the shells inside
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

user=plainuser
# Debian's kernel has its drivers as modules, which udev loads when it comes to it.
wait_for 300 pci_netdev "$pf0" || fail "$pf0 has no interface"
wait_for 300 pci_netdev "$LAB_OTHER" || fail "$LAB_OTHER has no interface"
udevadm settle
pool0=$(pci_netdev "$pf0")
[ ! -e /dev/iommu ] || mv /dev/iommu /dev/iommu.away
world_up
ip link set "$pool0" up
vfs_create "$pf0" 1
id $user >/dev/null 2>&1 || useradd -M -G vnet-admin $user
keep before

mac=52:54:00:c5:00:10
# The console's file is root's, and new for each guest.
PLAIN_PREFIX=(sh -c 'chmod 666 "$0" && exec "$@"' "$lab_guests/p1.console"
	setpriv --reuid="$user" --regid="$user" --init-groups
	vnetctl exec p1 --mode vf --pool "$pool0" --mac "$mac" --)

nodes() { find /dev/vfio -name '[0-9]*' -printf '%f %u:%g %m\n'; }
qemu_opened() { [ "$(device_fds "$(qemu_pid p1)")" = "vfio/group:1 vfio/vfio:1" ]; }

runs() {
	plain_start p1 @net0
	wait_for 120 qemu_opened || fail "QEMU has not opened its group: $(cat "$lab_guests/p1.qemu")"
	group=$(basename "$(readlink "/sys/bus/pci/devices/$(field p1/net0 vf)/iommu_group")")
	same "its process" "$(qemu_pid p1)" "$(field p1/net0 pid)"
	same "its user" "$(id -u $user)" "$(stat -c %u "/proc/$(qemu_pid p1)")"
	same "the node" "$group $user:root 600" "$(nodes)"
}

over() { # after the end of QEMU, and vnetd's start
	gave_back p1 before
	same "nodes" "" "$(nodes)"
	plain_stop p1
}

note "a guest of $user's pings through its VF"
runs
same "handover" path "$(field p1/net0 handover)"
guest_ready p1 300
guest_ping_wait p1 $mac world
note "another user cannot open the node, nor have the VF"
refused 'Permission denied' setpriv --reuid=nobody --regid=nogroup --clear-groups \
	sh -c "exec 3<>/dev/vfio/$group"
note "vnetd is killed: the guest has its NIC"
systemctl kill -s KILL vnetd
wait_for 30 vnetctl list || fail "vnetd does not come back"
same "state" in-use "$(attachment_state p1/net0)"
same "the node" "$group $user:root 600" "$(nodes)"
guest_mark p1
guest_ping_wait p1 $mac world
note "QEMU is killed"
kill -KILL "$(qemu_pid p1)"
over

note "vnetd and QEMU are killed at once"
runs
systemctl kill -s KILL vnetd
kill -KILL "$(qemu_pid p1)"
wait_for 30 vnetctl list || fail "vnetd does not come back"
over

note "a whole NIC: its user opens the group, and root has it back"
PLAIN_PREFIX=()
ip link set "$(pci_netdev "$LAB_OTHER")" down
keep whole
setpriv --reuid="$user" --regid="$user" --init-groups \
	vnetctl exec p2 --mode passthrough --pool "$LAB_OTHER" -- \
	sh -c 'n=$(basename "$(readlink "/sys/bus/pci/devices/$0/iommu_group")")
		stat -c "%n %U %a" "/dev/vfio/$n" && exec 3<>"/dev/vfio/$n"' @net0.host
gave_back p2 whole
same "nodes" "" "$(nodes)"
[ ! -e /dev/iommu.away ] || mv /dev/iommu.away /dev/iommu
vfs_remove "$pf0"
