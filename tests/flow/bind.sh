#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vnetctl bind: NICs and VFs for programs of the host, and their way back; what is in use
# is left alone, and a crash at any point leaves it bound or as it was.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0 pf1=0000:02:00.0 plain=0000:09:00.0
vf() { printf '0000:01:1%d.%d' $(($1 / 4)) $(($1 % 4 * 2)); } # INDEX: as igb's lie

driver_of() { basename "$(readlink "$host/sys/bus/pci/devices/$1/driver" || echo none)"; }
override_of() { cat "$host/sys/bus/pci/devices/$1/driver_override"; }
bound() { json '[.binds[] | "\(.address) \(.state) \(.driver) \(.found) \(.now)"] | join(", ")' bind; }
holder_of() { json ".nics[] | select(.address == \"$1\") | .holder | \"\(.kind) \(.text)\"" inventory; }
link_of() { fake ".links[] | select(.pci == \"$1\") | \"\(.name) \(.mac) \(.permMac)\""; }
refused() { # PATTERN ARGS...: says why, and writes nothing
	local before
	before=$(writes)
	expect 1 "$@"
	[ "$before" = "$(writes)" ] || fail "the refusal wrote something"
}
all_back() { # NAME
	back_as "$@"
	same "records" "" "$(find "$run/bind" -type f)"
}
hand() { # ADDRESS DRIVER: as somebody does by hand
	local d=$host/sys/bus/pci
	rm -f "$d/drivers/$(driver_of "$1")/$1" "$d/devices/$1/driver"
	ln -s "../../../../bus/pci/drivers/$2" "$d/devices/$1/driver"
	ln -s "$(readlink -f "$d/devices/$1")" "$d/drivers/$2/$1"
	echo "$2" >"$d/devices/$1/driver_override"
}

there_and_back() {
	note "a VF and a whole NIC, to VFIO and UIO and back"
	new_host --existing-vfs 7 --no-vfs-on 1 --bound igbvf --pf-up 0
	keep free
	start
	expect 0 '^nothing is bound$' bind
	expect 0 "^$(vf 0): igbvf -> vfio-pci \(IOMMU group [0-9]+\)" bind "$(vf 0)" --driver vfio-pci
	same "driver" "vfio-pci vfio-pci" "$(driver_of "$(vf 0)") $(override_of "$(vf 0)")"
	was=$(link_of $pf1)
	expect 0 "^$pf1: igb -> vfio-pci" bind $pf1 --driver vfio-pci
	same "its interface" "" "$(link_of $pf1)"
	same "bound" "$(vf 0) bound vfio-pci igbvf vfio-pci, $pf1 bound vfio-pci igb vfio-pci" "$(bound)"
	expect 0 "^$pf1 +bound +vfio-pci +igb +vfio-pci" bind
	same "holder" "bind bound to vfio-pci by vnetctl bind" "$(holder_of "$(vf 0)")"
	same "holder" "bind bound to vfio-pci by vnetctl bind" "$(holder_of $pf1)"
	expect 0 "$(vf 0) is in use: bound to vfio-pci by vnetctl bind" why vm1 --pool enp1s0
	expect 4 "$pf1 is in use: bound to vfio-pci by vnetctl bind" attach vm1 --pool $pf1

	note "the same again changes nothing; another driver does"
	n=$(writes)
	expect 0 "^$pf1 is bound to vfio-pci already" bind $pf1 --driver vfio-pci
	same "writes" "$n" "$(writes)"
	restart
	expect 0 "^$pf1 is bound to vfio-pci already" bind $pf1 --driver vfio-pci
	same "writes" "$n" "$(writes)"
	expect 0 "^$pf1: vfio-pci -> uio_pci_generic" bind $pf1 --driver uio_pci_generic
	says 'no IOMMU stands between the device and the host.s memory with uio_pci_generic' "$err"
	same "goes back to" "$pf1 bound uio_pci_generic igb uio_pci_generic" "$(bound | sed 's/.*, //')"
	same "warnings" 1 "$(vnet --json bind $pf1 --driver uio_pci_generic 2>/dev/null | jq '.warnings | length')"

	note "back"
	expect 0 "^$pf1: uio_pci_generic -> igb \(interface enp2s0\)" bind $pf1 --driver default
	same "its interface" "$was" "$(link_of $pf1)"
	expect 0 "^$(vf 0): vfio-pci -> igbvf \(interface enp1s0v0\)" bind "$(vf 0)" --driver igbvf
	expect 0 '^nothing is bound$' bind
	all_back free
	expect 0 "^$pf1: igb -> none$" bind $pf1 --driver none
	expect 0 "^$pf1: none -> igb" bind $pf1 --driver default
	all_back free
	expect 0 "$pf1 is bound to igb already" bind $pf1 --driver default
	all_back free
}

