#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is not acceptable is refused, says so with the right exit code, and changes nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

new_host --guests 3 --nvme
touch "$host/guests/vm3.off"
cp "$host/guests/vm2.xml" "$host/guests/vm2.config"
keep fresh
start
wait_for 10 vnet why vm1 || fail "the guests do not get known"
remember

note "MAC"
for mac in nonsense 52:54:00:aa:00 52:54:00:aa:00:0g 52-54-00-aa-00-01 52:54:00:aa:00:01:02 \
	'52:54:00:aa:00:1 ' 0x52:54:00:aa:00:01; do
	expect 2 'is not of the form 52:54:00:12:34:56' attach vm1 --mac "$mac"
done
expect 2 'mac 01:00:5e:00:00:01 is a multicast address: give a unicast' attach vm1 --mac 01:00:5e:00:00:01
expect 2 'multicast' attach vm1 --mac ff:ff:ff:ff:ff:ff
expect 2 'all zero' attach vm1 --mac 00:00:00:00:00:00
expect 2 'vnetctl attach: mac is empty' attach vm1 --mac ''
expect 1 "MAC 52:54:00:ee:00:02 is taken: guest vm2" attach vm1 --mac 52:54:00:EE:00:02
expect 1 "is taken: the host's interface enp9s0" attach vm1 --mac 52:54:00:09:00:00
expect 1 "plan attach vm1: MAC 52:54:00:ee:00:02 is taken: guest vm2 has it; give another" plan attach vm1 --mac 52:54:00:EE:00:02
expect 2 'multicast' plan attach vm1 --mac 01:00:5e:00:00:01
expect 2 'all zero' why vm1 --mac 00:00:00:00:00:00
unchanged "a MAC"

note "VLAN"
for vlan in 0 4095 -1 x '' '1 qos 8' '1 qos' '100 proto 802.1x' '0 qos 3' '1 2' 01 1.5 99999999999; do
	expect 2 'give an id from 1 to 4094' attach vm1 --vlan "$vlan"
done
expect 2 'give an id from 1 to 4094' attach vm1 --vlan $'1\xff'
unchanged "a VLAN"

note "names"
for name in Net0 0net net/0 'net 0' abcdefghijklmnop net.0 '../../etc' 'net"' "net'0" '<x>' ''; do
	expect 2 'not acceptable|is empty|at most 15' attach vm1 --name "$name"
	expect 2 'not acceptable|is empty|at most 15' detach vm1 "$name"
done
expect 2 "holds a '/'" attach ../vm1/net0
expect 2 "holds a '/'|folder" detach ../vm1
expect 2 "folder" attach ..
expect 2 'control character' attach $'vm1\x1b[31m'
expect 2 'control character' attach $'vm1\n'
expect 2 '200 bytes long, at most 127' attach "$(printf 'x%.0s' {1..200})"
expect 2 'not UTF-8' attach $'vm\xff1'
expect 2 "guest's name is empty" attach ''
for verb in attach detach why show; do
	expect 2 'control character' $verb $'vm1\x07/net0'
	expect 2 'not UTF-8' $verb $'vm\xff1/net0'
	expect 2 "at most 127|gave no NIC" $verb "$(printf 'x%.0s' {1..128})/net0"
done
for word in $'\xff' $'net\xc3'; do
	expect 2 'not UTF-8' attach vm1 --name "$word"
	expect 2 'not UTF-8' attach vm1 --pool "$word"
	expect 2 'not UTF-8' attach vm1 --mac "$word"
	expect 2 'give names' attach vm1 --mode "$word"
	expect 2 'not UTF-8' detach vm1 "$word"
	expect 2 'not UTF-8' show vm1 "$word"
done
expect 2 'control character' attach vm1 --pool $'enp1s0\n'
expect 2 'made of a-z' attach vm1 --mode $'vf\x1b'
expect 2 'not acceptable|control' attach vm1 --name $'net0\t'
unchanged "a name"

