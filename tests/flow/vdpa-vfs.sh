#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mode vdpa on VFs of a PF's pool: a VF is made, bound to the driver that makes it a
# management device, that one is waited for, and all of it goes back.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf=0000:01:00.0 vf=0000:01:10.0

# As with mlx5: PF and VFs have one driver.
mlx5_host() { # MORE OPTIONS OF MKHOST...
	local drivers
	new_host --pfs 1 --guests 3 --vdpa-vfs "$@"
	drivers=$host/sys/bus/pci/drivers
	cp -a "$drivers/igbvf" "$drivers/mlx5_core"
	[ ! -e "$drivers/igb/$pf" ] || mv "$drivers/igb/$pf" "$drivers/mlx5_core/"
	ln -sfn "$(readlink "$host/sys/bus/pci/devices/$pf/driver" | sed 's/igb$/mlx5_core/')" \
		"$host/sys/bus/pci/devices/$pf/driver"
	change_fake ".functions[\"$pf\"] |= (.nativeDriver = \"mlx5_core\" | .vfDriver = \"mlx5_core\")"
}
steps() { jq -r '.steps[] | select(.changes) | "\(.knob) \(.object) \(.after)"' <<<"$out"; }

note "a PF without VFs: the plan, then the attach"
mlx5_host
start
keep fresh
expect 0 vdpa --json plan attach vm1 --mode vdpa --pool enp1s0 --mac 52:54:00:00:00:09
says "^autoprobe $pf 0
numvfs $pf 7
link-up $pf up
vf-mac $pf/vf0 52:54:00:00:00:09
driver $pf/vf0 mlx5_core
vdpa vn[0-9a-f]+ pci/$pf/vf0 mac 52:54:00:00:00:09$" "$(steps | tr '\n' '~' | sed 's/~/\n/g')"
expect 0 '^vm1/net0: vdpa ' attach vm1 --mode vdpa --pool enp1s0 --mac 52:54:00:00:00:09
same "what it is of" "0 $vf $pf chardev" \
	"$(json '.attachment | "\(.vfIndex) \(.vf) \(.pf) \(.kind)"' show vm1/net0)"
same "the device" "pci/$vf 52:54:00:00:00:09" \
	"$(jq -r '.vdpas[] | "\(.mgmtdev) \(.mac)"' "$host/fake.json")"
same "the VF's MAC" 52:54:00:00:00:09 "$(jq -r ".vfs[\"$pf\"][0].mac" "$host/fake.json")"
same "its driver" mlx5_core "$(basename "$(readlink "$host/sys/bus/pci/devices/$vf/driver")")"
expect 0 'attachment vm1/net0' inventory

note "nobody else gets that VF, by no mode; the next one gets the next"
expect 0 '^vm2/net0: vdpa ' attach vm2 --mode vdpa --pool enp1s0
same "its VF" 1 "$(json .attachment.vfIndex show vm2/net0)"
expect 0 '^vm3/net0: vf ' attach vm3 --mode vf --pool enp1s0
same "its VF" 2 "$(json .attachment.vfIndex show vm3/net0)"
expect 0 'vf0.* in use|attachment vm1/net0 has it' why vm3 --mode vf --pool enp1s0
expect 4 'use mode vf' attach vm3 --mode vdpa --pool enp1s0 --vlan 100

note "vnetd starts anew, also without its files, and takes all of it back"
restart
same "still" "in-use" "$(state_of vm1/net0)"
stop
forget_runtime
start
wait_for 10 is_state vm2/net0 in-use || fail "vm2/net0 is not adopted"
same "its VF" 1 "$(json .attachment.vfIndex show vm2/net0)"
for guest in vm1 vm2 vm3; do expect 0 'is detached$' detach $guest; done
same "devices" 0 "$(jq '.vdpas | length' "$host/fake.json")"

note "detached by the vnetd that made them, VFs are as new ones are"
mlx5_host
start
vnet attach vm1 --mode vdpa --pool enp1s0
vnet detach vm1
[ ! -e "$host/sys/bus/pci/devices/$vf/driver" ] || fail "the VF has a driver"
same "its MAC" 00:00:00:00:00:00 "$(jq -r ".vfs[\"$pf\"][0].mac // \"00:00:00:00:00:00\"" "$host/fake.json")"

note "a cold start makes it anew, wherever the node is then"
expect 0 'vm1/net0' attach vm1 --mode vdpa --pool enp1s0
virsh_destroy vm1
wait_for 10 is_state vm1/net0 reserved || fail "it is not taken back"
printf '[pool a]\nuplink = enp1s0\nreserve = always\n' >"$work/config/vnetd.conf"
restart
expect 0 'guest vm1 has it reserved for its NIC net0' why vm2 --mode vdpa --pool a
expect 0 'vm2/net0' attach vm2 --mode vdpa --pool a
same "the VF" 1 "$(json .attachment.vfIndex show vm2/net0)"
virsh_start vm1 || fail "vm1 does not start: $(<"$work/hook")"
wait_for 10 is_state vm1/net0 in-use || fail "it does not run with it"
same "the VF" "$vf" "$(json .attachment.vf show vm1/net0)"
for guest in vm1 vm2; do vnet detach $guest; done

