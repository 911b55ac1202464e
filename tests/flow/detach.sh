#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A detach is over when the guest has let go, never because a call returned. Guests that
# do not; libvirt that says no, nothing, or too late.
# shellcheck disable=SC2317 # functions that are called by name
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0
attach() { expect 0 "^$1/net0: " attach "$1" --mode vf --pool enp1s0; }

let_go() { # GUEST: as its device's end looks in the XML
	rm -f "$host/guests/$1.stubborn"
}

# Four guests that do not let go, side by side, for one waits 20 s for that.
stubborn() {
	local g
	new_host --pfs 1 --guests 4
	start
	for g in vm1 vm2 vm3 vm4; do
		attach $g
		touch "$host/guests/$g.stubborn"
		begin $g detach $g
	done
	for g in vm1 vm2 vm3 vm4; do
		becomes $g/net0 detaching
	done
	[ ! -s "$work/vm1.rc" ] || fail "vm1's detach is over: $(cat "$work/vm1.out" "$work/vm1.err")"
	same "they have them still" 4 "$(fake '.holders | length')"
	expect 1 'vm1/net0 is detaching just now: try again later' detach vm1

	note "one lets go, one is stopped: their detaches are over, and all is taken back"
	let_go vm2
	ended 10 vm2 0 'vm2/net0 is detached'
	rm "$host/guests/vm3.xml"
	ended 10 vm3 0 'vm3/net0 is detached'

	note "vnetd restarts meanwhile: what was detaching still is"
	crash
	ended 5 vm4 3 'closed the connection'
	start
	becomes vm4/net0 detaching
	guest_has vm4 net0 || fail "the guest lost it"
	let_go vm4
	becomes vm4/net0 none

	note "one does not: exit 1, and it is said; when it lets go in the end, it is taken back"
	ended 5 vm1 3 'closed the connection'
	begin vm1 detach vm1
	ended 30 vm1 1 'vm1/net0 stays detaching: the guest has not let go of it; it is taken back as soon as it does'
	same "state" detaching "$(state_of vm1/net0)"
	says 'has not let go' "$(json '.attachment.reason' show vm1/net0)"
	guest_has vm1 net0 || fail "the guest lost it"
	same "still held" 1 "$(fake '.holders | length')"
	let_go vm1
	becomes vm1/net0 none
	same "nobody has any" 0 "$(fake '.holders | length')"
	same "VFs that are set" 0 "$(fake "[.vfs[\"$pf0\"][] | select(.mac)] | length")"
	same "bound" 0 "$(find "$host/sys/bus/pci/drivers/vfio-pci" -type l | wc -l)"
}

# What libvirt says.
libvirt() {
	new_host --pfs 1 --guests 3 --existing-vfs 3 --bound igbvf --pf-up 0
	keep before
	start
	note "libvirt refuses an attach: its own words, and the host as before"
	printf 'internal error: no more available PCI slots' >"$host/guests/vm1.refuse"
	expect 1 'attach vm1/net0: .*no more available PCI slots' attach vm1
	back_as before
	rm "$host/guests/vm1.refuse"
	attach vm1

	note "QEMU cannot open the VF: refused by libvirt"
	change_fake '.holders += [{address: "0000:01:10.4", pid: 99, comm: "other"}]'
	expect 0 'VF 1 of enp1s0' attach vm2
	expect 4 'process 99 \(other\)' attach vm3

	note "the guest's end while its NIC is in use: taken back by itself"
	rm "$host/guests/vm2.xml"
	becomes vm2/net0 none
	same "igbvf has it again" igbvf "$(basename "$(readlink "$host/sys/bus/pci/devices/0000:01:10.2/driver")")"

	note "virsh detaches what vnetd gave: taken back as well, whether its event is heard or not"
	: >"$host/guests/vm1.unplug.ua-vnetd-net0"
	becomes vm1/net0 none
	attach vm1
	unplug vm1 net0
	becomes vm1/net0 none
	change_fake '.holders |= map(select(.pid != 99))'
	back_as before

	note "libvirt says nothing of one guest: that one waits, others do not"
	touch "$host/guests/vm1.hang"
	begin hangs attach vm1 --mode vf
	attach vm3
	expect 0 'vm3/net0 is detached' detach vm3
	[ ! -s "$work/hangs.rc" ] || fail "it did not wait"
	same "state" ready "$(state_of vm1/net0)"
	expect 1 'vm1/net0 is ready just now: try again later' detach vm1
	rm "$host/guests/vm1.hang"
	ended 10 hangs 0 '^vm1/net0: '

	note "libvirt goes away: nothing is undone, and all goes on when it is back"
	mv "$host/guests" "$host/away"
	lost() { ! vnet why vm1 >/dev/null 2>&1; }
	wait_for 10 lost
	expect 1 'reservations unknown|libvirt' detach vm1
	same "state" in-use "$(state_of vm1/net0)"
	mv "$host/away" "$host/guests"
	back_again() { vnet why vm1; }
	wait_for 10 back_again
	expect 0 'vm1/net0 is detached' detach vm1
	back_as before
}

# An attach of which nobody knows how it ended.
unknown() {
	new_host --pfs 1 --guests 2 --existing-vfs 3 --bound igbvf --pf-up 0
	keep before
	start
	note "libvirt does not answer the attach: unknown; then it does"
	fault libvirt:attach:after EIO
	expect 1 'whether the guest got it is not known yet' attach vm1 --mode vf --mac 52:54:00:aa:00:01 --name net0
	becomes_known() { is_state vm1/net0 in-use; }
	if ! wait_for 3 becomes_known; then
		same "state" unknown "$(state_of vm1/net0)"
		expect 1 'it is unknown now' attach vm1 --mode vf --mac 52:54:00:aa:00:01 --name net0
	fi
	guest_has vm1 net0 || fail "the guest has it not"
	expect 0 'vm1/net0 is detached' detach vm1
	back_as before
}

side_by_side stubborn libvirt unknown
