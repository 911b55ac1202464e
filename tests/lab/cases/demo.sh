#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What `make demo` shows inside the lab host: the product at work, stage by stage.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

stage_start=
stage() {
	[ -z "$stage_start" ] || printf '\n  (%s s)\n' "$(since "$stage_start")"
	stage_start=$(now)
	printf '\n==> %s\n\n' "$*"
}

run() { # show the command, then do it
	printf '  $ %s\n' "$*"
	"$@" 2>&1 | sed 's/^/    /'
	return "${PIPESTATUS[0]}"
}

mac=52:54:00:12:34:56
stage "A host with $(wc -w <<<"$LAB_PFS") SR-IOV cards, a guest vm1, and another machine on the wire"
world_up
ip link set "$pool0" up
guest_define vm1
guest_start vm1
run virsh list
stage "The guest boots meanwhile; what the host has"
run vnetctl inventory
host_state >$state_dir/demo.host
stage "What an attach would do, nothing touched"
guest_ready vm1 >/dev/null
run vnetctl plan attach vm1 --mode vf --mac $mac
host_state | diff $state_dir/demo.host - || fail "plan touched the host"
stage "A NIC for vm1"
run vnetctl attach vm1 --mode vf --mac $mac
stage "The guest sees it and pings the other machine through it"
guest_nic_wait vm1 $mac | sed 's/^/    /'
guest_ping_wait vm1 $mac | sed 's/^/    /'
stage "Who has what"
run vnetctl list
run vnetctl show vm1/net0
run vnetctl inventory
stage "And back"
guest_mark vm1
run vnetctl detach vm1
guest_nic_gone vm1 $mac | sed 's/^/    /'
run vnetctl list
run vnetctl inventory
# The capacity stays: making VFs interrupts the card's link, so it is done once.
host_state >$state_dir/demo.after
same "guests' VFs left" 0 "$(grep -cE 'driver vfio|link/ether 52:54' $state_dir/demo.after || :)"
stage "Again, now that the card has its VFs: the host is exactly as before"
run vnetctl attach vm1 --mode vf --vlan 100
run vnetctl detach vm1
host_state | diff $state_dir/demo.after - || fail "the host is not as before"
ok "the host is exactly as before"
printf '\n  (%s s)\n' "$(since "$stage_start")"
guest_destroy vm1
