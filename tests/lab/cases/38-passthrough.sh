#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mode passthrough: a plain NIC and a PF whole; refused where the host needs it; back with
# its driver and its name.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

world_up
other=$(pci_netdev "$LAB_OTHER")
other_mac=$(<"/sys/class/net/$other/address")
pf_mac=$(<"/sys/class/net/$pool1/address")
ip link set "$pool1" down
guest_define vm1
guest_start vm1
guest_ready vm1
keep before

note "refused where the host uses it, or where it has VFs"
ip addr add 192.0.2.5/24 dev "$other"
vnet_exit 4 "$other has 1 address of the host" attach vm1 --mode passthrough --pool "$other"
ip addr del 192.0.2.5/24 dev "$other"
vfs_create "$pf1" 1
vnet_exit 4 'VF' attach vm1 --mode passthrough --pool "$pool1"
vfs_remove "$pf1"
back_as before

note "a plain NIC"
attach_live vm1 "$other_mac" --mode passthrough --pool "$other"
guest_ping_wait vm1 "$other_mac" world
same "driver" vfio-pci "$(pci_driver "$LAB_OTHER")"
vnet show vm1/net0
holds vm1 'vfio/group:1 vfio/vfio:1'
same "handover" path "$(field vm1/net0 handover)"
systemctl restart vnetd
same "state after a restart" in-use "$(attachment_state vm1/net0)"
detach_live vm1 "$other_mac" before
same "its name" "$other" "$(pci_netdev "$LAB_OTHER")"

note "a PF, and the guest's end gives it back"
attach_live vm1 "$pf_mac" --mode passthrough --pool "$pool1" --live
guest_ping_wait vm1 "$pf_mac" world
virsh -q destroy vm1
wait_for 60 all_given_back || fail "attachments stay: $(vnetctl list)"
pf_is_back() { [ "$(pci_netdev "$pf1")" = "$pool1" ]; }
wait_for 30 pf_is_back || fail "the PF's interface is called $(pci_netdev "$pf1")"
udevadm settle
back_as before
guest_destroy vm1
