#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A kernel that does not come back: the call is answered at the knob's deadline and says
# what hangs, the other PFs go on, the daemon can always be stopped, and when the kernel
# comes back all can be taken back.
# shellcheck disable=SC2317 # functions that are called by name
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0

# A write to a VF that hangs: 30 s are the deadline of knob driver.
a_write() {
	new_host --pfs 3 --pf-up 0 --pf-up 1 --guests 4
	start
	vnet attach vm3 --pool enp1s0 >/dev/null # its own lane has work, and a VF
	keep before
	kernel_fails 'hang write:sys/bus/pci/devices/0000:01:10.2/driver_override'
	local began=$SECONDS
	begin hangs attach vm1 --mode vf --pool enp1s0 --name net0
	becomes vm1/net0 preparing

	note "meanwhile the others are served"
	expect 0 'of enp2s0' attach vm2 --pool enp2s0
	expect 0 'is detached' detach vm2
	expect 0 'preparing' list
	expect 1 'vm1/net0 is preparing just now' detach vm1

	ended 60 hangs 1 "set driver of $pf0/vf1 .*has not come back from the kernel for 30000 ms \(worker [0-9]+\): /proc/[0-9]+/stack says where"
	note "that took $((SECONDS - began)) s"
	says 'left behind: put ' "$err"
	same "state" stuck "$(state_of vm1/net0)"

	note "the PF is closed, and says so at once; the rest is open"
	expect 1 'has not come back from the kernel' attach vm4 --pool enp1s0
	expect 0 'of enp3s0' attach vm2 --pool enp3s0
	expect 0 'not come back' inventory
	same "stuck" 1 "$(json '.stuck | length' inventory)"
	expect 0 'is detached' detach vm2
	same "the guest that runs there keeps its NIC" in-use "$(state_of vm3/net0)"

	note "the kernel comes back: what was left is taken back, and all works"
	kernel_well
	open() { ! vnet inventory | grep 'not come back'; }
	wait_for 10 open || fail "the PF stays closed"
	for id in $(json '.attachments[] | select(.state == "stuck") | "\(.guest)/\(.name)"' list); do
		expect 0 "$id is detached" detach "$id"
	done
	dump >"$work/is"
	# enp2s0 and enp3s0 have VFs now.
	diff <(grep "$pf0" "$work/was.before") <(grep "$pf0" "$work/is") || fail "something is left"
	expect 0 'VF 1 of enp1s0' attach vm1 --pool enp1s0
}

# Whatever hangs, systemctl stop does not.
ends_at_once() {
	local began pid
	new_host --pf-up 0
	start
	kernel_fails 'hang write:*/vfio-pci/bind'
	begin hangs attach vm1 --mode vf --pool enp1s0 --name net0
	in_bind() { grep -q '"driver"' "$run"/journal/*.net0; }
	wait_for 10 in_bind
	began=$(date +%s%N)
	stop
	note "it ended within $((($(date +%s%N) - began) / 1000000)) ms"
	# An unwilling kernel would take for ever, the deadline of the knob 30 s.
	[ $((($(date +%s%N) - began) / 1000000)) -lt 10000 ] || fail "that is long"
	ended 5 hangs '[13]' 'stopping|closed'
	pid=$(workers)
	[ -n "$pid" ] || fail "the worker was killed in its write"

	note "the next ones wait for it; looking goes on, changing does not yet"
	start
	expect 0 'vm1/net0 +preparing' list
	restart
	expect 0 'vm1/net0 +preparing' list
	expect 0 enp2s0 inventory
	begin early attach vm2 --pool enp2s0
	ended 30 early 1 'does not know yet what became of .*: a worker of before has not come back from the kernel: try again later'
	kernel_well
	becomes vm1/net0 none
	expect 0 '^vm2/net0: ' attach vm2 --pool enp2s0
	same "locks of before" "" "$(find "$run" -name 'workers.lock.*')"
	expect 0 '^vm1/net0: ' attach vm1 --mode vf --pool enp1s0
}

# The lane that looks at the host: nothing can be chosen, but nothing waits for ever.
looking() {
	new_host --pf-up 0
	start
	expect 0 '^vm1/net0: ' attach vm1
	kernel_fails 'hang links'
	begin look inventory
	begin change attach vm2
	begin back detach vm1
	ended 10 back 0 'vm1/net0 is detached'
	ended 60 look 1 "reading the host's (nics|links) has not come back"
	ended 60 change 1 "has not come back"
	expect 0 'no attachments' list
	kernel_well
	works() { vnet inventory; }
	wait_for 10 works
	expect 0 '^vm2/net0: ' attach vm2
}

side_by_side a_write ends_at_once looking
