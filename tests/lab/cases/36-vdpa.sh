#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mode vdpa: over a virtio-net PCI device a guest pings; on the simulator its attributes.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac=52:54:00:99:03:01 # of the card: vp_vdpa passes it on
world_up
modprobe -a vhost_vdpa virtio_vdpa vdpa_sim_net vp_vdpa
pci_bind "$LAB_VPVDPA" vp-vdpa
guest_define vm1
guest_start vm1
guest_ready vm1
keep before

note "management devices are pools"
for pool in vdpasim_net "pci/$LAB_VPVDPA"; do
	vnetctl --json pool list | jq -e --arg p "$pool" '.pools[] | select(.name == $p)' >/dev/null ||
		fail "$pool is no pool: $(vnetctl pool list)"
done

note "over $LAB_VPVDPA: the guest pings"
attach_live vm1 $mac --mode vdpa --pool "pci/$LAB_VPVDPA"
guest_ping_wait vm1 $mac world
vnet list
vnet show vm1/net0
same "devices" 1 "$(vdpa -j dev show | jq '.dev | length')"
dev=$(vdpa -j dev show | jq -r '.dev | keys[0]')
same "driver of $dev" vhost_vdpa "$(basename "$(readlink "/sys/bus/vdpa/devices/$dev/driver")")"
same "link" "/dev/$(basename "/sys/bus/vdpa/devices/$dev"/vhost-vdpa-*)" \
	"$(readlink -f "/run/vnetd/vdpa/$(virsh domuuid vm1 | head -n 1).net0")"
holds vm1 vhost-vdpa:2 # libvirt's in a set, and QEMU's duplicate
same "handover" fd-by-libvirt "$(field vm1/net0 handover)"
note "one device on each: the driver does not check (two, deleted, crash the kernel), vnetd does"
vnet_exit 4 "$LAB_VPVDPA" attach vm1 --name net1 --mode vdpa --pool "pci/$LAB_VPVDPA"
systemctl restart vnetd
same "state after a restart" in-use "$(attachment_state vm1/net0)"
detach_live vm1 $mac before

note "on the simulator: created with MAC and MTU, and attached"
mac=52:54:00:b6:00:12
attach_live vm1 $mac --mode vdpa --pool vdpasim_net --mtu 1400
dev=$(vdpa -j dev show | jq -r '.dev | keys[0]')
same "MAC and MTU of $dev" "$mac 1400" \
	"$(vdpa -j dev config show "$dev" | jq -r '.config[] | "\(.mac) \(.mtu)"')"
detach_live vm1 $mac before
vnet_exit 4 'queue|vqs' attach vm1 --mode vdpa --pool vdpasim_net --queues 64

note "the guest's end takes it away"
attach_live vm1 $mac --mode vdpa --pool vdpasim_net --live
virsh -q destroy vm1
wait_for 60 all_given_back || fail "attachments stay: $(vnetctl list)"
back_as before
guest_destroy vm1
pci_home "$LAB_VPVDPA"
