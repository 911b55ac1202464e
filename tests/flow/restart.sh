#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vnetd goes and comes while guests run, and finds its files gone, torn or from a later
# version: the guests notice nothing, and all is known again.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0 uuid1=00000000-0000-4000-8000-000000000001
mac=52:54:00:aa:00:01

what_is() { json '.attachments | sort_by(.guest + .name) | tojson' list; }
vms_hold() { fake '[.holders[] | "\(.guest) \(.address)"] | sort | join(", ")'; }
unwritten() { [ ! -e "$host/writes.log" ] || fail "something was written: $(cat "$host/writes.log")"; }
known() { vnet why vm1; }

# vm1 has two NICs, vm2 one.
begin_with() { # OPTIONS OF MKHOST...
	new_host --pf-up 0 "$@"
	keep before
	start
	expect 0 '^vm1/net0: ' attach vm1 --mode vf --pool enp1s0 --mac $mac --vlan '100 qos 3'
	expect 0 '^vm1/net1: ' attach vm1 --mode vf --pool enp1s0
	expect 0 '^vm2/wan: ' attach vm2 --mode vf --pool enp1s0 --name wan
	was=$(what_is)
	held=$(vms_hold)
	rm "$host/writes.log"
}

unharmed() {
	wait_for 15 known || fail "the guests do not get known"
	[ "$(vms_hold)" = "$held" ] || fail "QEMU lost a VF: $(vms_hold), not $held"
	unwritten
	ok "the guests keep $held"
}

all_back() { # nothing of it may be left
	local id
	for id in $(json '.attachments[] | "\(.guest)/\(.name)"' list); do
		expect 0 "$id is detached" detach "$id"
	done
	back_as "${1:-made}"
}

note "restarts, orderly and not"
begin_with --existing-vfs 7 --no-vfs-on 1
restart
unharmed
same "attachments" "$was" "$(what_is)"
crash
start
unharmed
same "attachments" "$was" "$(what_is)"
expect 1 'has a NIC net0 already' attach vm1 --name net0
expect 0 '^vm1/net0: ' attach vm1 --name net0 --mode vf --pool enp1s0 --mac $mac --vlan '100 qos 3'
unwritten
expect 0 'GOES BACK TO' show vm1/net0
all_back before

note "what happened meanwhile: one guest stopped, another let go of a NIC, a third came"
begin_with --existing-vfs 7 --no-vfs-on 1 --guests 3
stop
rm "$host/guests/vm2.xml"
unplug vm1 net0
start
wait_for 15 known
becomes vm1/net0 none
becomes vm2/wan none
same "the rest" "vm1/net1 in-use" "$(json '.attachments[] | "\(.guest)/\(.name) \(.state)"' list)"
expect 0 '^vm3/net0: ' attach vm3 --mode vf --pool enp1s0
all_back before

note "all files of vnetd's are lost: adopted from the guests' own metadata"
begin_with
stop
forget_runtime
start
unharmed
same "adopted" "vm1/net0 in-use $mac 100 3, vm1/net1 in-use, vm2/wan in-use" "$(json '[.attachments |
	sort_by(.guest + .name) | .[] | "\(.guest)/\(.name) \(.state)" +
	if .vlan then " \(.mac) \(.vlan.id) \(.vlan.qos)" else "" end] | join(", ")' list)"
expect 0 'why +adopted' show vm1/net0
expect 0 "is in use: attachment vm1/net0 has it" why vm2 --pool enp1s0
for id in vm1/net0 vm1/net1 vm2/wan; do
	expect 0 "$id is detached" detach $id
