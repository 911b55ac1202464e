#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Looking at all VFs: vnetd, first and again; libvirt; DPDK.
. "${LAB_FILES:?run me by tests/bench/lab/run}/bench.sh"

for pf in "${pfs[@]}"; do
	ip link set "$(pci_netdev "$pf")" up # so that what is set for its VFs is announced
	vfs_create "$pf" $vfs_each
done
udevadm settle
wanted=$((${#pfs[@]} * vfs_each))
libvirt_sees() { [ "$(virsh nodedev-list --cap pci | wc -l)" -ge $wanted ]; }
wait_for 60 libvirt_sees || fail "libvirt does not see all VFs"

cold() { systemctl restart vnetd && vnetctl --json inventory; }
warm() { vnetctl --json inventory; }
with_virsh() {
	local name
	for name in $(virsh nodedev-list --cap pci); do virsh nodedev-dumpxml "$name"; done
}

same "VFs shown" $wanted "$(vnetctl --json inventory | jq '[.nics[] | select(.kind == "vf")] | length')"
sleep 12 # until the hints of the creation have led to a scan
cold=$(for ((i = 0; i < rounds; i++)); do usec cold; done | median)
sleep 12
warm=$(for ((i = 0; i < rounds; i++)); do usec warm; done | median)
row "inventory: a fresh vnetd, its start included" "$cold"
row "inventory: again" "$warm" "$cold" "fresh"
virsh=$(usec with_virsh)
row "virsh nodedev-list and dumpxml of each" "$virsh" "$warm" "vnetctl inventory"
if command -v dpdk-devbind.py >/dev/null; then
	dpdk=$(for ((i = 0; i < rounds; i++)); do usec dpdk-devbind.py --status; done | median)
	row "dpdk-devbind.py --status" "$dpdk" "$warm" "vnetctl inventory"
else
	note "no dpdk-devbind.py in this root image"
fi
none_left
