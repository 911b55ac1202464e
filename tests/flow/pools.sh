#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Configured pools: which uplinks they have, what they give, and in which order.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0 pf1=0000:02:00.0

config() { # TEXT...: one line each
	mkdir -p "$work/config/vnetd.conf.d"
	rm -f "$work/config/vnetd.conf.d"/*
	printf '%s\n' "$@" >"$work/config/vnetd.conf"
}

pool() { # NAME FILTER
	json ".pools[] | select(.name == \"$1\") | $2" pool list
}

bind_to_node() { # GUEST NODE
	sed -i "s|<os>|<numatune><memory mode='strict' nodeset='$2'/></numatune><os>|" "$host/guests/$1.xml"
}

attached() { # -> "LINK VF" of the attachment made last
	json '.attachments | last | "\(.pf) \(.vfIndex)"' list
}

note "who is in which pool: by name, address, MAC, driver, glob; what nobody claims is implicit"
new_host --pfs 6 --existing-vfs 2
config '[pool byname]' 'uplink = enp1s0' '[pool byaddress]' "uplink = $pf1" \
	'[pool bymac]' 'uplink = mac=52:54:00:03:00:00' '[pool byglob]' 'uplink = 0000:04:*, enp5*' \
	'[pool none]' 'uplink = driver=ixgbe enp99s0 enp9s0' '[vnetd]' 'start-wait-sec = 0'
start
same "pools" "byaddress:enp2s0 byglob:enp4s0,enp5s0 bymac:enp3s0 byname:enp1s0 enp6s0:enp6s0 enp9s0:enp9s0 none:" \
	"$(json '[.pools[] | "\(.name):\([.uplinks[].link] | join(","))"] | join(" ")' pool list)"
same "implicit" "enp6s0 enp9s0" "$(json '[.pools[] | select(.configured | not) | .name] | join(" ")' pool list)"
says 'vnetd.conf:10: uplink ixgbe matches no NIC.*enp99s0 is not there.*enp9s0 has no SR-IOV' "$(pool none .problem)"
same "inventory" "byaddress byglob bymac byname enp6s0 enp9s0 none" "$(json '[.pools[].name] | join(" ")' inventory)"
vnet --json inventory | python3 -c '
import json, sys, jsonschema
jsonschema.validate(json.load(sys.stdin), json.load(open(sys.argv[1])))' "$top/docs/inventory.schema.json" ||
	fail "the schema is not satisfied"
expect 0 '^byglob +configured' pool list
says 'enp4s0 +0000:04:00.0' "$out"
says 'enp6s0 +implicit' "$out"
expect 4 'pool none has no uplink here' attach vm1 --pool none
expect 1 'there is no pool ixgbe' attach vm1 --pool ixgbe

note "an uplink's name or address selects its pool, and only this uplink of it"
expect 0 '^vm1/a: vf .* of byglob' attach vm1 --name a --pool enp5s0
same "from" "0000:05:00.0 0 byglob" "$(attached) $(json '.attachments[].pool' list)"
expect 0 'of byglob' attach vm1 --name b --pool 0000:05:00.0
same "from" "0000:05:00.0 1" "$(attached)"
expect 4 'enp5s0|0000:05' attach vm1 --name c --pool enp5s0
expect 0 'of byglob' attach vm1 --name c --pool byglob
same "from" "0000:04:00.0 0" "$(attached)"
stop

note "spread: the uplink with the greater free share; pack: one is filled before the next"
new_host --pfs 2 --existing-vfs 3
config '[pool fast]' 'uplink = enp1s0 enp2s0' 'placement = spread'
start
for want in "$pf0 0" "$pf1 0" "$pf0 1" "$pf1 1"; do
	expect 0 'of fast' attach vm1
	same "from" "$want" "$(attached)"
done
stop
new_host --pfs 2 --existing-vfs 3
config '[pool fast]' 'uplink = enp2s0' 'uplink = enp1s0' 'placement = pack'
start
for want in "$pf1 0" "$pf1 1" "$pf1 2" "$pf0 0"; do
	expect 0 'of fast' attach vm1
	same "from" "$want" "$(attached)"
done
stop

note "range: no VF outside of it"
new_host --pfs 1 --existing-vfs 4
config '[pool fast]' 'uplink = enp1s0' 'range = 1-2'
start
expect 0 'VF 1 of fast' attach vm1
same "free" "1 2 1 2" "$(pool fast '"\(.free) \(.uplinks[0] | "\(.firstVf + 1) \(.firstVf) \(.lastVf)")"')"
expect 0 'VF 2 of fast' attach vm1
expect 4 'nothing can serve' attach vm1
same "verdicts" 2 "$(json '.verdicts | length' why vm1)"

note "quota: which one, and who has it"
stop
config '[pool fast]' 'uplink = enp1s0' 'quota = 2' '[pool rest]' 'uplink = nothing*'
start
expect 4 'pool fast: its quota of 2 is reached: vm1/net0, vm1/net1' attach vm1
same "left" "0 2" "$(pool fast '"\(.free) \(.quota)"')"
expect 0 'is detached' detach vm1/net0
same "left" 1 "$(pool fast .free)"
expect 0 'of fast' attach vm2 --vlan 7 --mac 52:54:00:aa:00:01

note "many at once do not get past it"
expect 0 'is detached' detach vm1/net1
expect 0 'is detached' detach vm2/net0
for i in 1 2 3 4; do begin "q$i" attach vm1 --name "q$i"; done
for i in 1 2 3 4; do wait_for 20 test -s "$work/q$i.rc" || fail "no end"; done
same "exit codes" "0 0 4 4" "$(sort "$work"/q?.rc | xargs)"

note "default VLAN and MAC prefix, where the request has none of its own"
new_host --pfs 1 --existing-vfs 4
config '[vnetd]' 'mac-prefix = 02:00:01' '[pool fast]' 'uplink = enp1s0' \
	'vlan = 100 qos 3' 'mac-prefix = 52:54:99'
start
expect 0 'of fast' attach vm1
same "VLAN" "100 3 802.1Q null" "$(json '.attachments[0] | "\(.vlan | "\(.id) \(.qos) \(.proto)") \(.asked.vlan)"' list)"
same "MAC" 52:54:99 "$(json '.attachments[0].mac[:8]' list)"
same "VF" "100 qos 3" "$(fake ".vfs[\"$pf0\"][0].vlan")"
expect 0 'of fast' attach vm1 --vlan 7 --mac 52:54:00:aa:00:01
same "own" "7 52:54:00:aa:00:01 7" "$(json '.attachments[1] | "\(.vlan.id) \(.mac) \(.asked.vlan.id)"' list)"
expect 0 'vf-vlan +0000:01:00.0/vf2 +0 +100 qos 3' plan attach vm2
same "plan" "100 52:54:99" "$(json '.attachment | "\(.vlan.id) \(.mac[:8])"' plan attach vm2)"
crash
start
becomes vm1/net0 in-use
same "after a crash" "in-use 100 null" "$(json '.attachments[0] | "\(.state) \(.vlan.id) \(.asked.vlan)"' list)"
expect 0 'is detached' detach vm1/net0
same "VF" null "$(fake ".vfs[\"$pf0\"][0].vlan")"

note "NUMA: preferred is an order, strict a condition"
new_host --pfs 3 --numa-nodes 2 --existing-vfs 1 --guests 3
config '[pool fast]' 'uplink = enp1s0 enp2s0' 'numa = strict' '[pool other]' 'uplink = enp3s0'
bind_to_node vm2 1
start
expect 0 'of fast' attach vm2
same "from" "$pf1 0" "$(attached)"
expect 4 'numa = strict: enp1s0 is on node 0, and guest vm2 is bound to node 1' attach vm2 --pool fast
expect 0 'of other' attach vm2
expect 0 'of fast' attach vm1
same "from" "$pf0 0" "$(attached)"

note "modes of a pool: one that is not there is a verdict, not an error of everybody"
stop
new_host --pfs 2 --existing-vfs 1
config '[pool a]' 'uplink = enp1s0' 'modes = warp vf' '[pool b]' 'uplink = enp2s0' 'modes = warp'
start
expect 0 'of a' attach vm1
expect 4 'pool b: there is no mode warp' attach vm1
expect 0 'pool b: there is no mode warp: .vnetctl mode list.' pool list
expect 1 'there is no mode warp' reload
expect 1 'there is no mode warp' attach vm1 --mode warp

note "found: VFs that are there are taken, none is made; and the host's own PF is left alone"
stop
new_host --pfs 2 --existing-vfs 2 --no-vfs-on 1
config '[pool a]' 'uplink = enp1s0 enp2s0' 'vfs = found'
start
expect 0 'VF 0 of a' attach vm1
expect 0 'VF 1 of a' attach vm1
expect 4 'nothing can serve' attach vm1
expect 4 'pool a: enp2s0 has no VFs to give: vfs = found' attach vm1 --pool enp2s0
same "VFs" 0 "$(numvfs $pf1)"

note "an error disables its pool alone, and its uplinks go nowhere else"
stop
new_host --pfs 3 --existing-vfs 2
config '[pool good]' 'uplink = enp1s0' '[pool bad]' 'uplink = enp2s0' 'quota = many' \
	'[pool again]' 'uplink = enp1* enp3s0' '[vnetd]' 'start-wait-sec = soon'
start
same "pools" "again:true bad:true enp9s0:false good:false" "$(json '[.pools[] | "\(.name):\(.disabled)"] | join(" ")' pool list)"
expect 0 'pool bad is disabled: .*/vnetd.conf:5: quota = many is not accepted' pool list
says 'pool again is disabled: .*/vnetd.conf:7: uplink enp1\*: enp1s0 is in pool good already \(.*/vnetd.conf:2\)' "$out"
grep -q 'vnetd.conf:9: start-wait-sec = soon' "$log" || fail "the log does not tell"
expect 0 'of good' attach vm1
expect 0 'of good' attach vm1
expect 4 'pool again is disabled.*pool bad is disabled.*in use: attachment vm1/net0' attach vm1
expect 4 'pool bad is disabled: .*:5: quota' attach vm1 --pool enp2s0
expect 4 'pool again is disabled' attach vm1 --pool enp3s0
expect 0 'is detached' detach vm1/net0

note "a file that cannot be read at start: what no pool claims is not given out"
stop
config '[pool good]' 'uplink = enp1s0'
mkdir -p "$work/config/vnetd.conf.d/10-x.conf"
start
same "pools" good "$(json '[.pools[].name] | join(" ")' pool list)"
grep -q '10-x.conf: cannot be read: it is no regular file' "$log" || fail "the log does not tell"
expect 0 'of good' attach vm1 --name second
rmdir "$work/config/vnetd.conf.d/10-x.conf"
