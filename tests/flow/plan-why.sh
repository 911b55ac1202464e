#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Looking: plan, why, inventory and mode list tell what is and would be, and touch nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0 mac=52:54:00:aa:00:01

untouched() { # NAME
	back_as "$1"
	[ ! -e "$host/writes.log" ] || fail "something was written: $(cat "$host/writes.log")"
}

new_host --nvme --tap
keep fresh
start

note "plan: the exact knobs, before and after"
expect 0 "^vm1/net0: vf \(VF 0 of enp1s0\) mac $mac vlan 100" \
	plan attach vm1 --mode vf --pool enp1s0 --mac $mac --vlan 100
says "autoprobe +$pf0 +1 +0 +stays" "$out"
says "numvfs +$pf0 +0 +7 +stays" "$out"
says "link-up +$pf0 +down +up +stays" "$out"
says "driver +$pf0/vf0 +- +vfio-pci override=vfio-pci +goes back" "$out"
says "vf-vlan +$pf0/vf0 +- +100 +goes back" "$out"
says "vf-mac +$pf0/vf0 +- +$mac +goes back" "$out"
says "then: virsh attach-device vm1 --live: <interface type='hostdev' managed='no'>, alias ua-vnetd-net0" "$out"
says 'warning: making VFs interrupts the link of enp1s0' "$out"
says 'why: 0000:01:00.0/vf0 will be made with 7 VFs of enp1s0' "$out"
untouched fresh

note "as JSON, and it is what attach then does"
json '.steps[] | select(.changes) | "\(.knob) \(.object) \(.after)"' \
	plan attach vm1 --mode vf --pool enp1s0 --mac $mac --vlan 100 >"$work/plan"
same "steps that change something" 8 "$(json '.steps | length' plan attach vm1 --mode vf)"
untouched fresh

note "why: each candidate of each pool, and the chosen one marked"
expect 0 "^\* +vf +enp1s0 +$pf0 +- +0 +yes +60 $pf0/vf0 will be made with 7 VFs" why vm1 --mode vf
same "candidates" "14 14 1" "$(json '"\(.verdicts | length) \([.verdicts[] | select(.serves)] | length) \([.verdicts[] | select(.chosen)] | length)"' why vm1)"
same "of one pool" 7 "$(json '.verdicts | length' why vm1 --pool enp2s0)"
untouched fresh

note "mode list, inventory"
expect 0 '^vf ' mode list
same "modes" "macvtap passthrough tap vdpa vf vhost-net vhost-user" \
	"$(json '[.modes[] | select(.loaded) | .name] | join(" ")' mode list)"
expect 0 '0000:0a:00.0' inventory
expect 0 'enp9s0' inventory
jq -e . <(vnet inventory --json) >/dev/null || fail "inventory --json is no JSON"
if vnet why vm1 | grep '0000:0a:00.0'; then
	fail "an NVMe controller is no pool"
fi
untouched fresh

note "the attach does what was planned, nothing else"
expect 0 '^vm1/net0: ' attach vm1 --mode vf --pool enp1s0 --mac $mac --vlan 100
json '.effects[] | "\(.knob) \(.object) \(.after)"' show vm1/net0 >"$work/did"
# What is so already but must not stay so is in the journal, not among the changes.
diff <(grep -v 'spoofchk\|trust' "$work/plan") <(grep -v 'spoofchk\|trust' "$work/did") ||
	fail "the plan was another"
ok "planned: $(tr '\n' ',' <"$work/plan")"

note "with VFs there, their own values are the ones before"
keep made
rm "$host/writes.log"
expect 0 '^\* +vf +enp2s0' why vm2
expect 0 "driver +$pf0/vf1 +none +vfio-pci override=vfio-pci" plan attach vm2 --pool enp1s0
says "link-up +$pf0 +up +\(no change\)" "$out"
says "vf-trust +$pf0/vf1 +off +\(no change\)" "$out"
if grep -q 'numvfs\|warning' <<<"$out"; then
	fail "VFs would be made once more: $out"
fi
expect 0 "^ +vf +enp1s0 +$pf0 +0000:01:10.0 +0 +no +0 0000:01:10.0 is in use: attachment vm1/net0 has it \(in-use\)" why vm2
expect 1 "MAC $mac is taken: attachment vm1/net0 has it" plan attach vm2 --mac $mac
expect 1 'has a NIC net0 already' plan attach vm1 --name net0
expect 1 'knows no guest nosuch' plan attach nosuch
expect 1 'knows no guest nosuch' why nosuch
expect 1 'there is no pool nosuch' why vm1 --pool nosuch
[ ! -e "$host/writes.log" ] || fail "something was written"
dump | diff "$work/was.made" - || fail "looking changed something"
