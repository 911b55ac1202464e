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
host_state | diff -u $state_dir/refused.host - || fail "something was written"
vfs_remove "$pf0"
guest_destroy vm1
