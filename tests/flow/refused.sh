#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hosts that cannot isolate a VF: refused before anything is written, each for its own
# reason, and with what to do.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# refused NAME PATTERN OPTIONS OF MKHOST...
refused() {
	local name=$1 pattern=$2 verdicts
	shift 2
	note "$name"
	new_host "$@"
	keep "$name"
	start
	expect 4 "attach vm1/net0: nothing can serve vm1: .*$pattern" attach vm1 --mode vf
	# Seven of each PF of which the same is to be said: a line.
	verdicts=$(grep -cE "vf +enp[12]s0 .* 0-6 no +0 " <<<"$err") || :
	[ "$verdicts" = 2 ] || fail "not a verdict for every candidate: $err"
	expect 0 "no +0 .*$pattern" why vm1 --mode vf
	expect 4 "$pattern" plan attach vm1 --mode vf
	expect 0 'no attachments' list
	[ ! -e "$host/writes.log" ] || fail "something was written: $(cat "$host/writes.log")"
	back_as "$name"
}

refused no-acs 'IOMMU group [0-9]+ of 0000:01:00.0/vf0 also holds 0000:00:02.0 \(pcieport, bridge\), 0000:01:00.0 \(igb, host\): VFIO refuses .*enable ACS on the port above or use another slot' \
	--no-acs
refused no-iommu 'in no IOMMU group: the IOMMU is off; switch VT-d .* intel_iommu=on' --no-iommu
refused no-intremap 'interrupt remapping is off, .* drop intremap=off' --no-intremap
refused no-vfio 'the driver vfio-pci is not loaded: modprobe vfio-pci' --no-vfio

note "VFs that exist are refused just so"
new_host --no-acs --existing-vfs 2
keep existing
start
expect 4 'IOMMU group [0-9]+ of 0000:01:10.0 also holds .*0000:01:00.0 \(igb, host\), 0000:01:10.2' attach vm1
[ ! -e "$host/writes.log" ] || fail "something was written"
back_as existing

note "interrupts that are allowed to be unsafe: done, and said"
new_host --no-intremap --unsafe-interrupts
start
expect 0 'unsafe: no interrupt remapping' attach vm1
expect 0 'is detached' detach vm1

note "a PF without a driver, and a host without any"
new_host --pf-unbound 0 --pf-unbound 1
start
expect 4 'this host has no pool: no SR-IOV network card with a network driver' attach vm1
expect 0 'no candidates: this host has no pool: no SR-IOV network card' why vm1
expect 0 'no candidates: .*mode vdpa .*no vDPA management device' why vm1 --mode vdpa
new_host --pfs 0
start
expect 4 'this host has no pool' attach vm1
[ ! -e "$host/writes.log" ] || fail "something was written"

note "one PF of two will do: only that one is used"
new_host --pf-unbound 0
start
expect 0 'of enp2s0' attach vm1

note "no libvirt: nothing is known of who holds what, so nothing is done"
new_host
mv "$host/guests" "$host/away"
start
expect 0 'no attachments; but libvirt has not told yet' list
expect 1 'detach vm1: libvirt has not told yet what the guest has: try again' detach vm1 --all
begin early attach vm1
mv "$host/away" "$host/guests"
ended 10 early 0 '^vm1/net0: vf'
mv "$host/guests" "$host/away"
reason='reservations unknown: .*systemctl start libvirtd'
refuses() { ! vnet attach vm1 >/dev/null 2>&1; }
wait_for 10 refuses
expect 1 "$reason" attach vm1
expect 1 "$reason" detach vm1
expect 0 'vm1/net0 +in-use' list
mv "$host/away" "$host/guests"
knows() { vnet why vm1; }
wait_for 10 knows
expect 0 'is detached' detach vm1
