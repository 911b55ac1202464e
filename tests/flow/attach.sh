#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The main job: attach, list, show, detach, and the host as before.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0 pf1=0000:02:00.0 mac=52:54:00:aa:00:01

new_host --pf-up 1
keep fresh
start

note "nothing yet"
expect 0 'no attachments' list
same "list" '[]' "$(json '.attachments | tojson' list)"
expect 1 'gave no NIC to guest vm1' detach vm1
expect 1 'no attachment vm1/net0' show vm1/net0

note "a guest that libvirt has learned of just now"
sed 's/vm1/vm9/; s/000000000001/000000000009/' "$host/guests/vm1.xml" >"$host/.new"
mv "$host/.new" "$host/guests/vm9.xml"
expect 0 'score|vf|SERVES' why vm9
note "and one that runs since just now"
shut_off vm9
is_off() { ! vnet why vm9 --live; }
wait_for 10 is_off || fail "vm9 runs"
expect 1 'does not run' why vm9 --live
rm "$host/guests/vm9.off"
expect 0 'SERVES' why vm9 --live
rm "$host/guests/vm9.xml"

note "on a PF without VFs: it gets all that it can have"
expect 0 "^vm1/net0: vf 0000:01:10.0 \(VF 0 of enp1s0\) mac $mac" \
	attach vm1 --mode vf --pool enp1s0 --mac $mac --vlan '100 qos 3'
same "VFs" 7 "$(numvfs $pf0)"
same "autoprobe" 0 "$(cat "$host/sys/bus/pci/devices/$pf0/sriov_drivers_autoprobe")"
same "the PF is up" true "$(fake '.links[] | select(.name == "enp1s0") | .up')"
same "driver" vfio-pci "$(basename "$(readlink "$host/sys/bus/pci/devices/0000:01:10.0/driver")")"
same "VF" "$mac 100 qos 3" "$(fake ".vfs[\"$pf0\"][] | select(.index == 0) | \"\(.mac) \(.vlan)\"")"
same "holder" "0000:01:10.0 vm1" "$(fake '.holders[] | "\(.address) \(.guest)"')"
guest_has vm1 net0 || fail "the guest's XML has no device"
grep -q "$mac" "$host/guests/vm1.xml" || fail "the guest's XML has not the MAC"
grep -q 'urn:vnetd:1' "$host/guests/vm1.xml" || fail "the guest's XML has no metadata"

note "what is known of it"
expect 0 '^vm1/net0 +in-use +vf +0000:01:10.0 .*100 qos 3 +enp1s0' list
same "list" "vm1/net0 in-use vf $pf0 0 0000:01:10.0 $mac 100 path" "$(json '.attachments[] |
	"\(.guest)/\(.name) \(.state) \(.mode) \(.pf) \(.vfIndex) \(.vf) \(.mac) \(.vlan.id) \(.handover)"' list)"
expect 0 'GOES BACK TO' show vm1/net0
says 'vf-mac +0000:01:00.0/vf0 +00:00:00:00:00:00 +52:54:00:aa:00:01 +00:00:00:00:00:00' "$out"
expect 0 'GOES BACK TO' show vm1 net0
same "what goes back" "driver vf-vlan vf-mac" \
	"$(json '[.effects[] | select(.object | contains("/vf")) | .knob] | join(" ")' show vm1/net0)"
same "show by UUID" vm1 \
	"$(json .attachment.guest show 00000000-0000-4000-8000-000000000001/net0)"
expect 0 'GOES BACK TO' show vm1
expect 0 '^vm1/net0 ' list vm1
same "list of one guest" "net0" "$(json '[.attachments[].name] | join(" ")' list 00000000-0000-4000-8000-000000000001)"
expect 0 '^no attachments of vm2$' list vm2
same "list of none" 0 "$(json '.attachments | length' list vm2)"
expect 1 'show vm2: vnetd gave no NIC to guest vm2' show vm2
same "inventory" "attachment vm1/net0" "$(json ".nics[] | select(.address == \"0000:01:10.0\") |
	.holder | \"\(.kind) \(.name)\"" inventory)"

note "the same again changes nothing and says the same"
before=$(writes)
expect 0 "^vm1/net0: vf 0000:01:10.0" \
	attach vm1 --mode vf --pool enp1s0 --mac $mac --vlan '100 qos 3' --name net0
same "writes" "$before" "$(writes)"
expect 1 'has a NIC net0 already' attach vm1 --mode vf --name net0
expect 1 "MAC $mac is taken: attachment vm1/net0" attach vm2 --mode vf --mac $mac --pool enp1s0
expect 1 "MAC $mac is taken: attachment vm1/net0" attach vm2 --mode vf --mac $mac --pool enp2s0
same "writes" "$before" "$(writes)"

note "a second NIC, from the pool with more room; then a name is needed"
expect 0 '^vm1/net1: vf 0000:02:10.0 \(VF 0 of enp2s0\) mac 52:54:00:' attach vm1
expect 2 'several NICs: name one of net0, net1' detach vm1
expect 2 'show vm1: guest vm1 has several NICs: name one of net0, net1' show vm1
expect 1 'no NIC net7 to guest vm1' detach vm1 net7
expect 0 'vm1/net0 is detached' detach vm1 net0
guest_has vm1 net1 || fail "the other NIC went too"
! guest_has vm1 net0 || fail "the guest's XML still has it"
expect 0 'vm1/net1 is detached' detach vm1
same "list" '[]' "$(json '.attachments | tojson' list)"

