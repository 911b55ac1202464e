#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Reload: what changed is applied, what is in use is left alone and told.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf1=0000:02:00.0

config() { # TEXT...: one line each
	mkdir -p "$work/config"
	printf '%s\n' "$@" >"$work/config/vnetd.conf"
}

said_ready() { grep -q 'info: ready' "$log"; }

note "nothing changed"
new_host --pfs 3 --existing-vfs 4 --no-vfs-on 2 --guests 2
config '[pool a]' 'uplink = enp1s0 enp2s0' 'quota = 5'
start
wait_for 10 said_ready
expect 0 '^nothing changed$' reload
same "reply" '{"changed":[],"problems":[],"waiting":[]}' "$(vnet --json reload | jq -Sc .)"
expect 0 'of a' attach vm1 --name net0 --pool a
expect 0 'of a' attach vm1 --name net1 --pool a
expect 0 'of a' attach vm2 --name net0 --pool a
keep used

note "applied at once, but what is in use stays, and it is told for whom one waits"
before=$(writes)
config '[pool a]' 'uplink = enp1s0' 'quota = 1' 'range = 1-' 'vlan = 9' 'vfs = 6' \
	'[pool b]' 'uplink = enp2s0' 'mac-prefix = 02:00:00'
expect 0 'pool a: quota: 5 -> 1' reload
says 'pool a: uplink: enp1s0 enp2s0 -> enp1s0' "$out"
says 'pool b: new' "$out"
says 'pool a: quota = 1 has to wait: 2 are in use \(vm1/net0, vm2/net0\)' "$out"
says 'pool a: vfs = 6 has to wait: enp1s0 has 4 VFs, 2 of them in use \(vm1/net0, vm2/net0\)' "$out"
says 'pool a: range has to wait: vm1/net0 has VF 0' "$out"
says 'pool a: vlan = 9 has to wait: vm1/net0 has none' "$out"
says 'pool b: vm1/net1 has a VF that it got from pool a' "$out"
same "writes" "$before" "$(writes)"
same "waiting" "5 1" "$(json '[.pools[] | select(.name | IN("a", "b")) | .waiting | length] | map(tostring) | join(" ")' pool list)"
expect 4 'its quota of 1 is reached' attach vm1 --pool a
expect 0 'of b.* mac 02:00:00' attach vm1 --name new --pool b

note "and when they are gone, all of it holds"
for id in vm1/net0 vm1/net1 vm2/net0; do expect 0 'is detached' detach $id; done
expect 0 'VF 1 of a' attach vm1 --name one --pool a
same "VLAN" 9 "$(json '.attachments[] | select(.name == "one") | .vlan.id' list)"
expect 0 'is detached' detach vm1/one
expect 0 'is detached' detach vm1/new
same "waiting" "1 0" "$(json '[.pools[] | select(.name | IN("a", "b")) | .waiting | length] | map(tostring) | join(" ")' pool list)"

note "VFs of a pool that is new are made"
config '[pool a]' 'uplink = enp1s0' '[pool c]' 'uplink = enp3s0' 'vfs = 2'
expect 0 'pool c: 2 VFs were made of enp3s0' reload
same "VFs" 2 "$(numvfs 0000:03:00.0)"
same "pools" "a c enp2s0 enp9s0" "$(json '[.pools[].name] | join(" ")' pool list)"

note "an error disables its pool, the rest is applied; exit code 1"
config '[pool a]' 'uplink = enp1s0' 'quota = 2' '[pool c]' 'uplink = enp3s0' 'vfs = two'
expect 1 'vnetd.conf:6: vfs = two is not accepted' reload
says 'pool a: quota: unlimited -> 2' "$out"
says 'pool c: disabled' "$out"
text=$(vnet --json reload) || :
same "problem" "6 c" "$(jq -r '.problems[] | "\(.line) \(.pool)"' <<<"$text")"
expect 4 'pool c is disabled' attach vm1 --pool c

note "a file that cannot be read at all: nothing changes"
mkdir -p "$work/config/vnetd.conf.d/10-x.conf"
config '[pool z]' 'uplink = enp1s0'
expect 1 'reload: .*10-x.conf: cannot be read: .*nothing was changed' reload
same "pools" "a c enp2s0 enp9s0" "$(json '[.pools[].name] | join(" ")' pool list)"
rmdir "$work/config/vnetd.conf.d/10-x.conf"

note "SIGHUP does the same; systemd is told"
config '[pool z]' 'uplink = enp1s0'
kill -HUP "$daemon"
wait_for 10 grep -q 'reload: pool z: new' "$log" || fail "SIGHUP does nothing"
wait_for 10 grep -q 'the configuration was read anew' "$log" || fail "it does not end"
same "pools" "enp2s0 enp3s0 enp9s0 z" "$(json '[.pools[].name] | join(" ")' pool list)"

note "many at once, and signals between them: each is answered"
for i in 1 2 3 4 5 6; do
	kill -HUP "$daemon"
	begin "r$i" reload
done
for i in 1 2 3 4 5 6; do
	wait_for 20 test -s "$work/r$i.rc" || fail "reload $i did not end"
done
! grep -hvE 'reload: vnetd is still at the pools of the last reload: try again|^$' "$work"/r?.err ||
	fail "another error"
wait_for 10 vnet reload || fail "no reload goes well any more"

note "one that is under way when vnetd ends is answered"
new_host --pfs 2
kernel_fails "hang write:*/$pf1/sriov_numvfs"
rm -f "$work/config/vnetd.conf"
start
config '[pool b]' 'uplink = enp2s0' 'vfs = 2'
begin last reload
wait_for 10 test -e "$run/pools/journal/$pf1" || fail "it does not begin"
kill "$daemon"
daemon=
ended 10 last 1 'reload: vnetd is stopping'
kernel_well
