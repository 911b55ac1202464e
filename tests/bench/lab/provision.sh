#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# All VFs of all PFs to vfio-pci, from none: the kernel's floor, vnetd's workers, a loop of
# driverctl, libvirt. In turns, for the emulated host's speed drifts.
. "${LAB_FILES:?run me by tests/bench/lab/run}/bench.sh"

modprobe vfio-pci
systemctl stop vnetd.socket vnetd.service

# Created by hand, so that what is compared is the binding alone.
create() {
	local pf
	for pf in "${pfs[@]}"; do vfs_create "$pf" $vfs_each; done
}

all_bound() {
	local vf
	for vf in $(all_vfs); do
		[ "$(pci_driver "$vf")" = vfio-pci ] || fail "$1: $vf has driver $(pci_driver "$vf")"
	done
}

floor() { "$LAB_FILES/vf-floor" $vfs_each "${pfs[@]}" >>"$state_dir/floor"; }
workers() { "$LAB_FILES/worker-provision.py" $vfs_each "${pfs[@]}" >>"$state_dir/workers"; }

with_driverctl() {
	local vf
	for vf in $(all_vfs); do driverctl --nosave set-override "$vf" vfio-pci; done
}

with_nodedev() {
	local vf
	for vf in $(all_vfs); do virsh -q nodedev-detach "pci_${vf//[:.]/_}"; done
}

libvirt_sees_the_last() { virsh nodedev-info "pci_$(all_vfs | tail -n 1 | tr :. _)"; }

rm -f "$state_dir"/{floor,workers,driverctl,nodedev}
for ((i = 0; i < rounds; i++)); do
	none_left
	floor
	all_bound floor
	none_left
	workers
	all_bound workers
	none_left
	create
	usec with_driverctl >>"$state_dir/driverctl"
	all_bound driverctl
	none_left
	create
	udevadm settle # libvirt learns of them by udev
	wait_for 60 libvirt_sees_the_last || fail "libvirt sees no VF"
	usec with_nodedev >>"$state_dir/nodedev"
	all_bound nodedev
done

word() { awk -v w="$1" '{ for (i = 1; i < NF; i++) if ($i == w) print $(i + 1) }' "$2" | median; }
total=$(word total "$state_dir/floor") bind=$(word bind "$state_dir/floor")
row "all VFs made and bound: kernel's floor" "$total"
row "all VFs made and bound: vnetd's workers" "$(word total "$state_dir/workers")" "$total" floor
row "binding alone: kernel's floor" "$bind"
row "binding alone: vnetd's workers" "$(word bind "$state_dir/workers")" "$bind" floor
row "binding alone: driverctl, one by one" "$(median <"$state_dir/driverctl")" "$bind" floor
row "binding alone: virsh nodedev-detach, one by one" "$(median <"$state_dir/nodedev")" "$bind" floor

none_left
systemctl start vnetd.socket
