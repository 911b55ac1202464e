#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Guests that start and end by libvirt, with NICs in their persistent XML: reservations,
# libvirt's hook, and both XMLs at once.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0 mac=52:54:00:aa:00:01

listed() { json "[.attachments[] | \"\(.guest)/\(.name) \(.state) \(.persistent)\"] | sort | join(\", \")" list; }
driver_of() { basename "$(readlink "$host/sys/bus/pci/devices/$1/driver" || echo none)"; }

new_host --pf-up 1
keep fresh
shut_off vm1
start

note "a shut-off guest: its XML is the reservation, the VF itself is not touched"
expect 1 'does not run: start it first .*without --live' attach vm1 --live
expect 0 "^vm1/net0: vf 0000:01:10.0 \(VF 0 of enp1s0\) mac $mac vlan 100 qos 3: reserved" \
	attach vm1 --pool enp1s0 --mac $mac --vlan '100 qos 3'
same "list" "vm1/net0 reserved true" "$(listed)"
same "VFs, made for their addresses' sake" 7 "$(numvfs $pf0)"
same "driver" none "$(driver_of 0000:01:10.0)"
same "VF" "null" "$(fake ".vfs[\"$pf0\"][0].mac")"
grep -q 'ua-vnetd-net0' "$host/guests/vm1.xml" || fail "no device in the guest's XML"
same "files" "" "$(find "$run/attachments" "$run/journal" -type f)"
expect 0 'persistent +yes' show vm1/net0
expect 0 "^vm1/net0: vf 0000:01:10.0 .*: reserved" \
	attach vm1 --name net0 --pool enp1s0 --mac $mac --vlan '100 qos 3'
expect 1 'has a NIC net0 already' attach vm1 --name net0 --mac 52:54:00:aa:00:02

note "it counts: nobody else gets that VF, or that MAC"
expect 0 'VF 1 of enp1s0' attach vm2 --pool enp1s0
expect 1 "MAC $mac is taken: guest vm1" attach vm2 --pool enp1s0 --mac $mac
expect 0 '0000:01:10.0 is in use: guest vm1 names it' why vm2 --pool enp1s0
expect 0 'is detached' detach vm2
keep reserved

note "it starts: the hook has the VF made ready, libvirt's word makes it in-use"
virsh_start vm1 || fail "the hook refuses: $(<"$work/hook")"
same "said" "" "$(cat "$work/hook" "$work/hook.out")"
becomes vm1/net0 in-use
same "VF" "$mac 100 qos 3" "$(fake ".vfs[\"$pf0\"][0] | \"\(.mac) \(.vlan)\"")"
same "driver" vfio-pci "$(driver_of 0000:01:10.0)"
same "list" "vm1/net0 in-use true" "$(listed)"

note "vnetd restarts meanwhile; the guest ends: all is taken back, and still reserved"
restart
becomes vm1/net0 in-use
virsh_destroy vm1 || fail "the hook refuses"
same "at once" "vm1/net0 reserved true" "$(listed)"
back_as reserved

note "ended without a hook: libvirt's event is enough"
virsh_start vm1 || fail "the hook refuses: $(<"$work/hook")"
becomes vm1/net0 in-use
: >"$host/guests/vm1.off"
mv "$host/guests/vm1.config" "$host/guests/vm1.xml"
becomes vm1/net0 reserved
back_as reserved

note "the start fails behind the hook: taken back"
sed 's/<domain /<domain id="7" /' "$host/guests/vm1.xml" | hook vm1 prepare || fail "refused"
same "list" "vm1/net0 ready true" "$(listed)"
hook vm1 release failed <"$host/guests/vm1.xml" || fail "a release fails"
same "list" "vm1/net0 reserved true" "$(listed)"
back_as reserved

note "vnetd dies between prepare and release; while it is away a release is told to nobody"
sed 's/<domain /<domain id="7" /' "$host/guests/vm1.xml" | hook vm1 prepare || fail "refused"
crash
rc=0
hook vm1 release failed <"$host/guests/vm1.xml" 2>"$work/hook" || rc=$?
same "a release never fails" 0 $rc
says 'cannot reach vnetd at .*systemctl status' "$(<"$work/hook")"
rc=0
sed 's/<domain /<domain id="7" /' "$host/guests/vm1.xml" | hook vm1 prepare 2>"$work/hook" || rc=$?
same "a guest of ours does not start without vnetd" 1 $rc
same "in one line" 1 "$(wc -l <"$work/hook")"
start
becomes vm1/net0 reserved
back_as reserved

note "libvirt answers nothing while its hook runs: it is served all the same"
stop
: >"$host/guests/vm1.hang"
mv "$host/guests" "$host/.guests"
start
mkdir "$host/guests"
sed 's/<domain /<domain id="7" /' "$host/.guests/vm1.xml" | timeout 20 "$build/vnetd-hook" vm1 prepare begin - \
	2>"$work/hook" || [ $? = 1 ]
sed 's/<domain /<domain id="7" /' "$host/.guests/vm1.xml" | hook vm1 prepare ||
	fail "refused: $(<"$work/hook")"
same "list" "vm1/net0 ready true" "$(listed | sed 's/false/true/')"
hook vm1 release failed <"$host/.guests/vm1.xml" || fail "a release fails"
rmdir "$host/guests"
mv "$host/.guests" "$host/guests"
rm "$host/guests/vm1.hang"
becomes vm1/net0 reserved
back_as reserved

