#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each mode, from what the host has to what it would set: the candidates that the daemon
# offers it, its verdicts and its plan. Nothing is set here.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

command -v jq >/dev/null || skip "there is no jq"

usable_host() { # OPTIONS OF MKHOST...
	new_host --pfs 2 --guests 1 "$@"
	mkdir -p "$host/dev/net" "$host/sys/bus/vdpa/drivers/vhost_vdpa"
	touch "$host/dev/net/tun" "$host/dev/vhost-net"
	sed -i 's,</name>,&<vcpu>4</vcpu>,' "$host/guests/vm1.xml"
	change_fake '.links[] |= if .name == "br0" or .name == "br1" or .name == "enp1s0"
		then .up = true else . end'
}

# The knobs and values that the plan has, and its reason.
plan() { # WHY KNOBS ARGS...
	local why=$1 knobs=$2
	shift 2
	expect 0 "$why" plan attach vm1 "$@"
	says "$knobs" "$(vnet --json plan attach vm1 "$@" |
		jq -r '[.steps[] | "\(.knob)=\(.after)"] | join(" ")')"
}

usable_host --bridge br0,vlan --bridge br1 --mgmtdev vdpasim_net
start
remember

note "a tap in a bridge"
plan 'br0 is a Linux bridge \(vlan 100, isolated, 2 queues\)' \
	'^tap=queues 2 net-mac=fe:54:00:00:00:09 bridge-port=br0 vlan 100 isolated net-up=up$' \
	--mode vhost-net --pool br0 --vlan 100 --queues 2 -o isolated=on --mac 52:54:00:00:00:09
plan 'br0 is a Linux bridge \(VLANs 10,20-30, 4 queues\)' 'bridge-port=br0 trunk 10,20-30 ' \
	--mode vhost-net --pool br0 --trunk 10,20-30 -o queues=auto
plan 'e1000 by QEMU itself' '^tap=queues 1 ' --mode tap --pool br1 --model e1000
expect 0 'no +0 bridge br1 does not filter VLANs' why vm1 --mode tap --pool br1 --vlan 100
expect 0 'no +0 enp1s0 is no bridge' why vm1 --mode vhost-net --pool enp1s0
expect 4 'queues=5: guest vm1 has 4 vCPUs' attach vm1 --mode vhost-net --pool br0 --queues 5

note "a macvtap on a NIC"
plan 'enp1s0 takes a macvtap \(vepa, 1 queue\)' \
	'^macvtap=on enp1s0 mode vepa net-mac=52:54:00:00:00:09 net-mtu=1400 net-up=up$' \
	--mode macvtap --pool enp1s0 -o forward=vepa --mtu 1400 --mac 52:54:00:00:00:09
expect 0 'no +0 enp2s0 is down: ip link set enp2s0 up' why vm1 --mode macvtap --pool enp2s0
expect 4 'it is used already: enp9s0 has 2 addresses' \
	attach vm1 --mode macvtap --pool enp9s0 -o forward=passthru

note "a vDPA device"
plan 'vdpasim_net can make a vDPA device' \
	'^vdpa=vdpasim_net mac [0-9a-f:]+ vdpa-driver=vhost_vdpa vdpa-path=vn[0-9a-f]{11}$' --mode vdpa

note "another process, at a socket: of the host nothing is needed, also no pool"
expect 4 'needs to know the socket' attach vm1 --mode vhost-user
expect 4 "guest vm1's memory cannot be shared" attach vm1 --mode vhost-user -o socket=/run/p0

note "a whole NIC"
plan '0000:02:00.0 is free \(on .*\); the host has no interface enp2s0 meanwhile, .*; the guest sees its own MAC address' \
	'^driver=vfio-pci override=vfio-pci$' --mode passthrough --pool enp2s0
expect 4 'has the interface enp1s0, which is up' attach vm1 --mode passthrough --pool enp1s0
unchanged "nothing was asked for but plans, and nothing was given"
stop

note "a pool's own VLAN counts before the mode is chosen"
mkdir -p "$work/config"
cat >"$work/config/vnetd.conf" <<-'CONF'
	[pool a]
	uplink = enp1s0
	vlan = 100
	modes = macvtap vf
	[pool b]
	uplink = br0
	vlan = 7
	modes = vhost-net tap
CONF
start
plan 'no macvtap: vlan 100: a macvtap on enp1s0 puts nothing into a VLAN' 'vf-vlan=100' --pool a
plan 'vlan 7' 'bridge-port=br0 vlan 7 ' --pool b
plan 'vlan 9' 'bridge-port=br0 vlan 9 ' --pool b --vlan 9
stop
rm "$work/config/vnetd.conf"

note "the mode to begin from"
mkdir "$work/plugins"
cp "$build/tests/vnet-example.so" "$work/plugins"
start --plugins "$work/plugins"
plan 'br0 takes a tap' '^tap=queues 1 net-mac=fe:54:00:00:00:09 bridge-port=br0 net-up=up$' \
	--mode example --pool br0 --mac 52:54:00:00:00:09
expect 0 'no +0 br0: mode example knows no VLANs' why vm1 --mode example --pool br0 --vlan 7
