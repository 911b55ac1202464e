#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Boards on which VFIO is not safe: refused before any write, each with its reason.
# LAB_EXPECT: no-acs, no-intremap or no-iommu, by the topology of this boot.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

guest_define vm1
guest_start vm1
ip link set "$pool0" up
host_state >$state_dir/refused.host

case ${LAB_EXPECT:?} in
no-acs)
	# the members and their drivers, and what to do
	pattern="IOMMU group [0-9]+ .*holds .*pcieport.*$pf0 \(igb, host\).*ACS"
	;;
no-intremap) pattern="interrupt remapping is off" ;;
no-iommu) pattern="no IOMMU group: the IOMMU is off" ;;
*) fail "LAB_EXPECT=$LAB_EXPECT" ;;
esac
vnet_exit 4 "$pattern" attach vm1 --mode vf --pool "$pool0"
vnet_exit 4 "$pattern" plan attach vm1 --mode vf --pool "$pool0"
vnet_exit 0 "$pattern" why vm1 --mode vf --pool "$pool0"
vnet inventory
host_state | diff -u $state_dir/refused.host - || fail "something was written"
ok "nothing was written"

note "the same with VFs that are there"
vfs_create "$pf0" 2
host_state >$state_dir/refused.host
vnet_exit 4 "${pattern/$pf0/.*}" attach vm1 --mode vf --pool "$pool0"
case $LAB_EXPECT in
no-acs) vnet_exit 1 "IOMMU group [0-9]+ also holds $pf0 \(igb\)" bind "$(vf_address "$pf0" 0)" --driver vfio-pci ;;
no-iommu) vnet_exit 1 'it has no IOMMU group' bind "$(vf_address "$pf0" 0)" --driver vfio-pci ;;
esac
host_state | diff -u $state_dir/refused.host - || fail "something was written"
vfs_remove "$pf0"

ip link set "$pool1" down
keep before
if [ "$LAB_EXPECT" != no-acs ]; then # there a whole NIC has its group with bridges alone
	note "a NIC whole"
	vnet_exit 4 "$pattern" attach vm1 --mode passthrough --pool "$pool1"
	vnet_exit 0 "$pattern" why vm1 --mode passthrough --pool "$pool1"
	back_as before
fi
if [ "$LAB_EXPECT" = no-iommu ]; then
	note "for a program of the host: told that nothing protects"
	modprobe uio_pci_generic
	vnet_exit 0 'no IOMMU stands between' bind "$pf1" --driver uio_pci_generic
	same "driver" uio_pci_generic "$(pci_driver "$pf1")"
	vnet_exit 0 "^$pf1: uio_pci_generic -> igb" bind "$pf1" --driver default
	back_as before
fi
guest_destroy vm1
