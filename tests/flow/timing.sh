#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Where an attach says its time went.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

timing() { jq -e ".timing | $1" "$work/slow.out"; }

new_host --pfs 1
start

note "the parts make the whole, and time that the kernel takes is the kernel's"
kernel_fails 'hang vf_set:mac:*'
begin slow --json attach vm1
blocked() { [ "$(state_of vm1/net0)" = preparing ] && pgrep -f -- "--worker --root $host " && [ -e "$host/writes.log" ] && grep -q vfio-pci "$host/writes.log"; }
wait_for 20 blocked || fail "the attach does not come to set the MAC"
sleep 0.5
kernel_well
ended 20 slow 0 in-use
timing '.totalUsec == .kernelUsec + .libvirtUsec + .vnetdUsec' >/dev/null || fail "parts: $(timing .)"
timing '.kernelUsec >= 500000' >/dev/null || fail "half a second in the kernel is not counted: $(timing .)"
timing '.libvirtUsec > 0 and .vnetdUsec > 0 and .cpuUsec > 0' >/dev/null || fail "a part is missing: $(timing .)"
ok "$(jq -c .timing "$work/slow.out")"

note "told only when asked for"
expect 0 'time: [0-9.]+ ms: kernel [0-9.]+, libvirt [0-9.]+, vnetd [0-9.]+; vnetd.s CPU [0-9.]+ ms' \
	attach vm2 --timing
expect 0 '^vm2/second: ' attach vm2 --name second
[[ $out != *time:* ]] || fail "times, unasked: $out"

note "an answer to the same request again has a time too, of that answer"
same "members" 5 "$(json '.timing | length' attach vm2 --name second)"

note "only attach takes a time"
expect 2 'timing' why vm1 --timing
expect 2 'timing' plan attach vm1 --timing
