#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A cold start with a NIC of each mode whose own case plugs it live: reserved before, made at
# the start, all of them answer, gone after. The macvtaps are on a PF, a VF and a veth.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac() { echo "52:54:00:c4:00:1$1"; }
vdpa_mac=52:54:00:99:03:01
other=$(pci_netdev "$LAB_OTHER")
other_mac=$(<"/sys/class/net/$other/address")
socket=/run/lab-vu/vu.sock
world_up
ip link set "$pool1" up
modprobe -a vhost_vdpa vp_vdpa igbvf
pci_bind "$LAB_VPVDPA" vp-vdpa
ovs_up ovs0
peer_up far
vfs_create "$pf1" 1
pci_bind "$(vf_address "$pf1" 0)" igbvf
udevadm settle
vf=$(pci_netdev "$(vf_address "$pf1" 0)")
ip link set "$vf" up
# Neither of these is a pool by itself.
mkdir -p /etc/vnetd/vnetd.conf.d
cat >/etc/vnetd/vnetd.conf.d/lab.conf <<-CONF
	[pool on-vf]
	uplink = $vf
	modes = macvtap
	[pool on-veth]
	uplink = farp
	modes = macvtap
CONF
vnet reload
testpmd_up $socket server
chmod 777 "${socket%/*}" $socket # QEMU is another user
guest_define vm1 64 shared
keep before

nics=(ovs pf vf veth vdpa user whole)
macs=() peers=()
reserve() { # NAME MAC PEER ARG...
	vnet attach vm1 --name "$1" --mac "$2" "${@:4}"
	same "state of $1" reserved "$(attachment_state "vm1/$1")"
	macs+=("$2") peers+=("$3")
}
reserve ovs "$(mac 0)" world100 --mode vhost-net --pool ovs0 --vlan 100
reserve pf "$(mac 1)" world --mode macvtap --pool "$pool1"
# A VF answers to its own address alone, and takes that of a macvtap in this mode.
reserve vf "$(mac 2)" world --mode macvtap --pool on-vf -o forward=passthru
reserve veth "$(mac 3)" world --mode macvtap --pool on-veth
reserve vdpa $vdpa_mac world --mode vdpa --pool "pci/$LAB_VPVDPA"
reserve user "$(mac 5)" world --mode vhost-user -o socket=$socket -o role=client
reserve whole "$other_mac" world --mode passthrough --pool "$other"
vnet list
note "nothing is made for a guest that does not run"
keep reserved
diff -u $state_dir/before.host $state_dir/reserved.host || fail "the host is not as it was"

GUEST_COLD=1 guest_start vm1
guest_ready vm1 400
for i in "${!nics[@]}"; do
	guest_ping_wait vm1 "${macs[i]}" "${peers[i]}"
	same "state of ${nics[i]}" in-use "$(attachment_state "vm1/${nics[i]}")"
done
holds vm1 'net/tun:1 tap:3 vfio/group:1 vfio/vfio:1 vhost-vdpa:2'
for i in ovs:fd-by-libvirt pf:fd-by-libvirt vdpa:fd-by-libvirt user:path whole:path; do
	same "handover of ${i%:*}" "${i#*:}" "$(field "vm1/${i%:*}" handover)"
done
systemctl restart vnetd
same "attachments after a restart" ${#nics[@]} \
	"$(vnetctl --json list | jq '[.attachments[] | select(.state == "in-use")] | length')"

note "the guest's end"
virsh -q destroy vm1
for nic in "${nics[@]}"; do
	given() { [ "$(attachment_state "vm1/$nic")" = reserved ]; }
	wait_for 60 given || fail "vm1/$nic: $(vnetctl list)"
done
back_as reserved
for nic in "${nics[@]}"; do
	vnet detach vm1 "$nic"
done
guest_clean vm1
back_as before
guest_destroy vm1
testpmd_down
rm -r /etc/vnetd/vnetd.conf.d
vnet reload
rm -r "${socket%/*}"
ovs_down ovs0
peer_down far
vfs_remove "$pf1"
pci_home "$LAB_VPVDPA"