note "what there is not"
expect 1 'attach nosuch: libvirt knows no guest nosuch: .virsh list --all. shows' attach nosuch
expect 1 'libvirt knows no guest nosuch' attach nosuch --mode warp --pool nosuch
expect 1 'why nosuch: libvirt knows no guest nosuch' why nosuch
expect 1 'plan attach nosuch: libvirt knows no guest nosuch' plan attach nosuch
expect 1 'attach vm3: guest vm3 does not run: start it first \(virsh start vm3\), or attach without --live' attach vm3 --live
expect 1 'there is no mode warp: .vnetctl mode list.' attach vm1 --mode warp
expect 1 'there is no mode warp' attach vm1 --mode warp,vf
expect 1 'there is no mode warp' attach vm1 --mode vf --mode warp
expect 1 'why vm1: there is no mode warp: .vnetctl mode list.' why vm1 --mode warp
expect 1 'plan attach vm1: there is no mode warp' plan attach vm1 --mode warp
expect 1 'why vm1: there is no pool nosuch: ' why vm1 --pool nosuch
expect 1 'plan attach vm1: there is no pool nosuch: ' plan attach vm1 --pool nosuch
expect 1 'there is no pool nosuch: .vnetctl pool list.' attach vm1 --pool nosuch
expect 4 'pool enp9s0 has nothing that mode vf could use: 0000:09:00.0 \(driver e1000e\) has no SR-IOV' \
	attach vm1 --mode vf --pool 0000:09:00.0
expect 4 '0000:09:00.0 .* has no SR-IOV' attach vm1 --mode vf --pool enp9s0
expect 4 'enp9s0 is no bridge.*mode macvtap' attach vm1 --mode vhost-net --pool enp9s0
expect 4 'enp9s0 has 2 addresses of the host' attach vm1 --mode passthrough --pool enp9s0
expect 1 'there is no pool 0000:0a:00.0: 0000:0a:00.0 is no network card' attach vm1 --pool 0000:0a:00.0
expect 1 'there is no pool 0000:7f:00.0: .vnetctl' attach vm1 --pool 0000:7f:00.0
expect 1 'detach nosuch: vnetd gave no NIC to guest nosuch' detach nosuch
expect 1 'detach vm1: vnetd gave no NIC net7 to guest vm1' detach vm1 net7
expect 1 'no attachment nosuch/net0' show nosuch/net0
expect 1 'no attachment vm1/net7' show vm1/net7
unchanged "what there is not"

note "a request that asks too much"
expect 2 'give names, with a comma' attach vm1 --mode ,
expect 2 'give names, with a comma' attach vm1 --mode vf,
expect 2 'mode' attach vm1 --mode "$(printf 'm%d,' {1..99})x"
expect 2 'vnetctl attach: pool is empty' attach vm1 --pool ''
expect 2 'pool' attach vm1 --pool "$(printf 'x%.0s' {1..300})"
for twice in '--mac 52:54:00:aa:00:01' '--vlan 5' '--name net0' '--pool enp1s0'; do
	# shellcheck disable=SC2086 # two words
	expect 2 "${twice% *} is given twice" attach vm1 $twice $twice
done
expect 2 '--live and --config together' attach vm1 --live --config
expect 2 '--live and --config together' detach vm1 --config --live
expect 2 'socket path "" is empty' --socket '' list
expect 2 'longer than 107 bytes' --socket "/$(printf 'x%.0s' {1..107})" list
expect 3 'cannot reach vnetd at .*/nosuch' --socket "$work/nosuch" attach vm1
expect 3 'cannot reach vnetd' --socket "$host/fake.json" list
expect 2 '"name": "Invalid"' --json attach vm1 --mac nonsense
expect 1 '"name": "NotFound"' --json attach vm1 --pool nosuch
unchanged "what asks too much"

note "usage"
expect 2 'verb is missing'
expect 2 "no verb 'frobnicate'" frobnicate
expect 2 'unrecognized option' attach vm1 --frobnicate
expect 2 'one argument too many' attach vm1 vm2
expect 2 'guest is missing' attach
expect 2 'guest is missing' detach
expect 2 'one argument too many' detach vm1 net0 net1
expect 2 'one argument too many' list vm1 vm2
expect 2 "'vm1/net0' is a guest and a NIC already" detach vm1/net0 net1
expect 2 "'vm1/net0' is a guest and a NIC already" attach vm1/net0 --name net1
expect 2 '--all is every NIC' detach vm1 net0 --all
expect 2 '--all is every NIC' detach vm1/net0 --all
expect 2 "'vm1' is not known here: 'attach' is" plan vm1
expect 2 "'list' is missing" mode
expect 1 'show vm1: vnetd gave no NIC to guest vm1' show vm1
for typo in attavh:attach detahc:detach lst:list inv:inventory exce:exec; do
	expect 2 "no verb '${typo%:*}': is '${typo#*:}' meant?" "${typo%:*}"
