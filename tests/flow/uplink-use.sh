#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is on an interface already keeps others off it; and what somebody takes away under
# a guest is told, and no reason to keep the rest.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

edit() { # FILTER
	# shellcheck disable=SC2016 # for the shell inside
	(cd "$host" && flock fake.lock sh -c 'jq "$1" fake.json >.new && mv .new fake.json' x "$1")
}
del_link() { # NAME: as `ip link del`
	edit "(.links[] | select(.name == \"$1\") | .ifindex) as \$i |
		([.links[] | select(.master == \$i) | .name]) as \$ports |
		.links |= map(select(.name != \"$1\" and .lower != \$i) | if .master == \$i then del(.master) else . end) |
		del(.netdevs[\"$1\"]) | reduce \$ports[] as \$p (.; del(.netdevs[\$p].port))"
	rm -rf "$host/sys/class/net/$1" "$host/sys/devices/virtual/net/$1"
}
device() { json .attachment.device show "$1"; }
reason() { json '.attachment.reason' show "$1"; }

note "a macvtap in mode passthru has its interface alone"
new_host --pf-up 0 --guests 3
start
keep fresh
vnet attach vm1 --mode macvtap --pool enp1s0 -o forward=passthru
expect 4 "enp1s0 is in use: macvtap $(device vm1/net0) takes all that it receives" \
	attach vm2 --mode macvtap --pool enp1s0 -o forward=passthru
expect 4 'enp1s0 is in use: macvtap vn[0-9a-f]+ takes all' attach vm2 --mode macvtap --pool enp1s0
vnet detach vm1
back_as fresh
vnet attach vm1 --mode macvtap --pool enp1s0
expect 4 'it is used already: attachment vm1/net0 is on it' \
	attach vm2 --mode macvtap --pool enp1s0 -o forward=passthru
expect 0 '^vm2/net0: macvtap' attach vm2 --mode macvtap --pool enp1s0

note "a NIC that macvtaps are on is given to nobody whole, nor the other way about"
edit '(.links[] | select(.name == "enp1s0")).up = false'
expect 4 'attachment vm[12]/net0 is on it' attach vm3 --mode passthrough --pool enp1s0
vnet attach vm3 --mode passthrough --pool enp2s0
expect 4 '0000:02:00.0.*(in use|nothing that mode macvtap could use)' attach vm3 --mode macvtap --pool 0000:02:00.0
for guest in vm1 vm2 vm3; do vnet detach $guest; done

note "what somebody else put on it counts too"
new_host --pf-up 0
edit '(.links[] | select(.name == "enp1s0") | .ifindex) as $i | .links += [
	{ifindex: 88, name: "mine", kind: "macvlan", up: true, lower: $i, passthru: true}]'
start
expect 4 'enp1s0 is in use: macvlan mine takes all' attach vm1 --mode macvtap --pool enp1s0
edit '.links |= map(if .name == "mine" then del(.passthru) else . end)'
expect 4 'it is used already: macvlan mine is on top of enp1s0' \
	attach vm1 --mode macvtap --pool enp1s0 -o forward=passthru
expect 0 'macvtap' attach vm1 --mode macvtap --pool enp1s0
vnet detach vm1

note "nor can anything be on a port of a bridge"
new_host --pf-up 0 --bridge br0
edit '(.links[] | select(.name == "br0") | .ifindex) as $i |
	(.links[] | select(.name == "enp1s0")).master = $i'
start
expect 4 'enp1s0 is in br0, which takes all' attach vm1 --mode macvtap --pool enp1s0

note "a bridge that goes under a guest is told, and detach ends well"
new_host --bridge br0,vlan
start
keep fresh
vnet attach vm1 --mode vhost-net --pool br0 --vlan 100
tap=$(device vm1/net0)
same "reason" null "$(reason vm1/net0)"
edit "(.links[] | select(.name == \"$tap\")) |= del(.master) | del(.netdevs[\"$tap\"].port)"
same "reason" "$tap is not in bridge br0 any more: somebody else took it out" "$(reason vm1/net0)"
del_link br0
same "reason" "bridge br0 is gone: $tap, and with it the guest, is in none" "$(reason vm1/net0)"
expect 0 "^vm1/net0: bridge br0 is gone" list
expect 0 '"links"' --json inventory
[ -z "$(jq -r '.links[] | select(.name == "br0")' <<<"$out")" ] || fail "the inventory has br0"
expect 0 '^vm1/net0 is detached$' detach vm1
back_as fresh 'br0'

note "so does a tap that somebody deletes"
new_host --bridge br0,vlan
start
keep fresh
vnet attach vm1 --mode tap --pool br0
tap=$(device vm1/net0)
del_link "$tap"
same "reason" "interface $tap is gone, by somebody else's hand: the guest's NIC leads nowhere: detach it" \
	"$(reason vm1/net0)"
expect 0 '^vm1/net0 is detached$' detach vm1
back_as fresh

note "and a macvtap goes with what it is on"
new_host --pf-up 0
start
vnet attach vm1 --mode macvtap --pool enp1s0
del_link "$(device vm1/net0)"
says 'is gone' "$(reason vm1/net0)"
expect 0 '^vm1/net0 is detached$' detach vm1
