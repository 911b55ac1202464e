#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# kill -9 at every point between two deeds, there and back: after the restart the
# attachment is whole or gone, nothing of anybody else was touched, and the same command
# works. A point is daemon/fault.h's; tests/fake/domains.c has those within libvirt.
# shellcheck disable=SC2317 # functions that are called by name
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0 mac=52:54:00:aa:00:01
attach=(attach vm1 --mode vf --pool enp1s0 --mac "$mac" --vlan '100 qos 3' --name net0)

# vm2 has a NIC of vnetd's and one that virsh gave it: both must survive everything.
neighbour() {
	start
	vnet attach vm2 --mode vf --pool enp2s0 --name own >/dev/null
	stop
	sed -i "s|</devices>|<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0x0000' bus='0x02' slot='0x10' function='0x2'/></source></hostdev></devices>|" "$host/guests/vm2.xml"
	change_fake '.holders += [{address: "0000:02:10.2", pid: 4242, comm: "qemu-system-x86", guest: "vm2"}]'
	rm -f "$host/writes.log"
}

# Hosts are made once, with the neighbour on them, and copied.
take_host() { # KIND
	[ -z "$daemon" ] || crash
	raze_host
	if [ ! -d "$work/$1.host" ]; then
		case $1 in
		fresh) new_host ;;
		native)
			new_host --existing-vfs 2 --no-vfs-on 1 --bound igbvf --pf-up 0
			change_fake ".vfs[\"$pf0\"][0] += {mac: \"52:54:00:01:01:00\", vlan: \"9 qos 2\", trust: true, spoofchk: false}"
			;;
		esac
		neighbour
		cp -a "$host" "$work/$1.host"
		cp -a "$run" "$work/$1.run"
		keep "$1.before"
		start
		vnet "${attach[@]}" >/dev/null
		vnet detach vm1 >/dev/null
		keep "$1.made"
		stop
		raze_host
	fi
	cp -a "$work/$1.host" "$host"
	cp -a "$work/$1.run" "$run"
}

# The first state that stays. Of a detach that was cut off before the guest was asked
# nobody knows that it was not: it is asked again when the user does so.
settled() {
	vnet why vm1 >/dev/null 2>&1 || return 1
	case $(state_of vm1/net0) in
	none | in-use | detaching) ;;
	*) return 1 ;;
	esac
}

neighbour_is_well() {
	[ "$(state_of vm2/own)" = in-use ] || fail "vm2/own is $(state_of vm2/own)"
	guest_has vm2 own || fail "vm2 lost its NIC"
	[ "$(fake '[.holders[] | select(.guest == "vm2") | .address] | sort | join(" ")')" = "0000:02:10.0 0000:02:10.2" ] ||
		fail "vm2 lost a VF"
	if grep -s '0000:02:\|enp2s0' "$host/writes.log"; then
		fail "something of the other PF was touched"
	fi
}

gone_as() { # KIND: nothing of vm1/net0 is left
	dump >"$work/is"
	local was=$1.made
	[ "$(numvfs $pf0)" != 0 ] || was=$1.before
	# The PF may be up: that is the pool's, and stays.
	diff -u <(grep -v '^link enp1s0 ' "$work/was.$was") <(grep -v '^link enp1s0 ' "$work/is") ||
		fail "the host is not as it was ($was)"
	[ -z "$(find "$run/attachments" "$run/journal" -name '*net0*')" ] || fail "files are left"
	! guest_has vm1 net0 || fail "the guest has it"
	! grep -q 'urn:vnetd:1' "$host/guests/vm1.xml" || fail "metadata is left"
}

whole() { # QEMU has it, set as it was asked for
	guest_has vm1 net0 || fail "the guest has it not"
	wait_for 5 as_asked || fail "QEMU has it not, or not as asked for"
}