done
expect 0 'Exit codes: 0 done, 1 refused' help
expect 0 'Usage: vnetctl attach ' help attach
expect 0 'Usage: vnetctl plan ' help plan attach
expect 2 "help: there is no verb 'frobnicate'" help frobnicate
expect 0 'Exit codes: 0 done, 1 refused' --help
expect 0 'Give a guest a NIC' attach --help
expect 0 '^vnetctl [0-9]' --version
rc=0
vnet list >/dev/full 2>"$work/err" || rc=$?
same "a full disk is no success" 1 "$rc"

note "nothing of all that did anything"
[ ! -e "$host/writes.log" ] || fail "something was written: $(cat "$host/writes.log")"
expect 0 'no attachments' list
unchanged "usage"
back_as fresh

note "beside an attachment: its MAC, its name, a MAC that somebody gave a VF by hand"
mac=52:54:00:aa:00:01
expect 0 '^vm1/net0: ' attach vm1 --mac $mac --pool enp1s0
change_fake '(.vfs["0000:01:00.0"][] | select(.index == 5)).mac = "52:54:00:aa:00:05"'
remember
expect 1 "attach vm2/net0: MAC $mac is taken: (attachment|guest) vm1" attach vm2 --mac $mac
expect 1 "MAC $mac is taken" attach vm2 --mac $mac --pool enp2s0
expect 1 'MAC 52:54:00:aa:00:05 is taken: VF 5 of 0000:01:00.0 has it' \
	attach vm2 --pool enp1s0 --mac 52:54:00:aa:00:05
expect 1 'attach vm1: guest vm1 has a NIC net0 already' attach vm1 --name net0 --vlan 7
expect 1 'is itself a VF: name its PF, 0000:01:00.0' attach vm2 --pool 0000:01:10.0
expect 1 'not in the guest.s persistent configuration' detach vm1 --config
unchanged "beside an attachment"

note "the PF is down: it is brought up; where it cannot be, nothing is left"
expect 0 'is detached' detach vm1
change_fake '(.links[] | select(.name == "enp1s0")).up = false'
kernel_fails 'link_up:enp1s0 ENETDOWN'
remember
expect 1 'attach vm1/net0: .*link-up of 0000:01:00.0 .*Network is down' attach vm1 --pool enp1s0
unchanged "a PF that does not come up"
kernel_well
expect 0 '^vm1/net0: ' attach vm1 --pool enp1s0
same "PF" true "$(fake '.links[] | select(.name == "enp1s0") | .up')"

note "libvirt has no place for it in the guest: live, in the configuration, in both"
remember
printf 'No more available PCI slots' >"$host/guests/.refuse"
mv "$host/guests/.refuse" "$host/guests/vm2.refuse"
for scope in --live --config ''; do
	# shellcheck disable=SC2086 # none, or one word
	expect 1 'attach vm2/net0: .*No more available PCI slots' attach vm2 --pool enp1s0 $scope
done
rm "$host/guests/vm2.refuse"
unchanged "no place in the guest"

note "a VF that somebody gave VLAN 4095, which igb takes: not for us, but that is what it gets back"
new_host --pf-up 0 --existing-vfs 7
change_fake '.vfs["0000:01:00.0"][0].vlan = "4095 qos 7"'
keep found
start
expect 0 '"id": 4095' --json inventory
expect 0 '^vm1/net0: ' attach vm1 --pool enp1s0
same "VF" null "$(fake '.vfs["0000:01:00.0"][0].vlan')"
expect 0 'is detached' detach vm1
back_as found

note "a PF without a driver gives no VF, and says what it needs"
new_host --pf-unbound 0
start
wait_for 10 vnet why vm1 || fail "the guests do not get known"
remember
expect 4 'could use: 0000:01:00.0 \(8086:10c9, 82576 .*\) has no driver, .* its network driver' \
	attach vm1 --mode vf --pool 0000:01:00.0
expect 0 'passthrough 0000:01:00.0 .*yes' why vm1 --pool 0000:01:00.0
expect 1 'no pool enp1s0: .vnetctl' attach vm1 --pool enp1s0
unchanged "a PF without a driver"

note "what a name that came from elsewhere holds does not steer the terminal"
printf '%s' "$(sed 's/<name>vm2/<name>vm2\&#x9b;31m/' "$host/guests/vm2.xml")" >"$host/guests/.new"
mv "$host/guests/.new" "$host/guests/vm2.xml"
if vnet inventory | grep $'\x9b\|\x1b'; then
	fail "control characters reach the terminal"
fi
