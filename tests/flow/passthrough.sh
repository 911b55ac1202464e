#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A whole NIC for a guest: which interface the host has no more, and which it has again.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

nic=0000:02:00.0 # enp2s0

new_host
start
keep fresh

note "taken: its interface is named; brought back: driver and interface are"
expect 0 'no interface enp2s0 meanwhile' why vm1 --mode passthrough --pool enp2s0
expect 0 'no interface enp2s0 meanwhile' attach vm1 --mode passthrough --pool enp2s0
[ -z "$(jq -r '.links[] | select(.name == "enp2s0")' "$host/fake.json")" ] || fail "the host has enp2s0"
expect 0 "^vm1/net0 is detached; $nic is on driver igb again, with interface enp2s0$" detach vm1
grep -q "vm1/net0: $nic is on driver igb again, with interface enp2s0" "$log" || fail "the log says nothing"
back_as fresh

note "without a driver it goes back to none"
new_host --pf-unbound 1
start
expect 0 "$nic is free;" attach vm1 --mode passthrough --pool "$nic"
expect 0 "^vm1/net0 is detached; $nic has no driver$" detach vm1

note "a guest's end is told in the log alone"
new_host
start
vnet attach vm1 --live --mode passthrough --pool enp2s0
: >"$log"
: >"$host/guests/vm1.off"
wait_for 10 grep -q "vm1/net0: gone" "$log" || fail "it is not taken back"
grep -q "vm1/net0: $nic is on driver igb again, with interface enp2s0" "$log" || fail "the log says nothing"

note "a scan that fails keeps nothing from ending"
new_host
start
vnet attach vm1 --mode passthrough --pool enp2s0
kernel_fails "links EIO"
expect 0 '^vm1/net0 is detached$' detach vm1
kernel_well
