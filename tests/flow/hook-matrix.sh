#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# libvirt's hook, and kill -9 or a failing write at every point between two deeds, of a
# guest's start and of its end: what was cut off is whole or gone after the restart, also
# where libvirt answers nothing before the next hook is over (it holds the guest's lock
# meanwhile); the same start works then, and its end leaves the host as it was.
# shellcheck disable=SC2317 # functions that are called by name
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0 mac=52:54:00:aa:00:01
knobs='autoprobe|numvfs|link-up|driver|vf-vlan|vf-trust|vf-spoofchk|vf-mac'

# vm1 is shut off and names VF 0. Three hosts: after a reboot, so without VFs; VFs made by
# vnetd; VFs of others, on their driver and with every attribute set.
make_host() { # KIND
	local opts=(--pfs 1 --guests 1)
	[ "$1" != native ] || opts+=(--existing-vfs 2 --bound igbvf --pf-up 0)
	new_host "${opts[@]}"
	[ "$1" != native ] ||
		change_fake ".vfs[\"$pf0\"][0] += {mac: \"52:54:00:01:01:00\", vlan: \"9 qos 2\", trust: true, spoofchk: false}"
	shut_off vm1
	start
	vnet attach vm1 --pool enp1s0 --mac "$mac" --vlan '100 qos 3' --name net0 >/dev/null
	stop
	[ "$1" = rebooted ] || return 0
	mv "$host/guests" "$work/guests"
	new_host "${opts[@]}"
	rm -r "$host/guests"
	mv "$work/guests" "$host/guests"
}

take_host() { # KIND
	kind=$1
	[ -z "$daemon" ] || stop
	raze_host
	if [ ! -d "$work/$1.host" ]; then
		make_host "$1"
		rm -f "$host/writes.log"
		cp -a "$host" "$work/$1.host"
		[ ! -d "$run" ] || cp -a "$run" "$work/$1.run"
		keep before
		start
		virsh_start vm1
		becomes vm1/net0 in-use
		virsh_destroy vm1
		becomes vm1/net0 reserved
		keep made
		stop
		raze_host
	fi
	cp -a "$work/$1.host" "$host"
	[ ! -d "$work/$1.run" ] || cp -a "$work/$1.run" "$run"
}

# As it was, save that a PF whose VFs were made keeps them, and may be up.
as_before() {
	local name=before
	[ "$(numvfs $pf0)" = 0 ] || name=made
	becomes vm1/net0 reserved
	back_as $name 'link enp1s0 '
}

as_asked() {
	[ "$(fake "[.holders[] | select(.guest == \"vm1\") | .address] + (.vfs[\"$pf0\"][] |
		select(.index == 0) | [.mac, .vlan]) | join(\" \")")" = "0000:01:10.0 $mac 100 qos 3" ]
}

starts_and_ends() {
	virsh_start vm1 || fail "the same start is refused: $(<"$work/hook")"
	becomes vm1/net0 in-use
	wait_for 5 as_asked || fail "QEMU has it not, or not as it was asked for"
	virsh_destroy vm1 || fail "a release fails"
	as_before
}

# As libvirt does it: nothing is answered about the guest before its hook is over.
soon() { # OPERATION EXTRA <XML
	VNETD_SOCKET=$socket timeout 30 "$build/vnetd-hook" vm1 "$1" begin "$2" 2>"$work/hook"
}

# After a crash: by libvirt's word, by the hook that says the guest ended, by that of its
# next start.
comes_back() { # HOW
	local xml=$work/xml
	cp "$host/guests/vm1.xml" "$xml"
	case $1 in
	libvirt) start ;;
	*)
		mv "$host/guests" "$host/.guests"
		start
		if [ "$1" = release ]; then
			soon release failed <"$xml" || fail "a release fails"
		else
			sed 's/<domain /<domain id="7" /' "$xml" | soon prepare - || fail "refused: $(<"$work/hook")"
			soon release failed <"$xml" || fail "a release fails"
		fi
		[ -z "$(find "$run/attachments" "$run/journal" -type f)" ] || fail "$1: it is not taken back"
		mv "$host/.guests" "$host/guests"
		;;
	esac
	as_before
	starts_and_ends
}

