#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vDPA in the inventory: what devices can be made of, and that it stays known, and nothing
# else suffers, while the kernel does not answer about it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

management() { json '.vdpaManagementDevices[] | "\(.name) \(.pf) \(.maxQueuePairs) \(.devices)"' inventory; }
known='pci/0000:01:10.0 0000:01:00.0 16 1
pci/0000:01:10.2 0000:01:00.0 16 0
vdpasim_net null 1 0'

note "a VF's and the simulator's"
new_host --pfs 1 --existing-vfs 2 --bound igbvf --pf-up 0 --vdpa-vfs --mgmtdev vdpasim_net
change_fake '.vdpas.vn1 = {mgmtdev: "pci/0000:01:10.0"}'
mkdir "$host/sys/bus/pci/devices/0000:01:10.0/vn1"
ln -s "$(readlink "$host/sys/bus/pci/devices/0000:01:10.0")/vn1" "$host/sys/bus/vdpa/devices/vn1"
start
same "management devices" "$known" "$(management)"
same "made of" pci/0000:01:10.0 "$(json '.vdpa[0].managementDevice' inventory)"
expect 0 'pci/0000:01:10.2 +0000:01:00.0 +16 +MAC, MTU, queues +0' inventory
expect 0 'vdpasim_net +- +1 +MAC, MTU +0' inventory

note "generic netlink hangs: what was known stays, the rest is looked at"
kernel_fails 'hang mgmtdevs'
change_fake '(.links[] | select(.name == "enp9s0")).mtu = 9000'
began=$SECONDS
same "management devices" "$known" "$(management)"
[ $((SECONDS - began)) -lt 8 ] || fail "an inventory took $((SECONDS - began)) s"
mtu() { json '.nics[].links[] | select(.name == "enp9s0").mtuBytes' inventory; }
same "MTU of enp9s0" 9000 "$(mtu)"
stuck() { [ "$(json '.stuck[].object' inventory)" = vdpa ]; }
wait_for 30 stuck || fail "nobody says that it is stuck"
same "management devices" "$known" "$(management)"
expect 0 "vdpa: reading the host's vDPA management devices has not come back" inventory

note "it comes back"
kernel_well
well() { [ -z "$(json '.stuck[].object' inventory)" ]; }
wait_for 10 well || fail "it stays stuck"
same "management devices" "$known" "$(management)"

note "without a vDPA bus nobody asks"
stop
new_host --pfs 1
kernel_fails 'mgmtdevs EIO'
start
same "management devices" '' "$(management)"
[ "$(pgrep -fc -- "--worker --root $host ")" = 1 ] || fail "a worker was started for it"
ok "one worker"
stop

# The simulator's module was unloaded, say: the device went with whatever had it.
device_goes() {
	local dev
	dev=$(basename "$host"/sys/bus/vdpa/devices/vn*)
	change_fake "del(.vdpas.$dev)"
	rm -rf "$(readlink -f "$host/sys/bus/vdpa/devices/$dev")" \
		"$host/sys/bus/vdpa/devices/$dev" "$host/sys/bus/vdpa/drivers/vhost_vdpa/$dev"
}
pids=()
links() { find "$run/vdpa" -type l | wc -l; }

note "a device that goes away takes nothing with it: its link goes all the same"
new_host --guests 1 --mgmtdev vdpasim_net
start
expect 0 '^vm1/net0: vdpa ' attach vm1 --mode vdpa --pool vdpasim_net
same "links" 1 "$(links)"
device_goes
expect 0 'is detached$' detach vm1 net0
same "links" 0 "$(links)"

note "nor is one left for good that leads nowhere when the guest gets its NIC again"
ln -s /dev/vhost-vdpa-77 "$run/vdpa/00000000-0000-4000-8000-000000000001.net0"
expect 0 '^vm1/net0: vdpa ' attach vm1 --mode vdpa --pool vdpasim_net
expect 0 'is detached$' detach vm1 net0
same "links" 0 "$(links)"
stop

note "two at once, of management devices that make one device each: none is chosen twice"
new_host --guests 2 --pfs 1 --existing-vfs 2 --bound igbvf --pf-up 0 --vdpa-vfs
mkdir -p "$work/config"
printf '%s\n' '[pool fast]' 'uplink = pci/0000:01:10.0' 'uplink = pci/0000:01:10.2' 'modes = vdpa' \
	>"$work/config/vnetd.conf"
start
for guest in vm1 vm2; do
	vnet attach $guest --pool fast >"$work/$guest.out" 2>&1 &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid" || fail "an attach failed: $(cat "$work"/vm?.out)"
done
same "uplinks" "pci/0000:01:10.0 pci/0000:01:10.2" "$(json '[.attachments[].uplink] | sort | join(" ")' list)"
expect 1 'attachment vm./net0 \(in-use\) is on it' bind 0000:01:10.0 --driver vfio-pci
expect 4 'attachment vm./net0 has it|is on it' attach vm1 --name n1 --mode vf --pool 0000:01:00.0