by_others() {
	note "default for what vnetd did not bind: as the kernel chooses"
	new_host --existing-vfs 3 --no-vfs-on 1 --bound vfio-pci --pf-up 0 --pf-unbound 1
	start
	expect 0 "^$(vf 0): vfio-pci -> igbvf" bind "$(vf 0)" --driver default
	same "override" "(null)" "$(override_of "$(vf 0)")"
	echo 0 >"$host/sys/bus/pci/devices/$pf0/sriov_drivers_autoprobe"
	expect 0 "^$(vf 1): vfio-pci -> igbvf" bind "$(vf 1)" --driver default
	expect 0 "^$pf1: none -> igb" bind $pf1 --driver default
	same "records" "" "$(find "$run/bind" -type f)"
	new_host --existing-vfs 1 --no-vfs-on 1 --bound vfio-pci --pf-up 0
	echo 0 >"$host/sys/bus/pci/devices/$pf0/sriov_drivers_autoprobe"
	start
	refused 'sriov_drivers_autoprobe=0, so the kernel chooses none' bind "$(vf 0)" --driver default
	same "records" "" "$(find "$run/bind" -type f)"
	expect 0 "^$(vf 0): vfio-pci -> igbvf" bind "$(vf 0)" --driver igbvf

	note "somebody else bound it anew meanwhile: reported, left alone, forgotten"
	new_host --pfs 2
	start
	expect 0 ' -> vfio-pci' bind $pf1 --driver vfio-pci
	rm -rf "$host/sys/bus/pci/devices/$pf1/vfio-dev"
	hand $pf1 pci-stub
	expect 0 "^$pf1 +bound +vfio-pci +igb +pci-stub" bind
	n=$(writes)
	expect 5 "somebody else set it to pci-stub override=pci-stub since vnetd set vfio-pci.*left alone" \
		bind $pf1 --driver default
	same "writes" "$n" "$(writes)"
	expect 0 '^nothing is bound$' bind
	expect 0 "^$pf1: pci-stub -> igb" bind $pf1 --driver default

	note "the function went: so does its record"
	new_host --pfs 1 --existing-vfs 1 --bound igbvf
	start
	expect 0 ' -> vfio-pci' bind "$(vf 0)" --driver vfio-pci
	rm -rf "$host/sys/bus/pci/devices/$pf0/virtfn0" "$host/sys/bus/pci/devices/$(vf 0)"
	expect 0 'is not there any more' bind "$(vf 0)" --driver default
	same "records" "" "$(find "$run/bind" -type f)"
}

