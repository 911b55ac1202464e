#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The hook's matrix over every mode but vf, which hook-matrix.sh has: kill -9, and a failing
# write, at every point of a guest's start and of its end. What was cut off is whole or gone
# after the restart, whoever asks first: libvirt, the hook of the guest's end, or that of its
# next start, while libvirt answers nothing. The same start works then.
# shellcheck disable=SC2317 # functions that are called by name
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/mode-lib.sh"

# vm1 is shut off, and its XML has a NIC of that mode.
learn_cold() { # MODE
	mode=$1
	host_of_all_modes
	asks_of "$mode"
	start
	read_plan
	shut_off vm1
	is_off() { vnet "${attach[@]}" --config >"$work/out" 2>&1; }
	wait_for 10 is_off || fail "$mode: attach: $(<"$work/out")"
	wait_for 10 is_state vm1/net0 reserved || fail "$mode: it is $(state_of vm1/net0)"
	cp "$host/guests/vm1.xml" "$work/vm1.xml"
	keep before
	rm -f "$work/was.whole"
	: >"$host/writes.log"
	starts
	written there
	keep whole
	ends
	written back
	gone
	note "$mode: $(xargs <<<"$knob_list"); $(wc -l <"$work/there") writes there, $(wc -l <"$work/back") back"
}

starts() {
	virsh_start vm1 || fail "$mode: the start is refused: $(<"$work/hook")"
	wait_for 20 is_state vm1/net0 in-use || fail "$mode: vm1/net0 is $(state_of vm1/net0)"
	[ ! -e "$work/was.whole" ] || whole
}

ends() {
	virsh_destroy vm1 || fail "$mode: a release fails"
	wait_for 20 is_state vm1/net0 reserved || fail "$mode: vm1/net0 is $(state_of vm1/net0)"
}

# Nothing is left but what the guest's XML says.
gone() {
	local left
	wait_for 20 is_state vm1/net0 reserved || fail "$mode: vm1/net0 is $(state_of vm1/net0)"
	dump >"$work/is"
	diff -u "$work/was.before" "$work/is" || fail "the host is not as it was"
	left=$(find "$run/attachments" "$run/journal" -type f 2>/dev/null) || :
	[ -z "$left" ] || fail "files are left: $left"
}

# As libvirt does it: nothing is answered about the guest before its hook is over.
soon() { # OPERATION EXTRA <XML
	VNETD_SOCKET=$socket timeout 30 "$build/vnetd-hook" vm1 "$1" begin "$2" 2>"$work/hook"
}

comes_back_by() { # HOW
	if [ "$1" = libvirt ]; then
		start
		gone
		return
	fi
	mv "$host/guests" "$host/.guests"
	start
	if [ "$1" = prepare ]; then
		sed 's/<domain /<domain id="7" /' "$work/vm1.xml" | soon prepare - ||
			fail "$mode: refused: $(<"$work/hook")"
	fi
	soon release failed <"$work/vm1.xml" || fail "$mode: a release fails"
	left=$(find "$run/attachments" "$run/journal" -type f)
	[ -z "$left" ] || fail "$mode: $1: it is not taken back: $left"
	mv "$host/.guests" "$host/guests"
	gone
}

crash_start() { # POINT HOW
	fault "$1" kill
	! sed 's/<domain /<domain id="7" /' "$host/guests/vm1.xml" | soon prepare - ||
		fail "vnetd died, and the hook says yes"
	died
	was_passed "$1"
	comes_back_by "$2"
	ok "$mode: a start, killed at $1, then $2"
}

crash_end() { # POINT HOW
	starts
	fault "$1" kill
	virsh_destroy vm1 || fail "a release fails"
	died
	was_passed "$1"
	comes_back_by "$2"
	ok "$mode: an end, killed at $1, then $2"
}

write_fails() { # N
	kernel_fails "nth $1 EIO"
	! virsh_start vm1 || fail "$mode: the guest starts though write $1 failed"
	says injected "$(<"$host/writes.log")"
	kernel_well
	: >"$host/writes.log"
	same "in one line" 1 "$(wc -l <"$work/hook")"
	says "^vnetd: guest vm1: attach vm1/net0: set ($knobs) of .* to .*: Input/output error" "$(<"$work/hook")"
	gone
	ok "$mode: a start, write $1 failed: $(<"$work/hook")"
}

write_back_fails() { # N
	starts
	: >"$host/writes.log"
	kernel_fails "nth $1 EIO"
	virsh_destroy vm1 || fail "a release fails"
	says injected "$(<"$host/writes.log")"
	kernel_well
	wait_for 20 has_ended || fail "$mode: vm1/net0 stays $(state_of vm1/net0)"
	if is_state vm1/net0 stuck; then
		! virsh_start vm1 || fail "it starts with what is stuck"
		says 'stuck.*detach vm1 net0 --live' "$(<"$work/hook")"
		expect 0 'vm1/net0 is detached' detach vm1 --live
	fi
	gone
	ok "$mode: an end, write $1 failed"
}
has_ended() { case $(state_of vm1/net0) in reserved | stuck) ;; *) false ;; esac }

matrix() { # MODE [KNOB...: these of its plan alone]
	local knob at n i=0 hows=(libvirt release prepare)
	learn_cold "$1"
	shift
	# shellcheck disable=SC2086 # words
	[ $# -gt 0 ] || set -- $knob_list
	for knob; do
		for at in set after; do
			crash_start "knob:$knob:$at" "${hows[i++ % 3]}"
		done
	done
	crash_start handover:before "${hows[i++ % 3]}"
	for n in $(seq "$(wc -l <"$work/there")"); do
		write_fails "$n"
	done
	for knob; do
		for at in before after; do
			crash_end "back:$knob:$at" "${hows[i++ % 3]}"
		done
	done
	for n in $(seq "$(wc -l <"$work/back")"); do
		write_back_fails "$n"
	done
	starts
	ends
	gone
	stop
}

# Of modes with a like plan the like knobs run once.
bridges() {
	matrix vhost-net
	matrix tap bridge-port
	matrix passthrough
}
others() {
	matrix vdpa
	matrix macvtap
}

side_by_side bridges others
