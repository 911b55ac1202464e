#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vnetctl exec on a host whose libvirt is stopped, sockets and all: a tap and a VF are given,
# their owner is followed over a restart of vnetd, and a libvirt that comes back changes nothing.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

wait_for 300 pci_netdev "$pf0" || fail "$pf0 has no interface"
udevadm settle
pool0=$(pci_netdev "$pf0")
ip link set "$pool0" up
vfs_create "$pf0" 1
ip link add br0 type bridge
ip link set br0 up
keep before

mapfile -t units < <(systemctl list-units --plain --no-legend 'libvirtd*' 'virtqemud*' | awk '{ print $1 }')
note "stopped: ${units[*]}"
systemctl stop "${units[@]}"
[ ! -e /run/libvirt/libvirt-sock ] || fail "libvirt's socket is still there"
systemctl restart vnetd

for asked in "vhost-net br0" "tap br0" "vf $pool0"; do
	read -r mode pool <<<"$asked"
	timed "exec --mode $mode" vnetctl exec p1 --mode "$mode" --pool "$pool" -- true
	wait_for 30 guest_has_none p1 || fail "p1 keeps its NIC: $(vnetctl list)"
done
vnetctl exec p1 --mode vf --pool "$pool0" -- sleep 1000 &
pid=$!
in_use() { [ "$(attachment_state p1/net0)" = in-use ]; }
wait_for 30 in_use || fail "p1 is $(attachment_state p1/net0)"
systemctl kill -s KILL vnetd
wait_for 30 in_use || fail "p1 is $(attachment_state p1/net0)"
systemctl start "${units[@]}"
wait_for 60 virsh list || fail "libvirt does not come back"
same "state" in-use "$(attachment_state p1/net0)"
kill -KILL $pid
gave_back p1 before
ip link del br0
vfs_remove "$pf0"
