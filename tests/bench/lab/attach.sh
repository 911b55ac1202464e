#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A VF to a running guest and back: vnetd, and virsh on a VF that is made, bound and set
# already, so that libvirt's own part is all there is to it.
. "${LAB_FILES:?run me by tests/bench/lab/run}/bench.sh"

mac=52:54:00:aa:0b:01
ip link set "$pool0" up
guest_define bench
guest_start bench
guest_ready bench

note "the first plug makes the emulated guest translate its code: not counted"
rm -f "$state_dir"/{vnet,virsh}-*
for ((i = 0; i <= rounds; i++)); do
	guest_mark bench
	took=$(usec vnetctl --json attach bench --mode vf --pool "$pool0" --name net0 --mac $mac --timing)
	cp "$state_dir/bench.log" "$state_dir/vnet.json"
	guest_nic_wait bench $mac
	guest_mark bench
	back=$(usec vnetctl detach bench net0)
	guest_nic_gone bench $mac
	[ $i -gt 0 ] || continue
	echo "$took" >>"$state_dir/vnet-attach"
	echo "$back" >>"$state_dir/vnet-detach"
	for part in kernel libvirt vnetd cpu; do
		jq ".timing.${part}Usec" "$state_dir/vnet.json" >>"$state_dir/vnet-$part"
	done
done

# virsh says yes when the guest was asked: the end is when the device is out.
has_it() { virsh dumpxml bench | grep $mac; }
until_out() {
	virsh detach-device bench "$state_dir/vf.xml" --live
	while has_it; do sleep 0.05; done
}

none_left
vfs_create "$pf0" $vfs_each
vf=$(vf_address "$pf0" 0)
ip link set "$pool0" vf 0 mac $mac
pci_bind "$vf" vfio-pci
hostdev_xml "$vf" $mac bench >"$state_dir/vf.xml"
for ((i = 0; i <= rounds; i++)); do
	guest_mark bench
	took=$(usec virsh attach-device bench "$state_dir/vf.xml" --live)
	guest_nic_wait bench $mac
	guest_mark bench
	back=$(usec until_out)
	guest_nic_gone bench $mac
	[ $i -gt 0 ] || continue
	echo "$took" >>"$state_dir/virsh-attach"
	echo "$back" >>"$state_dir/virsh-detach"
done

plain=$(median <"$state_dir/virsh-attach")
row "attach: virsh attach-device of a prepared VF" "$plain"
row "attach: vnetctl attach, all of it" "$(median <"$state_dir/vnet-attach")" "$plain" "virsh"
for part in kernel libvirt vnetd cpu; do
	row "  of it, $part" "$(median <"$state_dir/vnet-$part")"
done
plain=$(median <"$state_dir/virsh-detach")
row "detach: virsh detach-device until it is out" "$plain"
row "detach: vnetctl detach" "$(median <"$state_dir/vnet-detach")" "$plain" "virsh"
guest_destroy bench
none_left