note "only the VFs stay, as they are when they are new"
same "VFs" "7 7" "$(numvfs $pf0) $(numvfs $pf1)"
same "VF attributes" '{"index":0,"spoofchk":true}' \
	"$(fake ".vfs[\"$pf0\"][0] | {index, spoofchk, mac, trust} | with_entries(select(.value)) | tojson")"
same "bound VFs" 0 "$(find "$host"/sys/bus/pci/drivers/{vfio-pci,igbvf} -type l | wc -l)"
keep made

note "and with the VFs there, all is as before"
expect 0 '^vm2/wan: ' attach vm2 --pool $pf1 --name wan --vlan 7
expect 0 'vm2/wan is detached' detach vm2/wan
back_as made
expect 0 '^vm2/net0: ' attach 00000000-0000-4000-8000-000000000002
same "the guest's name" vm2 "$(json '.attachments[].guest' list)"
expect 0 'vm2/net0 is detached' detach 00000000-0000-4000-8000-000000000002
back_as made

note "as JSON"
same "attach" "vm1/a in-use" "$(json '.attachment | "\(.guest)/\(.name) \(.state)"' attach vm1 --name a)"
same "detach" "vm1/a true []" "$(json '"\(.attachment.guest)/\(.attachment.name) \(.done) \(.residue | tojson)"' detach vm1)"
rc=0
text=$(vnet --json detach vm1 2>/dev/null) || rc=$?
same "error" "1 NotFound null null" "$rc $(jq -r '.error | "\(.name) \(.knob) \(.verdicts)"' <<<"$text")"
back_as made

note "VFs that somebody else made go back as they were found"
new_host --existing-vfs 3 --bound igbvf --pf-up 0 --pf-up 1
change_fake ".vfs[\"$pf0\"][0] += {vlan: \"9 qos 2\", trust: true, spoofchk: false}"
keep found
start
expect 0 'VF 0 of enp1s0' attach vm1 --mode vf --pool enp1s0 --mac $mac
same "VF" "$mac null null true" \
	"$(fake ".vfs[\"$pf0\"][0] | \"\(.mac) \(.vlan) \(.trust) \(.spoofchk)\"" | sed 's/ 0 / null /; s/ false / null /')"
expect 0 'is detached' detach vm1
back_as found 'vf_.*mac|^$'
same "VFs" 3 "$(numvfs $pf0)"

note "libvirt sets MAC and VLAN in its own way when it attaches: put right before it is said"
new_host --pfs 1 --existing-vfs 2 --bound vfio-pci --pf-up 0
start
stopped() { [[ $(<"/proc/$daemon/stat") == *') T '* ]]; }
libvirt_does() { # FILTER
	fault libvirt:attach:after stop
	begin attach attach vm1 --mac $mac --vlan '100 qos 3'
	wait_for 10 stopped || fail "vnetd does not stop at the fault point"
	change_fake "$1"
	"${@:2}"
	kill -CONT "$daemon"
}
libvirt_does ".vfs[\"$pf0\"][0] |= (del(.vlan) | .mac = \"52:54:00:dd:00:01\" | .spoofchk = false)"
ended 10 attach 0 '^vm1/net0: vf 0000:01:10.0'
same "VF" "$mac 100 qos 3 true" "$(fake ".vfs[\"$pf0\"][0] | \"\(.mac) \(.vlan) \(.spoofchk)\"")"
expect 0 'is detached' detach vm1

note "and where that fails, the guest does not keep it"
libvirt_does "del(.vfs[\"$pf0\"][0].vlan)" kernel_fails 'vf_set:vlan:* EIO 1'
ended 10 attach 1 'set vf-vlan of .*Input/output error'
same "list" '[]' "$(json '.attachments | tojson' list)"
! guest_has vm1 net0 || fail "the guest has it"
same "VF" "null null true" "$(fake ".vfs[\"$pf0\"][0] | \"\(.mac) \(.vlan) \(.spoofchk)\"")"

note "all of a guest: each that there is, of the scope that is meant; none is no error"
new_host --pfs 1 --guests 2
cp "$host/guests/vm1.xml" "$host/guests/vm1.config"
start
for scope in --live --config ''; do
	# shellcheck disable=SC2086 # none, or one
	expect 0 '^vm1/net[012]: ' attach vm1 $scope
done
expect 0 '^vm2/net0: ' attach vm2
expect 0 'vm1/net0 is detached' detach vm1 --all --live
expect 0 '^vm1/net1 ' list vm1
expect 0 'vm1/net2 is detached' detach vm1 --all
says 'vm1/net1 is detached' "$out"
same "the other guest's" vm2/net0 "$(json '.attachments[] | "\(.guest)/\(.name)"' list)"
expect 0 'vm1 has nothing to detach' detach vm1 --all
expect 0 '^vm2/net0: ' attach vm2 --name net0
expect 0 '^vm2/net9: ' attach vm2 --name net9
same "a reply for each" 2 "$(vnet --json detach vm2 --all | jq -s length)"

note "no daemon"
stop
expect 3 'vnetd' list
expect 3 'vnetd' attach vm1 --mode vf
