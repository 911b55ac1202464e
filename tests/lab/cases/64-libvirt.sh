#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# libvirtd dies in the middle of attach and detach, or hangs: what is held stays held,
# everything else goes on, and in the end all is known.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac=52:54:00:ef:00:11
ip link set "$pool0" up
use_test_build
guest_define vm1
guest_start vm1
guest_define deaf 96 nounplug
guest_start deaf
guest_ready vm1

is() { [ "$(attachment_state "$1")" = "$2" ]; }
becomes() { wait_for 90 is "$1" "$2" || fail "$1 does not become $2: $(vnetctl list)"; }
whole_or_gone() { is vm1/net0 in-use || is vm1/net0 none; }
stopped() { [[ $(<"/proc/$1/stat") == *') T '* ]]; }

libvirtd_dies_at() { # FAULT-POINT VNETCTL-ARGS...
	local point=$1 pid
	shift
	pid=$(systemctl show -P MainPID vnetd)
	echo "$point stop" >/run/vnetd/fault
	vnetctl "$@" >$state_dir/dies.out 2>&1 &
	wait_for 60 stopped "$pid" || fail "fault point $point was never passed"
	systemctl kill -s KILL libvirtd
	wait_for 60 virsh -q list || fail "libvirtd does not come back"
	kill -CONT "$pid"
	wait $! || :
	note "vnetctl $*: $(cat $state_dir/dies.out)"
}

note "kill -9 of libvirtd before and behind its attach"
host_state >$state_dir/none.host
for point in libvirt:attach:before libvirt:attach:after; do
	libvirtd_dies_at $point attach vm1 --mode vf --pool "$pool0" --name net0 --mac $mac
	wait_for 90 whole_or_gone || fail "$point: neither whole nor gone: $(vnetctl list)"
	if is vm1/net0 in-use; then
		guest_has_mac vm1 $mac || fail "$point: in-use, but the guest has it not"
	elif guest_has_mac vm1 $mac; then
		fail "$point: gone, but the guest has it"
	fi
	ok "$point: $(attachment_state vm1/net0)"
	is vm1/net0 in-use || vnet attach vm1 --mode vf --pool "$pool0" --name net0 --mac $mac
	guest_nic_wait vm1 $mac
	vnet detach vm1
	guest_nic_gone vm1 $mac
	guest_mark vm1
done

note "and before its detach"
vnet attach vm1 --mode vf --pool "$pool0" --name net0 --mac $mac
guest_nic_wait vm1 $mac
libvirtd_dies_at libvirt:detach:before detach vm1
libvirt_is_back() { [ "$(vnetctl --json inventory | jq -r .host.libvirt)" = known ]; }
wait_for 60 libvirt_is_back || fail "vnetd does not find libvirt again"
# It was asked for, and the guest was not: the same command again is the way.
if ! is vm1/net0 none; then
	becomes vm1/net0 detaching
	guest_has_mac vm1 $mac || fail "detaching, but the guest has it not"
	vnet detach vm1
fi
same "state" none "$(attachment_state vm1/net0)"
pf_state "$pf0" >$state_dir/now.host
grep -qE 'driver vfio-pci' $state_dir/now.host && fail "a VF stays bound: $(cat $state_dir/now.host)"

note "a guest that never answers an unplug holds up nobody"
guest_wait deaf '^guest: ready' 240
vnet attach deaf --live --mode vf --pool "$pool0" --mac 52:54:00:ef:00:12
vnetctl detach deaf >$state_dir/deaf.out 2>&1 &
waiting=$!
vnet attach vm1 --mode vf --pool "$pool0" --name net0 --mac $mac
kill -0 $waiting || fail "the detach of the deaf guest ended first: $(cat $state_dir/deaf.out)"
vnet list
wait $waiting && fail "the deaf guest let go"
grep -q 'has not let go' $state_dir/deaf.out || fail "says nothing: $(cat $state_dir/deaf.out)"
becomes deaf/net0 detaching

note "libvirtd hangs: looking goes on, changing says why it can't, and what to do"
systemctl kill -s STOP libvirtd
for what in list inventory "show vm1/net0" "mode list"; do
	# shellcheck disable=SC2086 # words
	timeout 20 vnetctl $what >/dev/null || fail "vnetctl $what does not answer"
done
ok "looking goes on"
vnet_exit 1 'libvirt.*(answered|keepalive|lost|connection|time)' attach vm1 --mode vf --name late --pool "$pool0"
is vm1/net0 in-use || fail "vm1/net0 is $(attachment_state vm1/net0)"
systemctl kill -s CONT libvirtd
late_is_settled() { is vm1/late in-use || is vm1/late none; }
wait_for 120 late_is_settled || fail "vm1/late is not settled: $(vnetctl list)"
is vm1/late none || vnet detach vm1 late
virsh -q destroy deaf
gone() { is deaf/net0 none; }
wait_for 60 gone || fail "it stays after the guest's end: $(vnetctl list)"
vnet detach vm1 net0
use_installed_build
guest_destroy vm1
guest_destroy deaf
vfs_remove "$pf0"
