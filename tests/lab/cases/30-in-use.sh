#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# In use is sacred: what others hold is never taken, renumbered, unbound or reset.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

holder=/lab/files/vfio-holder
ip link set "$pool0" up
ip link set "$pool1" up
guest_define vm1
guest_start vm1

note "one VF on $pool1, made and bound by hand"
vfs_create "$pf1" 1
vf=$(vf_address "$pf1" 0)
pci_bind "$vf" vfio-pci
guest_ready vm1

held_by_process() { # HOW
	local how=$1 pid
	note "held by a foreign process ($how)"
	$holder "$how" "$vf" >$state_dir/holder &
	pid=$!
	wait_for 20 grep -q held $state_dir/holder || fail "vfio-holder did not get $vf"
	host_state >$state_dir/held.host
	vnet_exit 4 "$vf is in use: .*vfio-holder.*$pid|$vf is in use: .*$pid.*vfio-holder" \
		attach vm1 --mode vf --pool "$pool1"
	vnet_exit 0 'vfio-holder' why vm1 --mode vf --pool "$pool1"
	vnet_exit 4 'vfio-holder' plan attach vm1 --mode vf --pool "$pool1"
	vnet inventory | grep -q vfio-holder || fail "the inventory does not say who holds it"
	vnet_exit 1 'no NIC' detach vm1
	host_state | diff -u $state_dir/held.host - || fail "something held was touched"
	kill -0 $pid || fail "the holder died"
	kill $pid
	wait $pid 2>/dev/null || :
	ok "untouched: held by $how"
}
held_by_process group
held_by_process cdev
held_by_process cdev-unbound

note "in a guest that virsh alone started"
GUEST_DEVICES=$(hostdev_xml "$vf" 52:54:00:bb:00:01) guest_define foreign 64
guest_start foreign
host_state >$state_dir/held.host
vnet_exit 4 "$vf is in use: .*guest foreign" attach vm1 --mode vf --pool "$pool1"
vnet inventory | grep -q foreign || fail "the inventory does not say which guest has it"
vnet_exit 1 'no NIC' detach foreign
host_state | diff -u $state_dir/held.host - || fail "something held was touched"
same "the foreign guest" running "$(virsh domstate foreign | head -n 1)"
systemctl restart vnetd
vnet_exit 4 "$vf is in use: .*guest foreign" attach vm1 --mode vf --pool "$pool1"
virsh -q destroy foreign

note "named by a guest that is shut off: still held"
vnet_exit 4 "$vf is in use: .*guest foreign" attach vm1 --mode vf --pool "$pool1"
virsh -q undefine foreign

note "free again: taken, and given back as found, on vfio-pci"
host_state >$state_dir/free.host
vnet attach vm1 --mode vf --pool "$pool1" --mac 52:54:00:bb:00:02
same "the VF" "$vf" "$(vnetctl --json show vm1/net0 | jq -r .attachment.vf)"
guest_nic_wait vm1 52:54:00:bb:00:02
vnet detach vm1
host_state | diff -u $state_dir/free.host - || fail "not given back as found"
same "driver" vfio-pci "$(pci_driver "$vf")"

note "a VF whose host interface is up is the host's"
vfs_remove "$pf1"
modprobe igbvf
echo 1 >"/sys/bus/pci/devices/$pf1/sriov_numvfs"
vf=$(vf_address "$pf1" 0)
wait_for 20 pci_netdev "$vf" || fail "no interface of $vf"
udevadm settle
sleep 1
ip link set "$(pci_netdev "$vf")" up
host_state >$state_dir/up.host
vnet_exit 4 "$vf is in use: .*$(pci_netdev "$vf")" attach vm1 --mode vf --pool "$pool1"
note "and one that went to another network namespace"
ip netns add elsewhere
ip link set "$(pci_netdev "$vf")" netns elsewhere
vnet_exit 4 "$vf is in use: .*namespace" attach vm1 --mode vf --pool "$pool1"
host_state | diff -u $state_dir/up.host - || fail "something held was touched"
ip netns del elsewhere
wait_for 10 pci_netdev "$vf" || :
vfs_remove "$pf1"
guest_destroy vm1
