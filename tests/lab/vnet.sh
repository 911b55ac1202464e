#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the cases about vnetd share, on top of lib.sh and modes.sh.
# shellcheck disable=SC2034,SC1091 # used by those who source it
. "${LAB_DIR:?run me by tests/lab/run}/modes.sh"

state_dir=/run/lab/state
mkdir -p $state_dir

pf0=$(lab_pf 0)
pf1=$(lab_pf 1 2>/dev/null || :)
pool0=$(pci_netdev "$pf0" || :)
pool1=$(pci_netdev "$pf1" 2>/dev/null || :)

# The product as it is installed; text and exit code for the checks.
vnet() {
	vnetctl "$@"
}

# vnet_exit CODE PATTERN ARGS...: vnetctl must end with CODE and say PATTERN.
vnet_exit() {
	local code=$1 pattern=$2 rc=0 text
	shift 2
	text=$(vnetctl "$@" 2>&1) || rc=$?
	[ $rc = "$code" ] || fail "vnetctl $*: exit $rc instead of $code: $text"
	grep -qE -- "$pattern" <<<"$text" || fail "vnetctl $*: says nothing like /$pattern/: $text"
	ok "vnetctl $* (exit $code): $(head -c 600 <<<"$text" | head -n 3)"
}

# Everything of a PF and its VFs that vnetd may touch, one fact a line.
pf_state() { # ADDRESS
	local pf=$1 dev=/sys/bus/pci/devices/$1 net vf
	net=$(pci_netdev "$pf")
	echo "$pf numvfs $(cat "$dev/sriov_numvfs") autoprobe $(cat "$dev/sriov_drivers_autoprobe")"
	echo "$pf flags $(($(cat /sys/class/net/"$net"/flags) & 1))"
	for vf in "$dev"/virtfn*; do
		[ -e "$vf" ] || continue
		vf=$(basename "$(readlink "$vf")")
		echo "$vf driver $(pci_driver "$vf") override $(cat /sys/bus/pci/devices/"$vf"/driver_override)"
	done
	ip link show "$net" | grep -E '^ +vf [0-9]' || :
}

host_state() { # ... of every PF of the lab
	local pf
	for pf in $LAB_PFS; do
		pf_state "$pf"
	done
}

# What the inventory says of devices, without what changes by itself.
inventory_state() {
	vnetctl --json inventory |
		jq -S 'del(.host, .links, .taps) | .nics[].links[]? |= del(.index, .carrier)'
}

keep() { # NAME: what to come back to
	{ host_state && net_state; } >"$state_dir/$1.host"
	inventory_state >"$state_dir/$1.json"
}

back_as() { # NAME
	{ host_state && net_state; } >"$state_dir/now.host"
	diff -u "$state_dir/$1.host" "$state_dir/now.host" || fail "the host is not as it was ($1)"
	inventory_state >"$state_dir/now.json"
	diff -u "$state_dir/$1.json" "$state_dir/now.json" || fail "the inventory is not as it was ($1)"
	ok "host and inventory are as they were ($1)"
}

# The administrator takes all VFs away, to begin anew. Nobody may have any.
vfs_remove() { # PF-ADDRESS
	echo 0 >"/sys/bus/pci/devices/$1/sriov_numvfs"
	echo 1 >"/sys/bus/pci/devices/$1/sriov_drivers_autoprobe"
}

# The test build, with fault points, in the installed one's place.
use_test_build() {
	mkdir -p /run/systemd/system/vnetd.service.d
	cat >/run/systemd/system/vnetd.service.d/test.conf <<-CONF
		[Service]
		ExecStart=
		ExecStart=/lab/files/vnetd-faults --debug
		RestartSec=100ms
		StartLimitIntervalSec=0
	CONF
	systemctl daemon-reload
	systemctl restart vnetd
}

use_installed_build() {
	rm -f /run/systemd/system/vnetd.service.d/test.conf
	systemctl daemon-reload
	systemctl restart vnetd
}

attachment_state() { # GUEST/NAME -> state or "none"
	vnetctl --json list |
		jq -r --arg id "$1" '[.attachments[] | select(.guest + "/" + .name == $id) | .state][0] // "none"'
}

# Of an attachment as show says it: field GUEST/NAME FIELD.
field() { vnetctl --json show "$1" | jq -r --arg f "$2" '.attachment[$f]'; }

# What QEMU has open, by its /proc; and that vnetd itself keeps none of it.
holds() { # GUEST DEVICE-FDS
	same "$1 has open" "$2" "$(device_fds "$(qemu_pid "$1")")"
	wait_for 10 vnetd_holds_none ||
		fail "vnetd keeps $(device_fds "$(systemctl show -P MainPID vnetd)")"
}

vnetd_holds_none() { [ -z "$(device_fds "$(systemctl show -P MainPID vnetd)")" ]; }

# After the last detach: nothing of ours in the guest's XML.
guest_clean() { # NAME
	local which
	for which in '' --inactive; do
		# shellcheck disable=SC2086 # an option or none
		if virsh dumpxml "$1" $which | grep -q vnetd; then
			fail "something of vnetd's stays in $1's XML ($which)"
		fi
	done
}

# Live: attach, wait until the guest has it; then detach, and all is as kept. More
# arguments are vnetctl's.
attach_live() { # GUEST MAC ARG...
	local guest=$1 mac=$2
	shift 2
	guest_mark "$guest"
	timed "attach $*" vnetctl attach "$guest" --mac "$mac" "$@"
	guest_nic_wait "$guest" "$mac"
	same "state" in-use "$(attachment_state "$guest/net0")"
}

detach_live() { # GUEST MAC KEPT
	guest_mark "$1"
	timed "detach $1" vnetctl detach "$1"
	guest_nic_gone "$1" "$2"
	same "state" none "$(attachment_state "$1/net0")"
	guest_clean "$1"
	back_as "$3"
}

# What was given to a QEMU without libvirt goes back by itself when that ends.
guest_has_none() { # GUEST
	[ "$(vnetctl --json list | jq --arg g "$1" '[.attachments[] | select(.guest == $g)] | length')" = 0 ]
}

gave_back() { # GUEST KEPT
	wait_for 30 guest_has_none "$1" || fail "attachments stay after $1's end: $(vnetctl list)"
	back_as "$2"
}

guest_has_mac() { # NAME MAC: in its live XML
	virsh dumpxml "$1" | grep -qi "$2"
}

# Each case begins with no guest, no attachment and no VF, whatever the one before left.
all_given_back() { [ "$(vnetctl --json list | jq '.attachments | length')" = 0 ]; }
plain_reset
for guest in $(virsh list --all --name); do
	guest_destroy "$guest"
done
wait_for 60 all_given_back || fail "attachments are left: $(vnetctl list)"
for pf in $LAB_PFS; do
	vfs_remove "$pf"
done
net_reset
