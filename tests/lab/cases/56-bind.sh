#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vnetctl bind: a VF and a whole NIC for programs of the host, and back as they were.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

holder=/lab/files/vfio-holder
pf_is() { # ADDRESS -> name, MAC and permanent MAC of its interface
	local net
	net=$(pci_netdev "$1") || return 1
	echo "$net $(cat "/sys/class/net/$net/address")" \
		"$(ip -d -j link show "$net" | jq -r '.[0].permaddr // .[0].address')"
}
override() { cat "/sys/bus/pci/devices/$1/driver_override"; }

note "a whole NIC to VFIO: its interface goes; back: with its name and address"
ip link set "$pool1" down
was=$(pf_is "$pf1")
native=$(pci_driver "$pf1")
vnet_exit 0 "^$pf1: $native -> vfio-pci \(IOMMU group $(iommu_group "$pf1")\)" bind "$pf1" --driver vfio-pci
same "driver" vfio-pci "$(pci_driver "$pf1")"
pci_netdev "$pf1" && fail "its interface is still there"
vnet_exit 0 "^$pf1 is bound to vfio-pci already" bind "$pf1" --driver vfio-pci
vnet_exit 0 "^$pf1 +bound +vfio-pci +$native +vfio-pci" bind
same "holder" "bind" "$(vnetctl --json inventory | jq -r --arg a "$pf1" '.nics[] | select(.address == $a) | .holder.kind')"
systemctl restart vnetd
vnet_exit 0 "^$pf1 +bound +vfio-pci" bind

note "a program has it open: it is not taken from it"
$holder group "$pf1" >$state_dir/holder &
pid=$!
wait_for 20 grep -q held $state_dir/holder || fail "vfio-holder did not get $pf1"
vnet_exit 1 'vfio-holder' bind "$pf1" --driver default
kill -0 $pid || fail "the holder died"
kill $pid
wait $pid 2>/dev/null || :
vnet_exit 0 "^$pf1: vfio-pci -> $native \(interface ${was%% *}\)" bind "$pf1" --driver default
same "name and MAC" "$was" "$(pf_is "$pf1")"
same "override" "(null)" "$(override "$pf1")"
same "VFs that it can have" 7 "$(cat "/sys/bus/pci/devices/$pf1/sriov_totalvfs")"
vnet_exit 0 '^nothing is bound' bind

note "refused while the host uses it, or while it has VFs"
ip link set "$pool1" up
ip addr add 192.0.2.9/24 dev "$pool1"
vnet_exit 1 "$pool1 has 1 address of the host" bind "$pf1" --driver vfio-pci
ip addr del 192.0.2.9/24 dev "$pool1"
ip link add vlan77 link "$pool1" type vlan id 77
vnet_exit 1 "vlan77 is on top of $pool1" bind "$pf1" --driver none
ip link del vlan77
vfs_create "$pf1" 2
vf=$(vf_address "$pf1" 0)
vnet_exit 1 'it has 2 VFs: they would go with its driver' bind "$pf1" --driver vfio-pci
same "VFs" 2 "$(cat "/sys/bus/pci/devices/$pf1/sriov_numvfs")"
same "driver" "$native" "$(pci_driver "$pf1")"

note "a VF to VFIO and back, to a host driver, and by the kernel's choice"
vnet_exit 0 "^$vf: none -> vfio-pci" bind "$vf" --driver vfio-pci
vnet_exit 0 "bound to vfio-pci by vnetctl bind" inventory
vnet_exit 0 "^$vf: vfio-pci -> none" bind "$vf" --driver default
modprobe igbvf
vnet_exit 0 "^$vf: none -> igbvf" bind "$vf" --driver igbvf
vnet_exit 0 "^$vf: igbvf -> vfio-pci" bind "$vf" --driver vfio-pci
vnet_exit 0 "^$vf: vfio-pci -> none" bind "$vf" --driver default

note "uio_pci_generic, and what no IOMMU protects: a VF and a whole NIC"
modprobe uio_pci_generic
other=$(pf_is "$LAB_OTHER")
native_other=$(pci_driver "$LAB_OTHER")
ip link set "${other%% *}" up
ip addr add 192.0.2.9/24 dev "${other%% *}"
vnet_exit 1 "${other%% *} has 1 address of the host" bind "$LAB_OTHER" --driver uio_pci_generic
ip addr del 192.0.2.9/24 dev "${other%% *}"
ip link set "${other%% *}" down
no_iommu='no IOMMU stands between the device and the host.s memory with uio_pci_generic'
vnet_exit 0 "$no_iommu" bind "$vf" --driver uio_pci_generic
vnet_exit 0 "$no_iommu" bind "$LAB_OTHER" --driver uio_pci_generic
for address in "$vf" "$LAB_OTHER"; do
	same "driver" uio_pci_generic "$(pci_driver "$address")"
	vnet_exit 0 "^$address +bound +uio_pci_generic" bind
	pci_netdev "$address" && fail "the interface of $address is still there"
	node=/dev/$(ls "/sys/bus/pci/devices/$address/uio")
	sleep 1000 7<"$node" &
	pid=$!
	vnet_exit 1 "sleep \(pid $pid\).*$node" bind "$address" --driver default
	kill -0 $pid || fail "the program died"
	kill $pid
	wait $pid 2>/dev/null || :
done
systemctl restart vnetd
vnet_exit 0 "^$LAB_OTHER: uio_pci_generic -> $native_other \(interface ${other%% *}\)" \
	bind "$LAB_OTHER" --driver default
same "name and MAC" "$other" "$(pf_is "$LAB_OTHER")"
vnet_exit 0 "^$vf: uio_pci_generic -> none" bind "$vf" --driver default
for address in "$vf" "$LAB_OTHER"; do
	same "override" "(null)" "$(override "$address")"
done

note "autoprobe is 0: the kernel chooses none, unless a sibling tells"
vnet_exit 1 'sriov_drivers_autoprobe=0, so the kernel chooses none' bind "$vf" --driver default
vnet_exit 0 '^nothing is bound' bind
vfs_remove "$pf1"

note "a driver that there is not"
vnet_exit 1 'driver nosuch is not loaded' bind "$pf1" --driver nosuch
same "driver" "$native" "$(pci_driver "$pf1")"
same "name and MAC" "$was" "$(pf_is "$pf1")"