as_asked() {
	[ "$(fake "[.holders[] | select(.guest == \"vm1\") | .address] + (.vfs[\"$pf0\"][] |
		select(.index == 0) | [.mac, .vlan]) | join(\" \")")" = "0000:01:10.0 $mac 100 qos 3" ]
}

# After a crash: the daemon comes back, and the command that was cut off works.
comes_back() { # KIND
	start
	wait_for 20 settled || fail "vm1/net0 stays $(state_of vm1/net0)"
	became=$(state_of vm1/net0)
	if [ "$became" = none ]; then gone_as "$1"; else whole; fi
	neighbour_is_well
}

crash_there() { # KIND POINT
	take_host "$1"
	start
	fault "$2" kill
	begin cut "${attach[@]}"
	died
	ended 10 cut 3 'closed the connection before it answered'
	[ ! -e "$run/fault" ] || fail "$2 was never passed"
	# libvirt takes the VLAN off when it attaches.
	case $2 in libvirt:attach:after | handover:after) change_fake "del(.vfs[\"$pf0\"][0].vlan)" ;; esac
	comes_back "$1"
	expect 0 '^vm1/net0: ' "${attach[@]}"
	whole
	expect 0 'vm1/net0 is detached' detach vm1
	gone_as "$1"
	ok "$1: killed at $2: $became; and the same command works"
}

crash_back() { # KIND POINT
	take_host "$1"
	start
	expect 0 '^vm1/net0: ' "${attach[@]}"
	fault "$2" kill
	begin cut detach vm1
	died
	[ ! -e "$run/fault" ] || fail "$2 was never passed"
	comes_back "$1"
	if [ "$became" = none ]; then
		expect 1 'gave no NIC to guest vm1' detach vm1
	else
		expect 0 'vm1/net0 is detached' detach vm1
		gone_as "$1"
	fi
	expect 0 '^vm1/net0: ' "${attach[@]}"
	ok "$1: killed at $2: $became; and the next attach works"
}

end='handover:before libvirt:attach:before libvirt:attach:after handover:after'

matrix() { # KIND KNOB...
	local kind=$1 knob at
	shift
	note "$kind: on the way there"
	for knob; do
		for at in before set after; do
			crash_there "$kind" "knob:$knob:$at"
		done
	done
	for at in $end; do
		crash_there "$kind" "$at"
	done
	note "$kind: on the way back"
	for knob; do
		case $knob in autoprobe | numvfs | link-up) continue ;; esac
		crash_back "$kind" "back:$knob:before"
		crash_back "$kind" "back:$knob:after"
	done
	crash_back "$kind" libvirt:detach:before
}
matrix_fresh() { matrix fresh autoprobe numvfs link-up driver vf-vlan vf-mac; }
matrix_native() { matrix native driver vf-vlan vf-trust vf-spoofchk vf-mac; }

within_a_write() {
	note "killed while a worker is in its write: the next vnetd waits for the worker"
	take_host fresh
	start
	kernel_fails 'hang write:*/vfio-pci/bind'
	begin cut "${attach[@]}"
	in_bind() { grep -q '"driver"' "$run"/journal/*.net0 && [ -n "$(workers)" ]; }
	wait_for 10 in_bind
	crash
	start
	begin again "${attach[@]}"
	waits() { grep -q 'still writes: waiting for it' "$log"; }
	wait_for 10 waits || fail "it does not wait for the worker"
	kernel_well
	ended 20 again 0 '^vm1/net0: '
	whole
	expect 0 'vm1/net0 is detached' detach vm1
	gone_as fresh
}

while_it_cleans_up() {
	note "killed again and again while it cleans up"
	take_host native
	start
	expect 0 '^vm1/net0: ' "${attach[@]}"
	fault back:vf-mac:after kill
	begin cut detach vm1
	died
	for point in back:vf-spoofchk:after back:vf-vlan:before back:driver:after; do
		fault "$point" kill
		launch
		died
	done
	comes_back native
	same "state" none "$became"
}

# Not more at once than there are processors: it is all work, no waiting.
side_by_side matrix_fresh matrix_native
side_by_side within_a_write while_it_cleans_up
