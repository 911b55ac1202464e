#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is not acceptable is refused, says so with the right exit code, and changes nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

new_host --guests 3
touch "$host/guests/vm3.off"
keep fresh
start

note "MAC"
for mac in nonsense 52:54:00:aa:00 52:54:00:aa:00:0g 52-54-00-aa-00-01 52:54:00:aa:00:01:02 \
	'52:54:00:aa:00:1 ' 0x52:54:00:aa:00:01; do
	expect 2 'is not of the form 52:54:00:12:34:56' attach vm1 --mac "$mac"
done
expect 2 'mac 01:00:5e:00:00:01 is a multicast address: give a unicast' attach vm1 --mac 01:00:5e:00:00:01
expect 2 'multicast' attach vm1 --mac ff:ff:ff:ff:ff:ff
expect 2 'all zero' attach vm1 --mac 00:00:00:00:00:00
expect 2 '"mac" is empty' attach vm1 --mac ''
expect 1 "MAC 52:54:00:ee:00:02 is taken: guest vm2" attach vm1 --mac 52:54:00:EE:00:02
expect 1 "is taken: the host's interface enp9s0" attach vm1 --mac 52:54:00:09:00:00

note "VLAN"
for vlan in 4095 -1 x '' '1 qos 8' '1 qos' '100 proto 802.1x' '0 qos 3' '1 2' 01 1.5 99999999999; do
	expect 2 'give an id from 1 to 4094' attach vm1 --vlan "$vlan"
done

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

note "what there is not"
expect 1 'libvirt knows no guest nosuch: .virsh list --all. shows' attach nosuch
expect 1 'guest vm3 does not run: start it first \(virsh start vm3\), or attach without --live' attach vm3 --live
expect 1 'there is no mode warp: .vnetctl mode list.' attach vm1 --mode warp
expect 1 'there is no mode warp' attach vm1 --mode warp,vf
expect 1 'there is no pool nosuch: .vnetctl pool list.' attach vm1 --pool nosuch
expect 1 'there is no pool 0000:09:00.0' attach vm1 --pool 0000:09:00.0
expect 1 'gave no NIC to guest nosuch' detach nosuch
expect 1 'no attachment nosuch/net0' show nosuch/net0

note "a request that asks too much"
expect 2 'give names, with a comma' attach vm1 --mode ,
expect 2 'give names, with a comma' attach vm1 --mode vf,
expect 2 'mode' attach vm1 --mode "$(printf 'm%d,' {1..99})x"
expect 2 '"pool" is empty|pool' attach vm1 --pool ''
expect 2 'pool' attach vm1 --pool "$(printf 'x%.0s' {1..300})"

note "usage"
expect 2 'verb is missing'
expect 2 "no verb 'frobnicate'" frobnicate
expect 2 'unrecognized option' attach vm1 --frobnicate
expect 2 'one argument too many' attach vm1 vm2
expect 2 'guest is missing' attach
expect 2 'argument is missing' detach
expect 2 'one argument too many' detach vm1 net0 net1
expect 2 'one argument too many' list vm1
expect 2 "'vm1' is not known here: 'attach' is" plan vm1
expect 2 "'list' is missing" mode
expect 2 'which NIC' show vm1
expect 0 'Exit codes: 0 done, 1 refused' --help
expect 0 'Give a guest a NIC' attach --help
expect 0 '^vnetctl [0-9]' --version
rc=0
vnet list >/dev/full 2>"$work/err" || rc=$?
same "a full disk is no success" 1 "$rc"

note "nothing of all that did anything"
[ ! -e "$host/writes.log" ] || fail "something was written: $(cat "$host/writes.log")"
expect 0 'no attachments' list
back_as fresh
expect 0 '^vm1/net0: ' attach vm1

note "what a name that came from elsewhere holds does not steer the terminal"
printf '%s' "$(sed 's/<name>vm2/<name>vm2\&#x9b;31m/' "$host/guests/vm2.xml")" >"$host/guests/.new"
mv "$host/guests/.new" "$host/guests/vm2.xml"
if vnet inventory | grep $'\x9b\|\x1b'; then
	fail "control characters reach the terminal"
fi
