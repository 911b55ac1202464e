#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What somebody has is sacred: no command takes, unbinds or sets anything of it, each
# refusal names who it is, and nothing hangs.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0

vf() { printf '0000:01:1%d.%d' $(($1 / 4)) $(($1 % 4 * 2)); } # INDEX: as igb's lie

hostdev() { # VF: as virsh attaches it
	local bus=${1:5:2} slot=${1:8:2} fn=${1:11}
	echo "<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0x0000' bus='0x$bus' slot='0x$slot' function='0x$fn'/></source><alias name='hostdev0'/></hostdev>"
}

give() { # GUEST VF: into its XML
	sed -i "s|</devices>|$(hostdev "$2")</devices>|" "$host/guests/$1.xml"
}

holder() { # VF PID COMM [CDEV]
	change_fake ".holders += [{address: \"$1\", pid: $2, comm: \"$3\", cdev: ${4:-false}}]"
}

# Take all that can be had; of the others say who has them. Wanted: how many it is, then
# INDEX=PATTERN for each that is not free.
exhaust() { # FREE INDEX=PATTERN...
	local free=$1 got=0 i v pattern before
	shift
	rm -f "$host/writes.log"
	for i in $(seq "$free"); do
		vnet attach vm1 --mode vf --pool enp1s0 >"$work/out" 2>&1 ||
			fail "only $got of $free could be had: $(cat "$work/out")"
		got=$((got + 1))
	done
	before=$(writes)
	expect 4 'nothing can serve vm1' attach vm1 --mode vf --pool enp1s0
	for v in "$@"; do
		i=${v%%=*} pattern=${v#*=}
		says "^ +vf +enp1s0 +$pf0 +$(vf "$i") +$i +no +0 $(vf "$i") is in use: $pattern" "$err"
	done
	[ "$before" = "$(writes)" ] || fail "the refusal wrote something"
	for v in "$@"; do
		i=${v%%=*}
		if grep -E "$(vf "$i")|/vf$i	" "$host/writes.log"; then
			fail "VF $i was touched"
		fi
	done
	for i in $(seq "$free"); do
		vnet detach vm1 "net$((i - 1))" >/dev/null || fail "net$((i - 1)) cannot be detached"
	done
	if grep '^hangs' "$host/writes.log"; then
		fail "somebody waited for a device to be let go"
	fi
	ok "$free of $(numvfs $pf0) could be had and given back, not: $*"
}

note "processes: by group, by device node; guests: by virsh, running or not"
new_host --existing-vfs 7 --bound vfio-pci --pf-up 0 --cdev --guests 4
holder "$(vf 1)" 4242 dpdk-testpmd
holder "$(vf 2)" 4243 fio true
give vm2 "$(vf 3)"
give vm3 "$(vf 4)"
touch "$host/guests/vm3.off"
cp "$host/guests/vm4.xml" "$host/guests/vm4.config"
sed -i "s|</devices>|$(hostdev "$(vf 5)")</devices>|" "$host/guests/vm4.config"
keep processes
start
exhaust 2 \
	'1=process 4242 \(dpdk-testpmd\) has /dev/vfio/[0-9]+ open' \
	'2=process 4243 \(fio\) has /dev/vfio/devices/vfio2 open' \
	'3=guest vm2 has it \(hostdev0\)' \
	'4=guest vm3 names it in its configuration' \
	'5=guest vm4 names it in its configuration'
back_as processes
for i in 1 2 3 4 5; do
	says "$(vf $i) " "$(vnet inventory --verbose 2>/dev/null || vnet inventory)"
done
same "inventory" "process guest guest" "$(json '[.nics[] |
	select(.address | IN("'"$(vf 1)"'", "'"$(vf 3)"'", "'"$(vf 5)"'")) |
	.holder | .kind] | join(" ")' inventory)"

note "what virsh gave to a guest is not vnetd's to detach"
expect 1 'vnetd gave no NIC to guest vm2: .*detached with virsh' detach vm2
expect 1 'no NIC hostdev0' detach vm2 hostdev0
back_as processes

note "a guest that libvirt starts and stops while vnetd runs"
give vm2 "$(vf 0)"
exhaust 1 '0=guest vm2 has it' '3=guest vm2 has it'
rm "$host/guests/vm2.xml"
free_again() { ! vnet why vm1 --pool enp1s0 | grep -E "$(vf 0) is in use"; }
wait_for 10 free_again || fail "what a dead guest had is not free again"
exhaust 3 '1=process 4242'

note "the host's own use of VFs"
new_host --existing-vfs 7 --bound igbvf --pf-up 0 --bridged enp1s0v2
link='.links[] | select(.name == "enp1s0v'
change_fake "($link"'1")) += {up: true}'
change_fake "($link"'3")) += {addresses: 1}'
change_fake ".links += [{ifindex: 90, name: \"vlan9\", kind: \"vlan\", lower: ($link"'4").ifindex)}]'
# Gone to another network namespace: the interface is not here, its folder is.
change_fake 'del('"$link"'5"))'
rm -rf "$host/sys/class/net/enp1s0v5" "$host/sys/bus/pci/devices/$(vf 5)/net/enp1s0v5"
keep native
start
exhaust 2 \
	'1=host interface enp1s0v1 is up' \
	'2=enp1s0v2 is a port of bridge br0' \
	'3=enp1s0v3 has 1 address of the host' \
	'4=vlan vlan9 is on top of enp1s0v4' \
	'5=driver igbvf has it and no interface of it is here: it went to another network namespace'
back_as native

note "who has what cannot be read: then nothing is taken"
new_host --existing-vfs 2 --bound vfio-pci --pf-up 0
keep blind
start
kernel_fails 'holders EACCES'
expect 1 'Permission denied' attach vm1
kernel_well
[ ! -e "$host/writes.log" ] || fail "something was written"
back_as blind

note "somebody opens it between the choice and the deed: the fence holds"
new_host --existing-vfs 1 --bound igbvf --pfs 1 --pf-up 0 --pf-up 1
keep fenced
start
kernel_fails 'write:sys/bus/pci/drivers/igbvf/unbind EBUSY'
expect 1 'set driver of .*Device or resource busy' attach vm1
kernel_well
back_as fenced

note "QEMU lets go a little later than libvirt says: vnetd waits, and unbinds then"
expect 0 '^vm1/net0: ' attach vm1
mkfifo "$work/close"
(
	exec 9>"$host/fence-$(basename "$(readlink "$host/sys/bus/pci/devices/$(vf 0)/iommu_group")")"
	flock 9 # its group is open
	: >"$work/opened"
	read -r <"$work/close"
) &
wait_for 10 test -e "$work/opened"
begin slow detach vm1
becomes vm1/net0 releasing
[ ! -s "$work/slow.rc" ] || fail "it did not wait"
echo >"$work/close"
ended 10 slow 0 'is detached'
if grep '^hangs' "$host/writes.log"; then
	fail "an unbind hung"
fi
back_as fenced 'mac'

note "a PF that carries the host's address is not given VFs by itself"
new_host --host-used 0 --pfs 1
keep used
start
expect 4 'the host itself uses enp1s0 \(enp1s0 has 1 address of the host\).*name it with --pool enp1s0' \
	attach vm1
[ ! -e "$host/writes.log" ] || fail "something was written"
back_as used
expect 0 'interrupts the link of enp1s0 .*the host uses it: enp1s0 has 1 address' \
	plan attach vm1 --pool enp1s0
expect 0 'VF 0 of enp1s0' attach vm1 --pool enp1s0
expect 0 'VF 1 of enp1s0' attach vm1
