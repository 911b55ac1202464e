#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What looking costs, in numbers that depend on no clock: system calls a VF, memory, and
# what is not done at all. tests/bench/run prints the same numbers, and times.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$top/tests/bench/measure.sh"

[[ $build != *san-* ]] || skip "a sanitizer has calls and memory of its own"
strace -D -qq -o /dev/null true 2>/dev/null || skip "strace may not trace here"

note "a cold inventory: at most three system calls a VF in the workers, and linear growth"
cold_calls 256
few=$in_workers
printf '256 VFs: %s in workers, %s in the daemon\n' "$in_workers" "$in_daemon"
cold_calls 4096
printf '4096 VFs: %s in workers, %s in the daemon\n' "$in_workers" "$in_daemon"
[ "$few" -gt 256 ] || fail "$few calls: that was no scan"
[ "$few" -le $((3 * 256)) ] || fail "256 VFs cost $few calls"
[ "$in_workers" -le $((3 * 4096)) ] || fail "4096 VFs cost $in_workers calls"
[ "$in_workers" -le $((16 * few)) ] || fail "it grows faster than the host: $few, $in_workers"
[ "$in_daemon" -le 4096 ] || fail "the daemon makes $in_daemon calls itself"

note "memory at 4096 VFs"
product "$made"
for _ in 1 2 3; do
	same "VFs" 4096 "$(vnet --json inventory | jq '[.nics[] | select(.kind == "vf")] | length')"
done
small() { [ "$(rss_anon)" -le 16384 ]; }
wait_for 10 small || fail "RssAnon is $(rss_anon) KiB"
ok "RssAnon $(rss_anon) KiB"
stop

if ! own_network; then
	skip "this machine lets nobody make a network namespace: warm and idle were not looked at"
fi
[ "$(id -u)" = 0 ] || own_user=(-U --preserve-credentials)
product_traced / --libvirt test:///default

note "nothing happened since: answered from memory"
warm() { # an answer without a look at sysfs
	mark_files
	vnet --json inventory >"$work/warm.json"
	sleep 0.2
	[ "$(sysfs_calls)" = 0 ]
}
wait_for 10 warm || fail "each inventory reads sysfs: $(since_mark | grep '"/*sys/' | tail -n 3)"
[ "$(since_mark | grep -c '"proc')" -gt 0 ] || fail "who has what open was not looked at"
ok "no look at sysfs, one at /proc"

note "something happened: seen at once"
lo_is() { jq '.links[] | select(.name == "lo") | .up' "$work/warm.json"; }
same "lo is up" false "$(lo_is)"
mark_files
in_network ip link set lo up
same "lo is up" true "$(json '.links[] | select(.name == "lo") | .up' inventory)"
[ "$(sysfs_calls)" -gt 0 ] || fail "and nothing was read for it"
wait_for 10 warm || fail "it never comes to rest again"

note "nothing to do: no system call returns"
# Events of this machine may wake it; what it does by itself would come each time.
idle() {
	mark
	sleep 4
	[ "$(calls_since)" = 0 ]
}
sleep 2
idle || idle || idle || idle || fail "awake while idle: $(since_mark | tail -n 5)"
ok "idle"
