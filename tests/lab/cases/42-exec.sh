#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vnetctl exec: one QEMU without libvirt, handed a NIC of every mode, each by one exec in
# front of the next; and the ends: its own, a kill, a command that does not exist.
# shellcheck disable=SC2034 # PLAIN_PREFIX is plain_start's
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac() { echo "52:54:00:c2:00:1$1"; }
world_up
ip link set "$pool0" up
ip link set "$pool1" up
vfs_create "$pf0" 1
modprobe -a vhost_vdpa vp_vdpa
pci_bind "$LAB_VPVDPA" vp-vdpa
bridge_up br0
ovs_up ovs0
vdpa_mac=52:54:00:99:03:01
other=$(pci_netdev "$LAB_OTHER")
other_mac=$(<"/sys/class/net/$other/address")
keep before

one() { echo vnetctl exec p1 --name "net$1" --mode "$2" --pool "$3" --mac "$4" "${@:5}" --; }
# shellcheck disable=SC2207 # words
PLAIN_PREFIX=(
	$(one 0 vhost-net br0 "$(mac 0)" --queues 2)
	$(one 1 vhost-net ovs0 "$(mac 1)" --vlan 100)
	$(one 2 macvtap "$pool1" "$(mac 2)")
	$(one 3 vdpa "pci/$LAB_VPVDPA" $vdpa_mac)
	$(one 4 vf "$pool0" "$(mac 4)")
	$(one 5 tap br0 "$(mac 5)" --model e1000 --vlan 200)
	$(one 6 tap br0 "$(mac 6)" --model vmxnet3)
	$(one 7 passthrough "$other" "$other_mac")
)
note "modes in one guest, which took @net0 ... @net7 for its arguments"
start=$(now)
PLAIN_SMP=2 plain_start p1 @net0 @net1 @net2 @net3 @net4 @net5 @net6 @net7
guest_ready p1 500
printf 'time: the guest is ready: %s s\n' "$(since "$start")"
tr '\0' ' ' <"/proc/$(qemu_pid p1)/cmdline"
echo
for i in 0:world 1:world100 2:world 4:world 5:world200 6:world; do
	guest_ping_wait p1 "$(mac "${i%:*}")" "${i#*:}"
done
guest_ping_wait p1 $vdpa_mac world
guest_ping_wait p1 "$other_mac" world
guest_queues_wait p1 "$(mac 0)" 2
vnet list
for i in 0 1 2 3 4 5 6 7; do
	same "state" in-use "$(attachment_state "p1/net$i")"
	same "handover" fd-by-vnetd "$(field "p1/net$i" handover)"
done
holds p1 "iommu:2 net/tun:5 tap:1 vfio/devices:2 vhost-net:4 vhost-vdpa:1"
same "threads of vhost-net" 4 "$(vhost_threads "$(qemu_pid p1)")"

note "a restarted vnetd knows them; what the process has is not given to another"
systemctl restart vnetd
same "attachments" 8 "$(vnetctl --json list | jq '[.attachments[] | select(.state == "in-use")] | length')"
vnet_exit 4 'p1/net4' exec p2 --mode vf --pool "$pool0" -- true
note "killed: all of it goes back"
kill -KILL "$(qemu_pid p1)"
gave_back p1 before
plain_stop p1
PLAIN_PREFIX=()

note "a command that ends at once, fails, or is not there"
vnetctl exec p2 --mode vhost-net --pool br0 -- true
gave_back p2 before
rc=0
vnetctl exec p2 --mode vhost-net --pool br0 -- sh -c 'exit 7' || rc=$?
same "exit code" 7 $rc
gave_back p2 before
refused 'nosuch-program' vnetctl exec p2 --mode vhost-net --pool br0 -- nosuch-program @net0
gave_back p2 before
refused 'net1' vnetctl exec p2 --mode vhost-net --pool br0 -- true fd=@net1.tap
refused 'vdpa' vnetctl exec p2 --mode vhost-net --pool br0 -- true fd=@net0.vdpa
gave_back p2 before
ovs_down ovs0
bridge_down br0
pci_home "$LAB_VPVDPA"
vfs_remove "$pf0"
