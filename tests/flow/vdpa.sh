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