done
same "VFs as they are when new" 7 "$(fake "[.vfs[\"$pf0\"][] | select(.mac == null and .vlan == null)] | length")"
same "bound to anything" 0 "$(find "$host/sys/bus/pci/drivers/vfio-pci" -type l | wc -l)"

note "state files: torn, empty, no JSON, of a later version; moved aside and adopted anew"
begin_with --existing-vfs 7 --no-vfs-on 1
stop
cd "$run/attachments"
truncate -s 100 "$uuid1.net0.json"
: >"$uuid1.net1.json"
jq '.version = 2' "${uuid1%1}2.wan.json" >x && mv x "${uuid1%1}2.wan.json"
echo '[' >"$uuid1.other.json"
cd "$OLDPWD"
start
unharmed
same "moved aside" 4 "$(find "$run/attachments" -name '*.unreadable' | wc -l)"
same "journals too" 3 "$(find "$run/journal" -name '*.unreadable' | wc -l)"
says "$uuid1.net0.json cannot be read and was kept as $uuid1.net0.json.unreadable.*torn or empty" "$(<"$log")"
says 'written by a newer vnetd \(version 2\)' "$(<"$log")"
same "adopted" "vm1/net0 vm1/net1 vm2/wan" "$(json '[.attachments[] | "\(.guest)/\(.name)"] | sort | join(" ")' list)"
restart
unharmed
for id in vm1/net0 vm1/net1 vm2/wan; do
	expect 0 "$id is detached" detach $id
done
same "VFs that are set" 0 "$(fake "[.vfs[\"$pf0\"][] | select(.mac or .vlan)] | length")"

note "a journal whose last line is torn: that line was of something not done"
begin_with --existing-vfs 7 --no-vfs-on 1
stop
printf '{"turn":{"knob":"vf-ma' >>"$run/journal/$uuid1.net0"
start
unharmed
same "attachments" "$was" "$(what_is)"
all_back before

note "a journal that makes no sense: held for ever rather than given out"
begin_with --existing-vfs 7 --no-vfs-on 1
stop
sed -i 2s/turn/burn/ "$run/journal/$uuid1.net0"
start
unharmed
same "state" stuck "$(state_of vm1/net0)"
says 'line 2 is of no known kind' "$(json .attachment.reason show vm1/net0)"
expect 0 'vm1/net0 has it \(stuck\)' why vm2 --pool enp1s0
expect 0 'vm1/net1 is detached' detach vm1/net1

note "a journal that is gone: the VF goes back as if it were new"
begin_with --existing-vfs 7 --no-vfs-on 1
stop
rm "$run/journal/$uuid1.net0"
start
unharmed
expect 0 'vm1/net0 is detached' detach vm1/net0
same "VF" "null null" "$(fake ".vfs[\"$pf0\"][] | select(.index == 0) | \"\(.mac) \(.vlan)\"")"

note "what is not vnetd's in its folders is left alone"
echo hello >"$run/attachments/README"
mkdir "$run/attachments/dir.json"
echo hello >"$run/journal/README"
restart
unharmed_files() { [ -e "$run/attachments/README" ] && ls -d "$run"/attachments/dir.json* >/dev/null; }
unharmed_files || fail "files of others are gone"

note "one vnetd a folder, one a socket"
old=$daemon
launch
wait_for 10 dead "$daemon" || fail "a second vnetd runs in the same folder"
wait "$daemon" && fail "it ended well"
says 'another vnetd works in' "$(tail -n 3 "$log")"
daemon=$old
rm -f "$socket"
crash
start
: "a stale socket of a killed one was replaced"
other=$work/other
"$build/test/vnetd" --root "$host" --runtime "$other" --socket "$socket" --plugins "$build/plugins" \
	>"$work/second" 2>&1 && fail "a second vnetd listens on the same socket"
says 'another vnetd does' "$(<"$work/second")"
expect 0 'in-use' list

note "no plugins, no folder for state: said"
"$build/test/vnetd" --root "$host" --runtime "$work/no/such" --socket "$work/s2" \
	--plugins "$build/plugins" >"$work/second" 2>&1 && fail "it runs without its folder"
says 'make the runtime directory .*/no/such: No such file' "$(<"$work/second")"
