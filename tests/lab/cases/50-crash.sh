#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# kill -9 of vnetd before and after each knob and around the hand-over: after the
# restart the attachment is whole or gone, no guest lost a NIC, the command works.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

ip link set "$pool0" up
use_test_build
guest_define vm1
guest_start vm1
guest_ready vm1
mac=52:54:00:cc:00:01
keeper=52:54:00:cc:00:99

vfs_create "$pf0" 7
vnet attach vm1 --mode vf --pool "$pool0" --name keeper --mac $keeper
guest_nic_wait vm1 $keeper

settled() {
	case $(attachment_state vm1/net0) in
	none | in-use) return 0 ;;
	*) return 1 ;;
	esac
}

killed_at() { # POINT
	local pid rc=0
	pid=$(systemctl show -P MainPID vnetd)
	host_state >$state_dir/crash.host
	echo "$1 kill" >/run/vnetd/fault
	vnetctl attach vm1 --mode vf --pool "$pool0" --name net0 --mac $mac --vlan 100 \
		>$state_dir/crash.out 2>&1 || rc=$?
	[ ! -e /run/vnetd/fault ] || fail "fault point $1 was never passed"
	same "$1: vnetctl says that the daemon went" 3 $rc
	wait_for 30 bash -c "[ \"\$(systemctl show -P MainPID vnetd)\" != $pid ] && vnetctl list" ||
		fail "$1: vnetd did not come back"
	wait_for 60 settled || fail "$1: still $(attachment_state vm1/net0): $(journalctl -u vnetd -n 20)"
	if [ "$(attachment_state vm1/net0)" = in-use ]; then
		guest_has_mac vm1 $mac || fail "$1: in-use, but the guest has it not"
		ok "$1: whole after the restart"
	else
		if guest_has_mac vm1 $mac; then
			fail "$1: gone, but the guest has it"
		fi
		if virsh dumpxml vm1 --inactive | grep -q "$mac"; then
			fail "$1: gone, but the guest's persistent configuration has it"
		fi
		host_state | diff -u $state_dir/crash.host - || fail "$1: the host is not as it was"
		ok "$1: gone after the restart"
	fi
	guest_has_mac vm1 $keeper || fail "$1: the guest lost its other NIC"
	case $1 in
	*:after) # of each three in a row, which differ in a few instructions, one goes on
		vnet attach vm1 --mode vf --pool "$pool0" --name net0 --mac $mac --vlan 100
		;;
	*) [ "$(attachment_state vm1/net0)" = in-use ] || return 0 ;;
	esac
	vnet detach vm1 net0
	host_state | diff -u $state_dir/crash.host - || fail "$1: the host is not as it was at the end"
}

for i in 1 2 3 4 5 6; do
	ip link set "$pool0" vf $i trust on
	ip link set "$pool0" vf $i spoofchk off
done
for knob in driver vf-vlan vf-trust vf-spoofchk vf-mac; do
	for phase in before set after; do
		killed_at "knob:$knob:$phase"
	done
done
killed_at handover:before
killed_at handover:after

note "killed on the way back"
for knob in vf-mac driver; do
	for phase in before after; do
		host_state >$state_dir/crash.host
		vnet attach vm1 --mode vf --pool "$pool0" --name net0 --mac $mac --vlan 100
		echo "back:$knob:$phase kill" >/run/vnetd/fault
		vnetctl detach vm1 net0 >/dev/null 2>&1 || :
		wait_for 60 settled || fail "back:$knob:$phase: $(attachment_state vm1/net0)"
		same "back:$knob:$phase" none "$(attachment_state vm1/net0)"
		host_state | diff -u $state_dir/crash.host - || fail "the host is not as it was"
	done
done

note "the pool's knobs"
guest_mark vm1
vnet detach vm1 keeper
guest_nic_gone vm1 $keeper
for point in knob:autoprobe:after knob:numvfs:before knob:numvfs:set knob:numvfs:after; do
	vfs_remove "$pf0"
	pid=$(systemctl show -P MainPID vnetd)
	echo "$point kill" >/run/vnetd/fault
	vnetctl attach vm1 --mode vf --pool "$pool0" --name net0 --mac $mac >/dev/null 2>&1 || :
	wait_for 30 bash -c "[ \"\$(systemctl show -P MainPID vnetd)\" != $pid ] && vnetctl list" ||
		fail "$point: vnetd did not come back"
	wait_for 60 settled || fail "$point: $(attachment_state vm1/net0)"
	vnet attach vm1 --mode vf --pool "$pool0" --name net0 --mac $mac
	vnet detach vm1 net0
	same "$point: VFs" 7 "$(cat "/sys/bus/pci/devices/$pf0/sriov_numvfs")"
done
vfs_remove "$pf0"
use_installed_build
guest_destroy vm1
