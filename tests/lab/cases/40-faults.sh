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

note "the way back failing once leaves it stuck, said so; detach again cleans up"
host_state >$state_dir/fault.host
vnet attach vm1 --mode vf --pool "$pool0"
echo "back:driver:before EIO" >/run/vnetd/fault
vnet_exit 5 'driver' detach vm1
same "state" stuck "$(attachment_state vm1/net0)"
vnet detach vm1
host_state | diff -u $state_dir/fault.host - || fail "the host is not as it was"

note "libvirt refuses, for the guest has no slot left: walked back"
# A device for which the guest has no driver costs it nothing.
cat >$state_dir/rng.xml <<-XML
	<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
XML
for i in 1 2 3 4 5 6 7 8 9; do
	virsh -q attach-device vm1 $state_dir/rng.xml >/dev/null 2>&1 || break
done
vnet_exit 1 'PCI' attach vm1 --mode vf --pool "$pool0"
same "state" none "$(attachment_state vm1/net0)"
host_state | diff -u $state_dir/fault.host - || fail "the host is not as it was"
if virsh dumpxml vm1 | grep -q urn:vnetd:1; then
	fail "the refused NIC stays in the guest's metadata"
fi
vfs_remove "$pf0"
use_installed_build
guest_destroy vm1
