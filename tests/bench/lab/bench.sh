#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the benchmarks in the lab share, on top of vnet.sh: rows for tests/bench/lab/run.
# shellcheck disable=SC2034 # used by those who source it
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

rounds=3
vfs_each=7
read -ra pfs <<<"$LAB_PFS"

# row WHAT USEC [BESIDE-USEC NAME]: told live, and kept for the table.
row() {
	local ratio=-
	[ -z "${3:-}" ] || ratio=$(awk -v a="$2" -v b="$3" -v n="$4" 'BEGIN { printf "%.2f x %s", a / b, n }')
	printf 'row\t%s PFs\t%s\t%s\t%s\n' "${#pfs[@]}" "$1" "$2" "$ratio"
}

usec() { # COMMAND... -> how long it took
	local from=${EPOCHREALTIME/./} log=$state_dir/bench.log
	"$@" >"$log" 2>&1 </dev/null || fail "$*: $(tail -n 3 "$log")"
	echo $((${EPOCHREALTIME/./} - from))
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

all_vfs() { # addresses, PF by PF
	local pf vf
	for pf in "${pfs[@]}"; do
		for ((vf = 0; vf < vfs_each; vf++)); do vf_address "$pf" $vf; done
	done
}

none_left() {
	local pf
	for pf in "${pfs[@]}"; do vfs_remove "$pf"; done
	udevadm settle
}