rm "$work/config/vnetd.conf"
restart

note "no management device comes: the attach fails, and leaves nothing"
change_fake "del(.functions[\"$pf\"].vf.mgmtdev) | .functions |= map_values(del(.mgmtdev))"
expect 1 "vDPA management device pci/$vf is not there, and did not come" \
	attach vm1 --mode vdpa --pool enp1s0
[ ! -e "$host/sys/bus/pci/devices/$vf/driver" ] || fail "the VF has a driver"

note "VFs that were there: of the driver that one of them shows"
new_host --pfs 1 --existing-vfs 2 --bound igbvf --pf-up 0 --vdpa-vfs
start
keep fresh
expect 0 "^vm1/net0: vdpa .*" attach vm1 --mode vdpa --pool enp1s0
same "the device" "pci/$vf" "$(jq -r '.vdpas[].mgmtdev' "$host/fake.json")"
vnet detach vm1
back_as fresh

note "a PF whose VFs make none is not asked"
new_host --pfs 1 --mgmtdev vdpasim_net
start
expect 4 'has nothing that mode vdpa could use' attach vm1 --mode vdpa --pool enp1s0

note "a driver that no VF shows yet: the pool says it"
new_host --pfs 1 --guests 2 --vdpa-vfs
start
expect 4 'has nothing that mode vdpa could use' attach vm1 --mode vdpa --pool enp1s0
conf() { printf '[pool a]\nuplink = enp1s0\nmodes = vdpa\nvdpa-driver = %s\n' "$1" >"$work/config/vnetd.conf"; }
conf igbvf
restart
expect 0 '^vm1/net0: vdpa ' attach vm1 --pool a --mac 52:54:00:00:00:09
same "the device" "pci/$vf 52:54:00:00:00:09" \
	"$(jq -r '.vdpas[] | "\(.mgmtdev) \(.mac)"' "$host/fake.json")"
same "its driver" igbvf "$(basename "$(readlink "$host/sys/bus/pci/devices/$vf/driver")")"
note "it counts more than what a VF shows"
conf vf_vdpa
restart
expect 1 'driver vf_vdpa is not loaded: modprobe vf_vdpa' attach vm2 --pool a
conf igbvf
restart
note "the guest that was off gets it again, whatever VFs show"
virsh_destroy vm1
wait_for 10 is_state vm1/net0 reserved || fail "it is not taken back"
virsh_start vm1 || fail "vm1 does not start: $(<"$work/hook")"
wait_for 10 is_state vm1/net0 in-use || fail "it does not run with it"
detached() { vnet detach vm1; } # not before it's over with the start
wait_for 10 detached || fail "vm1 is not detached: $(vnet list)"
same "devices" 0 "$(jq '.vdpas | length' "$host/fake.json")"
[ ! -e "$host/sys/bus/pci/devices/$vf/driver" ] || fail "the VF has a driver"

note "a driver for vDPA alone: it makes no interface, and takes neither MAC nor queues"
new_host --pfs 1 --guests 2 --vdpa-vfs
drivers=$host/sys/bus/pci/drivers
cp -a "$drivers/igbvf" "$drivers/octep_vdpa"
change_fake ".functions[\"$pf\"] |= (.vfDriver = \"octep_vdpa\" | .vf.noLink = true | .vf.mgmtdev.takes = [])"
conf octep_vdpa
start
expect 4 'queues=1: .* does not let them be chosen' attach vm1 --pool a --queues 1
expect 0 '^vm1/net0: vdpa ' attach vm1 --pool a --mac 52:54:00:00:00:09 --queues auto
same "the device" "pci/$vf null" "$(jq -r '.vdpas[] | "\(.mgmtdev) \(.mac)"' "$host/fake.json")"
same "the VF's MAC" 52:54:00:00:00:09 "$(jq -r ".vfs[\"$pf\"][0].mac" "$host/fake.json")"
vnet detach vm1
[ ! -e "$host/sys/bus/pci/devices/$vf/driver" ] || fail "the VF has a driver"
note "and a VF that is on it is free: it has no interface that could be elsewhere"
stop
ln -s "$(readlink "$host/sys/bus/pci/devices/$pf/driver" | sed 's/igb$/octep_vdpa/')" \
	"$host/sys/bus/pci/devices/$vf/driver"
start
expect 0 "$vf can make a vDPA device; it takes no MAC" why vm1 --pool a
expect 0 '^vm1/net0: vdpa .*VF 0' attach vm1 --pool a
vnet detach vm1
[ ! -e "$host/sys/bus/pci/devices/$vf/driver" ] || fail "of vnetd's making, it has a driver"