in_use() {
	note "what is in use is left alone"
	new_host --existing-vfs 7 --bound vfio-pci --pf-up 0 --pfs 4 --host-used 2 --no-vfs-on 1 \
		--no-vfs-on 2 --no-vfs-on 3 --nvme
	change_fake ".holders += [{address: \"$(vf 1)\", pid: 4242, comm: \"dpdk-testpmd\"}]"
	bus=$(vf 2)
	sed -i "s|</devices>|<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0x0000' bus='0x01' slot='0x${bus:8:2}' function='0x${bus:11}'/></source></hostdev></devices>|" \
		"$host/guests/vm2.xml"
	index=$(fake '.links[] | select(.name == "enp2s0").ifindex')
	change_fake ".links += [{ifindex: 90, name: \"vlan9\", kind: \"vlan\", lower: $index}]"
	start
	expect 0 '^vm1/net0: ' attach vm1 --mode vf --pool enp1s0
	keep used
	refused "bind $(vf 0) to igbvf: attachment vm1/net0" bind "$(vf 0)" --driver igbvf
	refused "process 4242 \(dpdk-testpmd\) has /dev/vfio" bind "$(vf 1)" --driver igbvf
	refused 'guest vm2 has it' bind "$(vf 2)" --driver igbvf
	refused "attachment vm1/net0 \(in-use\) is made of it" bind $pf0 --driver vfio-pci
	expect 0 'detached' detach vm1
	refused "bind $pf0 to vfio-pci: it has 7 VFs: they would go with its driver" bind $pf0 --driver vfio-pci
	refused 'vlan vlan9 is on top of enp2s0' bind $pf1 --driver vfio-pci
	refused 'enp3s0 has 1 address of the host' bind 0000:03:00.0 --driver none
	refused 'enp9s0 has 2 addresses of the host' bind $plain --driver vfio-pci
	change_fake '(.links[] | select(.name == "enp4s0")) += {routes: 2}'
	refused '2 routes of the host go through enp4s0' bind 0000:04:00.0 --driver vfio-pci
	change_fake '(.links[] | select(.name == "enp4s0")) |= del(.routes)'

	note "what cannot be"
	expect 1 'driver nosuch is not loaded: modprobe nosuch' bind "$(vf 3)" --driver nosuch
	refused 'there is no network function at this address' bind 0000:77:00.0 --driver vfio-pci
	expect 2 'is no PCI address' bind enp1s0 --driver vfio-pci
	expect 2 'is no name of a driver' bind "$(vf 3)" --driver ../vfio
	expect 2 'not a network function' bind 0000:0a:00.0 --driver vfio-pci
	expect 2 'driver is missing' bind "$(vf 3)"
	expect 2 'ADDRESS is missing' bind --driver none
	same "records" "" "$(find "$run/bind" -type f)"

	note "a program has what was bound: it is not taken from it"
	expect 0 ' -> uio_pci_generic' bind 0000:04:00.0 --driver uio_pci_generic
	change_fake '.holders += [{address: "0000:04:00.0", pid: 77, comm: "testpmd", uio: true}]'
	refused 'testpmd \(pid 77\).*uio0' bind 0000:04:00.0 --driver default
	refused 'testpmd \(pid 77\)' bind 0000:04:00.0 --driver vfio-pci
	expect 0 'bound +uio_pci_generic' bind
	change_fake 'del(.holders[] | select(.pid == 77))'
	expect 0 ' -> vfio-pci' bind 0000:04:00.0 --driver vfio-pci
	change_fake '.holders += [{address: "0000:04:00.0", pid: 78, comm: "testpmd"}]'
	refused 'process 78 \(testpmd\) has' bind 0000:04:00.0 --driver default
	expect 0 'already' bind 0000:04:00.0 --driver vfio-pci
	change_fake 'del(.holders[] | select(.pid == 78))'
	expect 0 ' -> igb ' bind 0000:04:00.0 --driver default
	if grep '^hangs' "$host/writes.log"; then
		fail "somebody waited for a device to be let go"
	fi

	note "an IOMMU group that the host has a part of"
	new_host --existing-vfs 2 --no-vfs-on 1 --no-acs --bound igbvf
	keep shared
	start
	refused "its IOMMU group [0-9]+ also holds $pf0 \(igb\): enable ACS" bind "$(vf 0)" --driver vfio-pci
	expect 0 ' -> uio_pci_generic' bind "$(vf 0)" --driver uio_pci_generic
	expect 0 ' -> igbvf' bind "$(vf 0)" --driver default
	all_back shared

	note "without an IOMMU: not VFIO, and UIO with a warning"
	new_host --pfs 1 --no-iommu
	keep open
	start
	expect 1 'it has no IOMMU group' bind $pf0 --driver vfio-pci
	expect 0 ' -> uio_pci_generic' bind $pf0 --driver uio_pci_generic
	says 'no IOMMU stands between' "$err"
	expect 0 ' -> igb' bind $pf0 --driver default
	all_back open
}

