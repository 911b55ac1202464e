#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vnetctl bind --driver uio_pci_generic on the kernel that users run: a VF and a whole NIC,
# each with the warning that nothing protects the host, and back as they were.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

[ "$LAB_KERNEL" = stock ] || skip "for Debian's kernel: run --kernel stock"
warning='no IOMMU stands between the device and the host.s memory with uio_pci_generic'
nic_is() { # ADDRESS -> driver, name and MAC of its interface
	local net
	net=$(pci_netdev "$1") || return 1
	echo "$(pci_driver "$1") $net $(cat "/sys/class/net/$net/address")"
}
uio_of() { basename "$(echo "/sys/bus/pci/devices/$1/uio"/uio*)"; }

vfs_create "$pf0" 2
vf=$(vf_address "$pf0" 0)
keep before
other_was=$(nic_is "$LAB_OTHER")
other=${other_was#* } other=${other% *}

note "the driver has to be there first"
vnet_exit 1 'driver uio_pci_generic is not loaded' bind "$vf" --driver uio_pci_generic
modprobe uio_pci_generic

note "a VF, with a warning, and back"
vnet_exit 0 "$warning" bind "$vf" --driver uio_pci_generic
same "driver" uio_pci_generic "$(pci_driver "$vf")"
[ -c "/dev/$(uio_of "$vf")" ] || fail "there is no node of $vf"
vnet_exit 0 "^$vf +bound +uio_pci_generic +none" bind
vnet_exit 0 "$vf.*bound to uio_pci_generic by vnetctl bind" inventory
vnet_exit 0 "^$vf is bound to uio_pci_generic already" bind "$vf" --driver uio_pci_generic
systemctl restart vnetd
vnet_exit 0 "^$vf +bound +uio_pci_generic" bind

note "not while a program has it open"
(exec sleep 600 3<"/dev/$(uio_of "$vf")") &
pid=$!
vnet_exit 1 'sleep' bind "$vf" --driver default
kill $pid
wait $pid 2>/dev/null || :
vnet_exit 0 "^$vf: uio_pci_generic -> none" bind "$vf" --driver default
back_as before

note "a whole NIC: not while the host uses it"
ip link set "$other" up
ip addr add 192.0.2.9/24 dev "$other"
vnet_exit 1 "$other has 1 address of the host" bind "$LAB_OTHER" --driver uio_pci_generic
ip addr del 192.0.2.9/24 dev "$other"
ip link set "$other" down
same "the NIC" "$other_was" "$(nic_is "$LAB_OTHER")"

note "it goes and comes back with its name"
vnet_exit 0 "$warning" bind "$LAB_OTHER" --driver uio_pci_generic
same "driver" uio_pci_generic "$(pci_driver "$LAB_OTHER")"
pci_netdev "$LAB_OTHER" && fail "its interface is still there"
vnet_exit 0 "^$LAB_OTHER: uio_pci_generic -> e1000e \(interface $other\)" bind "$LAB_OTHER" --driver default
same "the NIC" "$other_was" "$(nic_is "$LAB_OTHER")"
vnet_exit 0 '^nothing is bound' bind
back_as before
vfs_remove "$pf0"
modprobe -r uio_pci_generic
