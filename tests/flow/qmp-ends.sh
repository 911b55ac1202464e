#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A NIC for a QEMU without libvirt by its monitor, and what becomes of it when QEMU or vnetd
# ends in the middle of that. qmp-ends.py is the QEMU.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/mode-lib.sh"

qemu=
begin_qemu() {
	mkdir -p "$work/qemu"
	rm -f "$work/qemu"/* "$work/qmp"
	/usr/bin/python3 "$top/tests/flow/qmp-ends.py" "$work/qmp" "$work/qemu" &
	qemu=$!
	wait_for 10 test -s "$work/qemu/pid" || fail "no QEMU"
}
end_qemu() {
	kill "$qemu" 2>/dev/null || :
	wait "$qemu" 2>/dev/null || :
}
hang() { printf '%s\n' "$@" >"$work/qemu/hang"; }
well() { rm -f "$work/qemu/hang"; }
said() { grep -qx "$1" "$work/qemu/said"; }
# In the background; its exit code is in $work/VERB.rc
begin() { # VERB ARG...
	rm -f "$work/$1.rc"
	{
		rc=0
		vnet "$@" --qmp "$work/qmp" >"$work/$1.out" 2>&1 || rc=$?
		echo $rc >"$work/$1.rc"
	} &
}
ended() { # VERB CODE PATTERN
	wait_for 20 test -s "$work/$1.rc" || fail "$1 does not end"
	same "exit code of $1" "$2" "$(<"$work/$1.rc")"
	says "$3" "$(<"$work/$1.out")"
}
is_gone() { [ "$(state_of vm5/net0)" = none ]; }
gone() {
	local left
	wait_for 10 is_gone || fail "vm5/net0 stays $(state_of vm5/net0)"
	dump >"$work/is"
	diff -u "$work/was.before" "$work/is" || fail "the host is not as it was"
	left=$(find "$run/attachments" "$run/journal" -type f 2>/dev/null) || :
	[ -z "$left" ] || fail "files are left: $left"
	ok "gone"
}

host_of_all_modes
start
keep before
macvtap=(attach vm5 --name net0 --mode macvtap --pool enp1s0)

note "there and back"
begin_qemu
expect 0 '^vm5/net0: macvtap ' "${macvtap[@]}" --qmp "$work/qmp"
same "state" in-use "$(state_of vm5/net0)"
expect 0 'is detached' detach vm5 net0 --qmp "$work/qmp"
gone
end_qemu

note "QEMU ends while it has the NIC"
begin_qemu
expect 0 '^vm5/net0: macvtap ' "${macvtap[@]}" --qmp "$work/qmp"
end_qemu
gone

note "QEMU ends while it is asked to take the NIC, and its connection ends after it"
begin_qemu
hang device_add
begin "${macvtap[@]}"
wait_for 10 said device_add || fail "QEMU was not asked"
end_qemu
sleep 0.3
well
ended attach 1 'has ended|ended meanwhile'
gone

note "QEMU ends while the guest is asked to let go of it"
begin_qemu
expect 0 '^vm5/net0: macvtap ' "${macvtap[@]}" --qmp "$work/qmp"
hang device_del
begin detach vm5 net0
wait_for 10 said device_del || fail "QEMU was not asked"
end_qemu
ended detach 0 'is detached'
gone
well

for command in getfd netdev_add device_add; do
	note "vnetd is stopped while QEMU is at $command"
	begin_qemu
	hang $command
	begin "${macvtap[@]}"
	wait_for 10 said $command || fail "QEMU was not asked"
	stop
	ended attach 3 'vnetd'
	start
	well
	end_qemu
	gone
done

note "vnetd is stopped while the guest is asked to let go of it"
begin_qemu
expect 0 '^vm5/net0: macvtap ' "${macvtap[@]}" --qmp "$work/qmp"
hang device_del
begin detach vm5 net0
wait_for 10 said device_del || fail "QEMU was not asked"
stop
start
same "state" detaching "$(state_of vm5/net0)"
well
end_qemu
gone
