#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# auto: VFs as long as there are any, then vDPA, then vhost-net, each time with the reason
# why it is nothing better; never without a word.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

world_up
ip link set "$pool0" up
modprobe -a vhost_vdpa vp_vdpa
pci_bind "$LAB_VPVDPA" vp-vdpa
bridge_up br0
mkdir -p /etc/vnetd/vnetd.conf.d
cat >/etc/vnetd/vnetd.conf.d/lab.conf <<-CONF
	[pool mixed]
	uplink = $pool0 pci/$LAB_VPVDPA br0
	modes = vf vdpa vhost-net
	vfs = 1
CONF
vnetctl reload
vnet pool list
guest_define vm1
guest_start vm1
guest_ready vm1
keep before

mac() { echo "52:54:00:b9:00:1$1"; }
mode_of() { field "vm1/net$1" mode; }
why_of() { field "vm1/net$1" why; }
vdpa_mac=52:54:00:99:03:01

note "a VF first"
vnet attach vm1 --pool mixed --mac "$(mac 0)"
same "mode" vf "$(mode_of 0)"
note "the VFs are taken: vDPA, and why"
text=$(vnetctl attach vm1 --pool mixed --mac $vdpa_mac)
printf '%s\n' "$text"
same "mode" vdpa "$(mode_of 1)"
grep -qE 'vf: .*(taken|has it|in use)' <<<"$text" || fail "the reply has no reason"
grep -qE 'vf' <<<"$(why_of 1)" || fail "show has no reason: $(why_of 1)"
note "the management device has its one: vhost-net"
vnet attach vm1 --pool mixed --mac "$(mac 2)"
same "mode" vhost-net "$(mode_of 2)"
for mode in vf vdpa; do
	grep -q $mode <<<"$(why_of 2)" || fail "show has no reason why it is not $mode: $(why_of 2)"
done
vnet list
vnet_exit 0 'vm1/net1: mode vdpa, for no vf: ' list
vnet_exit 0 'vm1/net2: mode vhost-net, for no vf: .*; no vdpa: ' list
for mac in "$(mac 0)" $vdpa_mac "$(mac 2)"; do
	guest_nic_wait vm1 "$mac"
	guest_ping_wait vm1 "$mac" world
done
holds vm1 'net/tun:1 vfio/group:1 vfio/vfio:1 vhost-vdpa:2'

note "why shows every verdict; --no-fallback and --mode limit it"
vnet_exit 0 'vf .*|vdpa' why vm1 --pool mixed
vnet_exit 4 'vf' attach vm1 --pool mixed --no-fallback
vnet_exit 4 'vdpa' attach vm1 --pool mixed --mode vf,vdpa
same "attachments" 3 "$(vnetctl --json list | jq '.attachments | length')"

note "one given back: the next one takes it"
guest_mark vm1
vnet detach vm1 net1
guest_nic_gone vm1 $vdpa_mac
vnet attach vm1 --name again --pool mixed --mac $vdpa_mac
same "mode" vdpa "$(field vm1/again mode)"
virsh -q destroy vm1
for nic in net0 again net2; do
	given() { [ "$(attachment_state "vm1/$nic")" = reserved ]; }
	wait_for 60 given || fail "vm1/$nic: $(vnetctl list)"
	vnet detach vm1 $nic
done
guest_clean vm1
back_as before
guest_destroy vm1
rm -r /etc/vnetd/vnetd.conf.d
vnetctl reload
bridge_down br0
pci_home "$LAB_VPVDPA"
