#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The crash matrix over every mode but vf, which crash-matrix.sh has: kill -9 at every point
# between two deeds, there and back, and while a worker writes; an errno at each of them
# too. After the restart the attachment is whole or gone, and the same command works.
# shellcheck disable=SC2317 # functions that are called by name
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/mode-lib.sh"

# A case begins with what the one before has left, by the same vnetd.
be_there() {
	! is_whole || return 0
	attaches || fail "$mode: attach: $(<"$work/err")"
	whole
}

be_gone() {
	is_state vm1/net0 none || detaches || fail "$mode: detach: $(<"$work/err")"
	gone
}

crash_there() { # POINT
	be_gone
	fault "$1" kill
	begin cut "${attach[@]}"
	died
	ended 10 cut 3 'closed the connection before it answered' >/dev/null
	was_passed "$1"
	comes_back
	attaches || fail "$mode: the same attach after $1: $(<"$work/err")"
	whole
	ok "$mode: killed at $1: $became; and the same attach works"
}

crash_back() { # POINT
	be_there
	fault "$1" kill
	begin cut detach vm1 net0
	died
	was_passed "$1"
	comes_back
	ok "$mode: killed at $1: $became"
}

# The point fails, as for want of memory; nobody dies.
error_at() { # POINT COMMAND
	local rc=0
	fault "$1" ENOMEM
	"$2" || rc=$?
	was_passed "$1"
	if [ $rc != 0 ]; then says 'fault point|residue' "$(<"$work/err")"; fi
	wait_for 20 settled_or_stuck || fail "vm1/net0 stays $became"
	case $became in
	none) gone ;;
	stuck) ;;
	*) whole ;;
	esac
	ok "$mode: an error at $1: exit $rc, $became: $(head -n 1 "$work/err" | cut -c 1-200)"
}

settled_or_stuck() { settled || [ "$became" = stuck ]; }

in_write() { grep -q '^hangs' "$host/writes.log"; }
waits() { grep -q 'still writes: waiting for it' "$log"; }

# The next vnetd waits for the worker, and then takes back what it did.
crash_in_write() { # PATTERN
	: >"$host/writes.log"
	kernel_fails "hang $1"
	begin cut "${attach[@]}"
	wait_for 10 in_write || fail "$mode: nobody writes $1"
	crash
	: >"$log"
	start
	wait_for 10 waits || fail "$mode: it does not wait for the worker"
	kernel_well
	wait_for 20 settled || fail "vm1/net0 stays $(state_of vm1/net0)"
	same "$mode: killed while a worker is in $1" none "$became"
	gone
	be_there
	be_gone
}

matrix() { # MODE [KNOB...: these of its plan alone]
	local knob i there=() back=()
	learn_mode "$1"
	shift
	# shellcheck disable=SC2086 # words
	[ $# -gt 0 ] || set -- $knob_list
	for knob; do
		there+=("knob:$knob:before" "knob:$knob:set" "knob:$knob:after")
		back+=("back:$knob:before" "back:$knob:after")
	done
	there+=(handover:before libvirt:attach:before libvirt:attach:after handover:after)
	back+=(libvirt:detach:before)
	for i in "${!there[@]}"; do
		crash_there "${there[i]}"
		[ -z "${back[i]:-}" ] || crash_back "${back[i]}"
	done
	be_gone
	for i in "${there[@]}" "${back[@]}"; do
		case $i in
		*:before) continue ;; # as one behind it
		back:*) be_there && error_at "$i" detaches ;;
		*) error_at "$i" attaches ;;
		esac
		be_gone
	done
	be_gone
	[ ! -s "$work/there" ] || crash_in_write "$(tail -n 2 "$work/there" | head -n 1)"
	stop
}

of_mode() { # MODE [KNOB...]
	host_of_all_modes
	matrix "$@"
}

# Of modes with a like plan the like knobs run once.
bridges() {
	of_mode vhost-net
	of_mode tap bridge-port
	of_mode passthrough
}
others() {
	of_mode vdpa
	of_mode macvtap
	if command -v ovsdb-server >/dev/null; then
		ovs
	else
		note "no ovsdb-server: nothing of Open vSwitch here"
	fi
}

# The tap is as on a Linux bridge; its port is a row of a database.
ovs() {
	ovs_begin
	trap 'rc=$?; ovs_end; finish $rc' EXIT
	host_of_all_modes
	ovs_host
	matrix ovs ovs-port
}

PATH=$PATH:/usr/sbin:/sbin
side_by_side bridges others
