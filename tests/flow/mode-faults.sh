#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The fault matrix over every mode but vf, which fault-matrix.sh has: each single write to
# the kernel fails, says yes and does nothing, or takes its worker with it, there and back.
# Either the attachment is there and right, or nothing of it is left, and then the same
# command works.
# shellcheck disable=SC2317 # functions that are called by name
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/mode-lib.sh"

# Every case begins and ends with nothing attached, by the same vnetd on the same host.
fails_there() { # FAULT [MUST]
	local rc=0
	kernel_fails "$1"
	attaches || rc=$?
	says injected "$(<"$host/writes.log")"
	kernel_well
	if [ $rc = 0 ]; then
		[ -z "${2:-}" ] || fail "$mode: $1: it attaches all the same"
		whole
		detaches || fail "$mode: $1: it stays: $(<"$work/err")"
	else
		says "^vnetctl: attach vm1/net0: .*set ($knobs) of " "$(<"$work/err")"
		! grep -q 'left behind' "$work/err" || fail "$mode: $1: $(<"$work/err")"
	fi
	gone
	ok "$mode there: $1: exit $rc: $(head -n 1 "$work/err" | cut -c 1-250)"
	: >"$host/writes.log"
}

fails_back() { # FAULT
	local rc=0 why
	attaches || fail "$mode: the attach after a fault: $(<"$work/err")"
	: >"$host/writes.log"
	kernel_fails "$1"
	detaches || rc=$?
	says injected "$(<"$host/writes.log")"
	kernel_well
	why=$(head -n 1 "$work/err" | cut -c 1-250)
	if [ $rc != 0 ]; then
		[ $rc = 5 ] || fail "$mode: $1: exit $rc: $why"
		says "put ($knobs) of .* back to " "$why"
		is_state vm1/net0 stuck || fail "$mode: $1: it is $(state_of vm1/net0)"
		stuck=$((stuck + 1))
		detaches || fail "$mode: $1: it cannot be detached any more: $(<"$work/err")"
	fi
	gone
	ok "$mode back: $1: exit $rc: $why"
}

# A worker that is killed logs nothing: its fault is gone from the list.
dies_there() { # PATTERN
	local rc=0
	kernel_fails "die $1"
	attaches || rc=$?
	[ ! -s "$host/fail" ] || fail "$mode: $1 was never written"
	kernel_well
	[ $rc = 1 ] || fail "$mode: the worker died at $1: exit $rc"
	says "set ($knobs) of .*the worker died while it did" "$(<"$work/err")"
	gone
	ok "$mode there: the worker dies at $1"
}

dies_back() { # PATTERN
	local rc=0
	attaches || fail "$mode: the attach after a fault: $(<"$work/err")"
	kernel_fails "die $1"
	detaches || rc=$?
	[ ! -s "$host/fail" ] || fail "$mode: $1 was never written"
	kernel_well
	if [ $rc != 0 ]; then
		is_state vm1/net0 stuck || fail "$mode: it is $(state_of vm1/net0)"
		detaches || fail "$mode: it cannot be detached any more: $(<"$work/err")"
	fi
	gone
	ok "$mode back: the worker dies at $1: exit $rc"
}

matrix() { # MODE
	local n what all
	host_of_all_modes
	learn_mode "$1"
	for n in $(seq "$(wc -l <"$work/there")"); do
		fails_there "nth $n EIO"
	done
	mapfile -t all < <(sort -u "$work/there")
	for what in "${all[@]}"; do
		fails_there "silent $what"
		dies_there "$what"
	done
	stuck=0
	for n in $(seq "$(wc -l <"$work/back")"); do
		fails_back "nth $n EIO"
	done
	[ $stuck -gt 0 ] || fail "$mode: no write of a detach was missed"
	mapfile -t all < <(sort -u "$work/back")
	for what in "${all[@]}"; do
		fails_back "silent $what"
		dies_back "$what"
	done
	attaches || fail "$mode: in the end: $(<"$work/err")"
	whole
	detaches || fail "$mode: in the end: $(<"$work/err")"
	gone
}

bridges() {
	matrix vhost-net
	matrix tap
}
others() {
	matrix macvtap
	matrix vdpa
	matrix passthrough
}

side_by_side bridges others