note "refused, in one line that says why; the guest's other NICs are not touched then"
refused() { # PATTERN
	virsh_start vm1 && fail "the guest starts"
	same "in one line" 1 "$(wc -l <"$work/hook")"
	says "$1" "$(<"$work/hook")"
	ok "refused: $(<"$work/hook")"
}
expect 0 'VF 1 of enp1s0.*reserved' attach vm1 --name net1 --pool enp1s0
keep two
change_fake '.holders += [{address: "0000:01:10.2", pid: 4242, comm: "dpdk", guest: ""}]'
refused '^vnetd: guest vm1: net1: 0000:01:10.2 is in use: process 4242'
same "list" "vm1/net0 reserved true, vm1/net1 reserved true" "$(listed)"
change_fake '.holders = []'
back_as two

kernel_fails 'vf_set:mac:*/vf1 EIO 1'
refused 'guest vm1: attach vm1/net1: set vf-mac of 0000:01:00.0/vf1 to .*Input/output error'
back_as two
kernel_well

note "the card was moved: the XML's address is not that VF's any more"
sed -i "s/slot='0x10' function='0x2'/slot='0x1f' function='0x2'/; s/slot=\"0x10\" function=\"0x2\"/slot=\"0x1f\" function=\"0x2\"/; s/vf=\"0000:01:10.2\"/vf=\"0000:01:1f.2\"/" "$host/guests/vm1.xml"
refused 'VF 1 of 0000:01:00.0 is at 0000:01:10.2 now and .* names 0000:01:1f.2: .*detach vm1 net1 --config'
same "list" "vm1/net0 reserved true, vm1/net1 reserved true" "$(listed)"
expect 0 'vm1/net1 is detached: it was reserved' detach vm1 net1
back_as reserved

note "after a reboot: no VFs, no state; the hook brings them back"
stop
forget_runtime
cp -a "$host/guests" "$work/guests" # the guests' XML is what a reboot leaves
new_host --pf-up 1
rm -rf "$host/guests"
mv "$work/guests" "$host/guests"
start
same "VFs" 0 "$(numvfs $pf0)"
virsh_start vm1 || fail "the hook refuses: $(<"$work/hook")"
becomes vm1/net0 in-use
same "VFs" 7 "$(numvfs $pf0)"
same "VF" "$mac 100 qos 3" "$(fake ".vfs[\"$pf0\"][0] | \"\(.mac) \(.vlan)\"")"

note "detach from the configuration alone, then from the guest"
expect 0 'vm1/net0 is out of the guest.s configuration' detach vm1 --config
same "list" "vm1/net0 in-use false" "$(listed)"
expect 1 'not in the guest.s persistent configuration' detach vm1 --config
expect 0 'vm1/net0 is detached' detach vm1
same "list" "" "$(listed)"

note "a running persistent guest: both, unless one is named"
expect 0 '^vm1/net0: ' attach vm1 --mac $mac --pool enp1s0
same "list" "vm1/net0 in-use true" "$(listed)"
grep -q 'urn:vnetd:1' "$host/guests/vm1.config" || fail "no metadata in the configuration"
expect 0 'vm1/net0 is detached' detach vm1 --live
same "list" "vm1/net0 reserved true" "$(listed)"
expect 1 'alone: detach it without --live' detach vm1 --live
expect 0 'it was reserved' detach vm1
! grep -q 'vnetd' "$host/guests/vm1.config" || fail "something of it stays in the configuration"
expect 0 '^vm1/net0: ' attach vm1 --mac $mac --pool enp1s0 --live
same "list" "vm1/net0 in-use false" "$(listed)"
expect 0 '^vm1/net1: .*reserved' attach vm1 --pool enp1s0 --config
expect 2 'several NICs: name one of net0, net1' detach vm1
expect 0 'is detached' detach vm1 net0
expect 0 'it was reserved' detach vm1 net1
expect 0 '^vm1/net0: ' attach vm1 --mac $mac --pool enp1s0
expect 0 'vm1/net0 is detached' detach vm1
same "list" "" "$(listed)"
expect 1 'no persistent configuration' attach vm2 --config

note "what libvirt refuses leaves nothing in either"
echo 'No more available PCI slots' >"$host/guests/vm1.refuse"
expect 1 'No more available PCI slots' attach vm1 --pool enp1s0
! grep -q 'vnetd' "$host/guests/vm1.config" "$host/guests/vm1.xml" || fail "something of it stays"
same "list" "" "$(listed)"
rm "$host/guests/vm1.refuse"

note "a guest that libvirt does not answer for, as while its hook runs: an end after a while, others go on"
shut_off vm1
becomes_off() { ! vnet why vm1 --live; }
wait_for 10 becomes_off || fail "vm1 runs"
: >"$host/guests/vm1.hang"
begin asks why vm1
expect 0 SERVES why vm2
ended 20 asks 1 'libvirt has not answered about guest vm1 for 10 s: it may be starting or stopping'
rm "$host/guests/vm1.hang"
expect 0 SERVES why vm1

note "guests that are not ours cost the hook nothing, whatever vnetd does"
stop
failing=
echo '<domain type="kvm"><name>other</name></domain>' >"$work/other"
echo '<domain xmlns:vnetd="urn:vnetd:1"/>' >"$work/ours"
for op in prepare start started stopped release reconnect migrate restore attach; do
	hook other $op <"$work/other" || fail "$op fails"
	hook other $op <"$work/ours" 2>/dev/null || failing+=" $op"
done
same "of a guest of ours, without vnetd, fails" " prepare" "$failing"