# Killed at a point; then the next vnetd has it bound, or as it was, and the command works.
killed() { # POINT WANTED ARGS...
	local point=$1 wanted=$2
	shift 2
	fault "$point" kill
	begin cut bind $pf1 "$@"
	died
	ended 10 cut 3 'closed the connection'
	[ ! -e "$run/fault" ] || fail "$point was never passed"
	start
	is_so() { [ "$(driver_of $pf1)" = "$wanted" ] && [ -z "$(find "$run/bind/journal" -type f)" ]; }
	wait_for 10 is_so || fail "killed at $point: $(driver_of $pf1), not $wanted"
	ok "killed at $point: $(driver_of $pf1)"
}

crashes() {
	note "killed on the way there, and back"
	new_host --pfs 2
	keep before
	start
	for at in before set after; do
		killed "knob:driver:$at" igb --driver vfio-pci
		all_back before
		expect 0 ' -> vfio-pci' bind $pf1 --driver vfio-pci
		expect 0 ' -> igb' bind $pf1 --driver default
	done
	killed bind:bound vfio-pci --driver vfio-pci
	expect 0 'already' bind $pf1 --driver vfio-pci
	for at in before set after; do
		killed "knob:driver:$at" vfio-pci --driver uio_pci_generic
		same "bound" "$pf1 bound vfio-pci igb vfio-pci" "$(bound)"
	done
	for at in before after; do
		killed "back:driver:$at" igb --driver default
		all_back before
		expect 0 ' -> vfio-pci' bind $pf1 --driver vfio-pci
	done
	expect 0 ' -> igb' bind $pf1 --driver default

	note "killed while a worker is in its write: the next vnetd waits for it, and so does who asks"
	kernel_fails 'hang write:*/vfio-pci/bind'
	begin cut bind $pf1 --driver vfio-pci
	in_bind() { grep -q '"driver"' "$run/bind/journal/$pf1" && [ "$(driver_of $pf1)" = none ]; }
	wait_for 10 in_bind
	crash
	start
	begin again bind $pf1 --driver uio_pci_generic
	sleep 0.5
	[ ! -s "$work/again.rc" ] || fail "it did not wait"
	kernel_well
	ended 20 again 0 'igb -> uio_pci_generic'
	expect 0 ' -> igb' bind $pf1 --driver default
	all_back before

	note "the kernel refuses"
	for w in vfio-pci/bind igb/unbind "$pf1/driver_override"; do
		kernel_fails "write:*/$w EIO 1"
		expect 1 'Input/output error' bind $pf1 --driver vfio-pci
		all_back before
	done
	expect 0 ' -> vfio-pci' bind $pf1 --driver vfio-pci
	kernel_fails 'write:*/igb/bind EIO 9'
	expect 1 'Input/output error' bind $pf1 --driver default
	kernel_well
	same "still bound" "$pf1 bound vfio-pci igb vfio-pci" "$(bound)"
	expect 0 ' -> igb' bind $pf1 --driver default
	all_back before

	note "records that cannot be read are kept aside"
	expect 0 ' -> vfio-pci' bind $pf1 --driver vfio-pci
	stop
	truncate -s 30 "$run/bind/$pf1.json"
	start
	expect 0 '^nothing is bound$' bind
	[ -e "$run/bind/$pf1.json.unreadable" ] || fail "it was not kept"
	same "shown" "bind/$pf1.json.unreadable" "$(vnet inventory --json |
		jq -r '.stale[] | select(.kind == "unreadable-file").object')"
	expect 0 ' -> igb' bind $pf1 --driver default
}

there_and_back
by_others
in_use
crashes
