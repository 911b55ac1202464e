#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mode macvtap: on a PF and on another link, in all four ways of forwarding.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac=52:54:00:b5:00:11
world_up
ip link set "$pool1" up
guest_define vm1
guest_start vm1
guest_ready vm1
keep before

for forward in bridge private vepa passthru; do
	note "forward=$forward"
	attach_live vm1 $mac --mode macvtap --pool "$pool1" -o forward=$forward
	guest_ping_wait vm1 $mac world
	dev=$(field vm1/net0 device)
	same "mode of $dev" $forward "$(ip -d -j link show "$dev" | jq -r '.[0].linkinfo.info_data.mode')"
	same "below $dev" "$pool1" "$(ip -j link show "$dev" | jq -r '.[0].link')"
	same "MAC of $dev" $mac "$(<"/sys/class/net/$dev/address")"
	if [ $forward = passthru ]; then
		note "which no second one can share"
		vnet_exit 4 "$pool1" attach vm1 --name net1 --mode macvtap --pool "$pool1"
	fi
	holds vm1 tap:1
	same "handover" fd-by-libvirt "$(field vm1/net0 handover)"
	detach_live vm1 $mac before
done

note "what a macvtap cannot, and where it cannot be"
vnet_exit 4 'VLAN|vlan' attach vm1 --mode macvtap --pool "$pool1" --vlan 100
bridge_up br0
ip link set "$pool1" master br0
vnet_exit 4 "br0|bridge" attach vm1 --mode macvtap --pool "$pool1"
ip link set "$pool1" nomaster
bridge_down br0
back_as before

note "the guest's end takes it away"
attach_live vm1 $mac --mode macvtap --pool "$pool1" --live
virsh -q destroy vm1
wait_for 60 all_given_back || fail "attachments stay: $(vnetctl list)"
back_as before
guest_destroy vm1
