#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# All VFs taken; and many who want one at once.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0
shopt -s nullglob

note "twenty at once on the seven VFs of a PF that has none yet"
new_host --pfs 1 --guests 4
start
for i in $(seq 20); do
	begin "many$i" attach "vm$((i % 4 + 1))" --mode vf --pool enp1s0 --name "nic$i"
done
for i in $(seq 20); do
	wait_for 60 test -s "$work/many$i.rc" || fail "attach $i did not end"
done
same "attached" 7 "$(cat "$work"/many*.rc | grep -cx 0)"
same "refused as nothing can serve" 13 "$(cat "$work"/many*.rc | grep -cx 4)"
same "VFs" 7 "$(numvfs $pf0)"
same "in use" 7 "$(json '[.attachments[] | select(.state == "in-use") | .vf] | unique | length' list)"
same "MACs" 7 "$(json '[.attachments[].mac] | unique | length' list)"
same "held by QEMU" 7 "$(fake '[.holders[].address] | unique | length')"
same "count was written once" 1 "$(grep -c sriov_numvfs "$host/writes.log")"
same "hosts' XML" 7 "$(cat "$host"/guests/*.xml | grep -o "ua-vnetd-nic[0-9]*" | sort -u | wc -l)"

note "the next is told who has them, and that another cannot be had"
before=$(writes)
expect 4 'nothing can serve vm1: .*is in use: attachment vm[1-4]/nic[0-9]+ has it \(in-use\)' \
	attach vm1 --mode vf
same "verdicts" 7 "$(grep -c '0000:01:00.0 .* no ' <<<"$err")"
rc=0
text=$(vnet --json attach vm1 2>/dev/null) || rc=$?
same "error" "4 NothingServes 7" "$rc $(jq -r '.error | "\(.name) \(.verdicts | length)"' <<<"$text")"
same "writes" "$before" "$(writes)"

note "one is given back, and the next attach takes it"
id=$(json '.attachments[3] | "\(.guest)/\(.name)"' list)
vf=$(json '.attachments[3].vf' list)
expect 0 "$id is detached" detach "$id"
expect 0 "^vm2/again: vf $vf" attach vm2 --mode vf --name again
expect 4 'nothing can serve' attach vm1 --mode vf

note "detached all at once"
for id in $(json '.attachments[] | "\(.guest)/\(.name)"' list); do
	begin "end${id//\//-}" detach "$id"
done
for id in $(json '.attachments[] | "\(.guest)/\(.name)"' list); do
	ended 60 "end${id//\//-}" 0 'is detached'
done
expect 0 'no attachments' list
same "held by QEMU" 0 "$(fake '.holders | length')"

note "one guest asked from many sides at once for a NIC of one name gets one"
for i in $(seq 8); do
	begin "same$i" attach vm1 --mode vf --name one --mac 52:54:00:aa:00:01
done
for i in $(seq 8); do
	wait_for 60 test -s "$work/same$i.rc" || fail "attach $i did not end"
done
same "attachments" "vm1/one" "$(json '.attachments[] | "\(.guest)/\(.name)"' list)"
grep -qx 0 "$work"/same*.rc || fail "nobody was told that it worked"
grep -qE 'vm1/one: it is preparing now' "$work"/same*.err ||
	note "all came after it was done"
expect 0 'vm1/one is detached' detach vm1

note "two guests, one MAC at once: one of them"
begin a attach vm1 --mode vf --mac 52:54:00:aa:00:02
begin b attach vm2 --mode vf --mac 52:54:00:aa:00:02
wait_for 20 test -s "$work/a.rc" || fail "no end"
wait_for 20 test -s "$work/b.rc" || fail "no end"
same "exit codes" "0 1" "$(sort "$work/a.rc" "$work/b.rc" | xargs)"
grep -q 'is taken: attachment' "$work/a.err" "$work/b.err" || fail "no reason"
same "attachments" 1 "$(json '.attachments | length' list)"
id=$(json '.attachments[0] | "\(.guest)/\(.name)"' list)
expect 0 'is detached' detach "$id"

note "the pool with the greater free share is chosen; a guest's node comes first"
new_host --pfs 2 --numa-nodes 2 --existing-vfs 4 --guests 2
sed -i "s|<os>|<numatune><memory mode='strict' nodeset='1'/></numatune><os>|" "$host/guests/vm2.xml"
start
expect 0 'of enp1s0' attach vm1
expect 0 'of enp2s0' attach vm1
expect 0 'of enp1s0' attach vm1
for i in 1 2 3; do
	expect 0 'of enp2s0' attach vm2
done
expect 0 'of enp1s0' attach vm2
