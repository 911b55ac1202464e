#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Failing at each knob in turn: the host is as before, the error names the knob.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

ip link set "$pool0" up
use_test_build
guest_define vm1
guest_start vm1
guest_ready vm1

fails_at() { # POINT KNOB [POOL]
	host_state >$state_dir/fault.host
	echo "$1 EIO" >/run/vnetd/fault
	vnet_exit 1 "$2" attach vm1 --mode vf --pool "${3:-$pool0}"
	[ ! -e /run/vnetd/fault ] || fail "fault point $1 was never passed"
	host_state | diff -u $state_dir/fault.host - || fail "the host is not as it was: $1"
	same "after $1" none "$(attachment_state vm1/net0)"
}

note "the pool's knobs, on a PF without VFs"
for phase in before set; do
	for knob in autoprobe numvfs link-up; do
		vfs_remove "$pf0"
		echo 1 >"/sys/bus/pci/devices/$pf0/sriov_drivers_autoprobe"
		[ $knob = link-up ] && {
			vfs_create "$pf0" 7
			ip link set "$pool0" down
		}
		fails_at "knob:$knob:$phase" "$knob"
		ip link set "$pool0" up
	done
done
vfs_remove "$pf0"
fails_at knob:autoprobe:after autoprobe

note "the attachment's knobs"
vfs_create "$pf0" 7
for i in 0 1 2 3 4 5 6; do
	ip link set "$pool0" vf $i trust on
	ip link set "$pool0" vf $i spoofchk off
done
for knob in driver vf-trust vf-spoofchk vf-mac; do
	for phase in before set after; do
		fails_at "knob:$knob:$phase" $knob
	done
done
for phase in before set after; do
	host_state >$state_dir/fault.host
	echo "knob:vf-vlan:$phase EIO" >/run/vnetd/fault
	vnet_exit 1 vf-vlan attach vm1 --mode vf --pool "$pool0" --vlan 100
	host_state | diff -u $state_dir/fault.host - || fail "the host is not as it was: vf-vlan"
done
fails_at handover:before 'fault point'

note "a fault after the hand-over: the guest has it, so it stays whole"
echo "handover:after EIO" >/run/vnetd/fault
vnet attach vm1 --mode vf --pool "$pool0"
same "state" in-use "$(attachment_state vm1/net0)"
vnet detach vm1

note "libvirt refuses: walked back"
host_state >$state_dir/fault.host
virsh -q suspend vm1
virsh -q resume vm1
for i in 1 2 3 4 5 6 7 8; do
	vnetctl attach vm1 --mode vf --name "fill$i" >/dev/null 2>&1 || :
done
vnet list
note "and the way back failing once leaves it stuck, said so; detach again cleans up"
for name in $(vnetctl --json list | jq -r '.attachments[].name'); do
	vnetctl detach vm1 "$name" || fail "detach $name"
done
host_state | diff -u $state_dir/fault.host - || fail "the host is not as it was"
vnet attach vm1 --mode vf --pool "$pool0"
echo "back:driver:before EIO" >/run/vnetd/fault
vnet_exit 5 'driver' detach vm1
same "state" stuck "$(attachment_state vm1/net0)"
vnet detach vm1
host_state | diff -u $state_dir/fault.host - || fail "the host is not as it was"
vfs_remove "$pf0"
use_installed_build
guest_destroy vm1
