#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A live machine becomes a test case: what vnetd says of the capture is what it says
# of the machine, save names that were replaced.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

ip link set "$pool0" up
vfs_create "$pf0" 7
ip link set "$pool0" vf 2 mac 52:54:00:ee:00:02 vlan 100 qos 3
pci_bind "$(vf_address "$pf0" 1)" vfio-pci
shape() {
	jq -S '[.nics[] | {address, kind, driver, iommuGroup, numVfs, totalVfs, vfIndex, pf, msixVectors,
		vlan: .vf.vlan, links: [.links[].name]}]'
}
vnetctl --json inventory | shape >$state_dir/live.json

mkdir -p "$LAB_OUT/captured" $state_dir/captured
bash /lab/files/capture.sh "$LAB_OUT/captured"
tar -C $state_dir/captured -xzf "$LAB_OUT/captured/sys.tar.gz"
cp "$LAB_OUT/captured/nic.json" $state_dir/captured/
vnetd --root $state_dir/captured --runtime $state_dir/runtime --socket $state_dir/io >$state_dir/log 2>&1 &
wait_for 20 test -S $state_dir/io || fail "vnetd does not serve the capture: $(cat $state_dir/log)"
vnetctl --socket $state_dir/io --json inventory | shape >$state_dir/captured.json
kill %1
diff -u $state_dir/live.json $state_dir/captured.json || fail "the capture is not the machine"
grep -q '"id": 100' $state_dir/captured.json || fail "the VLAN of VF 2 is not in the capture"
if grep -rq '52:54:00:ee:00:02' $state_dir/captured/nic.json; then
	fail "a MAC was not replaced"
fi
ok "captured: $(wc -c <"$LAB_OUT/captured/sys.tar.gz") bytes"
pci_bind_none() { echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"; }
pci_bind_none "$(vf_address "$pf0" 1)"
vfs_remove "$pf0"
