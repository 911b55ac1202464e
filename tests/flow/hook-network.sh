#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# libvirt's own SR-IOV networks beside vnetd: the network hook. And what the configuration
# says about hooks and reservations.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0
mkdir -p "$work/network.d" "$work/config"
ln -s "$build/vnetd-hook" "$work/network.d/vnetd"

network() { # POOL [SLOT.FUNCTION OF A PORT]
	echo "<hookData><network><name>passthrough</name>"
	[ -z "$1" ] || echo "<metadata><vnetd:network xmlns:vnetd='urn:vnetd:1' pool='$1'/></metadata>"
	echo "<forward mode='hostdev' managed='yes'><pf dev='enp1s0'/></forward></network>"
	[ -z "${2:-}" ] || cat <<-XML
		<networkport><owner><name>vm5</name></owner>
		<plug type='hostdev-pci' managed='yes'><driver name='vfio'/>
		<address domain='0x0000' bus='0x01' slot='0x${2%.*}' function='0x${2#*.}'/></plug></networkport>
	XML
	echo "</hookData>"
}
network_hook() { # OPERATION <XML
	VNETD_SOCKET=$socket timeout 60 "$work/network.d/vnetd" passthrough "$1" begin - >"$work/hook.out" 2>"$work/hook"
}

new_host --pf-up 1
shut_off vm1
start

note "a network of ours starts: the pool's VFs are there before libvirt looks"
network enp1s0 >"$work/xml"
network_hook start <"$work/xml" || fail "refused: $(<"$work/hook")"
same "VFs" 7 "$(numvfs $pf0)"
network_hook start <"$work/xml" || fail "again: $(<"$work/hook")"
same "VFs" 7 "$(numvfs $pf0)"
same "journals" "" "$(find "$run/pools/journal" -type f)"

note "a network that is not ours is none of our business"
network '' 10.0 | sed 's/passthrough/other/' >"$work/xml"
network_hook port-created <"$work/xml" || fail "refused: $(<"$work/hook")"

note "its port takes no VF of an attachment or of a reservation"
expect 0 'VF 0 of enp1s0.*reserved' attach vm1 --pool enp1s0
expect 0 'VF 1 of enp1s0' attach vm2 --pool enp1s0
network enp1s0 10.0 >"$work/xml"
network_hook port-created <"$work/xml" && fail "a reserved VF is given away"
says '^vnetd: network passthrough: 0000:01:10.0 belongs to vm1/net0 \(reserved\)' "$(<"$work/hook")"
network enp1s0 10.2 >"$work/xml"
network_hook port-created <"$work/xml" && fail "a VF in use is given away"
says 'belongs to vm2/net0 \(in-use\)' "$(<"$work/hook")"
network enp1s0 10.4 >"$work/xml"
network_hook port-created <"$work/xml" || fail "refused: $(<"$work/hook")"

note "what it cannot have is said in a line"
network nosuch >"$work/xml"
network_hook start <"$work/xml" && fail "there is no such pool"
says '^vnetd: network passthrough: there is no pool nosuch: .vnetctl pool list.' "$(<"$work/hook")"
network enp2s0 | sed "s/ pool='enp2s0'//" >"$work/xml"
network_hook start <"$work/xml" && fail "no pool is named"
says 'its metadata names no pool' "$(<"$work/hook")"
kernel_fails 'write:*/sriov_numvfs EIO'
network enp2s0 >"$work/xml"
network_hook start <"$work/xml" && fail "there are no VFs"
says 'network passthrough: pool enp2s0 has no VFs: .*Input/output error' "$(<"$work/hook")"
kernel_well
for op in started stopped updated port-deleted; do
	network_hook $op <"$work/xml" || fail "$op fails"
done

note "reserve = running: what only shut-off guests name is free to give"
expect 0 'is in use: guest vm1 names it' why vm2 --pool enp1s0
cat >"$work/config/vnetd.conf" <<-'EOF'
	[vnetd]
	reserve = running
	hook-timeout-sec = 2
EOF
expect 0 'reserve: always -> running' reload
same "told to the hook" 2 "$(<"$run/hook-timeout-sec")"
expect 0 'VF 0 of enp1s0' attach vm2 --pool enp1s0 --name taken
expect 0 'vm1/net0 +reserved' list
virsh_start vm1 && fail "the guest starts with a VF of another"
says 'net0: VF 0 of 0000:01:00.0: vm2/taken has it \(in-use\)' "$(<"$work/hook")"
expect 0 'is detached' detach vm2 taken
virsh_start vm1 || fail "refused: $(<"$work/hook")"
becomes vm1/net0 in-use
virsh_destroy vm1 || fail "a release fails"

note "a hook that is too slow says so, and leaves nothing behind"
kernel_fails 'hang write:sys/bus/pci/devices/0000:01:10.0/driver_override'
rc=0
sed 's/<domain /<domain id="7" /' "$host/guests/vm1.xml" | hook vm1 prepare 2>"$work/hook" || rc=$?
same "refused" 1 $rc
says 'guest vm1: its NICs were not ready in time' "$(<"$work/hook")"
kernel_well
hook vm1 release failed <"$host/guests/vm1.xml"
becomes vm1/net0 reserved
virsh_start vm1 || fail "refused: $(<"$work/hook")"
becomes vm1/net0 in-use