was_passed() { [ ! -e "$run/fault" ] || fail "$1 was never passed"; }

crash_start() { # POINT HOW
	take_host "$kind"
	start
	fault "$1" kill
	! sed 's/<domain /<domain id="7" /' "$host/guests/vm1.xml" | soon prepare - || fail "vnetd died, and the hook says yes"
	died
	was_passed "$1"
	comes_back "$2"
	ok "$kind: a start, killed at $1, then $2"
}

crash_end() { # POINT HOW
	take_host "$kind"
	start
	virsh_start vm1 || fail "refused: $(<"$work/hook")"
	becomes vm1/net0 in-use
	fault "$1" kill
	virsh_destroy vm1 || fail "a release fails"
	died
	was_passed "$1"
	comes_back "$2"
	ok "$kind: an end, killed at $1, then $2"
}

crashes() { # KIND KNOB...
	local knob at how i=0 hows=(libvirt release prepare)
	kind=$1
	shift
	note "$kind: killed during the start"
	for knob; do
		for at in before set after; do
			crash_start "knob:$knob:$at" "${hows[i++ % 3]}"
			crash_start "knob:$knob:$at" "${hows[i++ % 3]}"
		done
	done
	for how in "${hows[@]}"; do
		crash_start handover:before "$how"
	done
	note "$kind: killed during the end"
	for knob; do
		case $knob in autoprobe | numvfs | link-up) continue ;; esac
		for how in "${hows[@]}"; do
			crash_end "back:$knob:before" "$how"
			crash_end "back:$knob:after" "$how"
		done
	done
}

faults() { # KIND
	local n there back
	kind=$1
	take_host "$kind"
	start
	rm -f "$host/writes.log"
	virsh_start vm1 || fail "refused: $(<"$work/hook")"
	becomes vm1/net0 in-use
	there=$(writes)
	virsh_destroy vm1
	becomes vm1/net0 reserved
	back=$(($(writes) - there))
	note "$kind: each of $there writes of a start fails: refused, and nothing is left"
	for n in $(seq "$there"); do
		take_host "$kind"
		start
		kernel_fails "nth $n EIO"
		! virsh_start vm1 || fail "the guest starts though write $n failed"
		says injected "$(<"$host/writes.log")"
		same "in one line" 1 "$(wc -l <"$work/hook")"
		says "^vnetd: guest vm1: attach vm1/net0: set ($knobs) of $pf0.* to .*: Input/output error" "$(<"$work/hook")"
		kernel_well
		as_before
		starts_and_ends
	done
	note "$kind: each of $back writes of an end fails: stuck or nothing, and detach --live cleans"
	for n in $(seq "$back"); do
		take_host "$kind"
		start
		virsh_start vm1 || fail "refused: $(<"$work/hook")"
		becomes vm1/net0 in-use
		kernel_fails "nth $n EIO"
		virsh_destroy vm1 || fail "a release fails"
		says injected "$(<"$host/writes.log")"
		kernel_well
		if is_state vm1/net0 stuck; then
			! virsh_start vm1 || fail "it starts with what is stuck"
			says 'stuck.*detach vm1 net0 --live' "$(<"$work/hook")"
			expect 0 'vm1/net0 is detached' detach vm1 --live
		fi
		as_before
		starts_and_ends
	done
}

crashes_rebooted() { crashes rebooted autoprobe numvfs link-up driver vf-vlan vf-mac; }
crashes_native() { crashes native driver vf-vlan vf-trust vf-spoofchk vf-mac; }
faults_rebooted() { faults rebooted; }
faults_native() { faults native; }

side_by_side crashes_rebooted crashes_native
side_by_side faults_rebooted faults_native
