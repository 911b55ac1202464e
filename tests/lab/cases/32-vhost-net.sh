#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mode vhost-net on a Linux bridge: live, cold start and in a QEMU without libvirt; VLAN,
# trunk, isolation, MTU, two queues; each time the host as before.
# shellcheck disable=SC2034,SC2054 # PLAIN_PREFIX is plain_start's
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac=52:54:00:b2:00:11
pool=br0
bridge_up $pool
GUEST_VCPUS=2 guest_define vm1
guest_start vm1
guest_ready vm1
keep before

note "plan touches nothing"
vnet plan attach vm1 --mode vhost-net --pool $pool --mac $mac --queues 2
back_as before

note "live, with two queues: both carry traffic"
attach_live vm1 $mac --mode vhost-net --pool $pool --queues 2
guest_ping_wait vm1 $mac world
guest_queues_wait vm1 $mac 2
vnet list
vnet show vm1/net0
tap=$(field vm1/net0 device)
same "bridge of $tap" $pool "$(basename "$(readlink "/sys/class/net/$tap/master")")"
[[ $(<"/sys/class/net/$tap/address") == fe:* ]] || fail "the tap has MAC $(<"/sys/class/net/$tap/address")"
same "handover" fd-by-libvirt "$(field vm1/net0 handover)"
note "libvirt opens no vhost for a guest that is not KVM's, and show says so"
holds vm1 net/tun:2
vnet_exit 0 'vhost.*no, guest is not KVM' show vm1/net0
systemctl restart vnetd
same "state after a restart" in-use "$(attachment_state vm1/net0)"
detach_live vm1 $mac before

note "VLAN: only the peer in it answers, the guest knows nothing of it"
attach_live vm1 $mac --mode vhost-net --pool $pool --vlan 100
only_peer vm1 $mac world100
same "VLANs of the port" '100 PVID Egress Untagged' \
	"$(bridge -j vlan show dev "$(field vm1/net0 device)" | jq -r '.[0].vlans[] | [.vlan, .flags[]] | join(" ")')"
detach_live vm1 $mac before

note "isolated, with an MTU of its own"
attach_live vm1 $mac --mode vhost-net --pool $pool -o isolated=on --mtu 1400
guest_said vm1 | grep -q "mac $mac .* mtu 1400 up" || fail "the guest does not see the MTU"
tap=$(field vm1/net0 device)
same "isolated" 1 "$(<"/sys/class/net/$tap/brport/isolated")"
# The tap keeps the bridge's: a port with a smaller one would lower that of them all.
same "MTU of $tap" 1500 "$(<"/sys/class/net/$tap/mtu")"
guest_ping_wait vm1 $mac world
detach_live vm1 $mac before
vnet_exit 4 'MTU|mtu' attach vm1 --mode vhost-net --pool $pool --mtu 9000

note "the guest's end takes all back"
attach_live vm1 $mac --mode vhost-net --pool $pool --live
virsh -q destroy vm1
wait_for 60 all_given_back || fail "attachments stay: $(vnetctl list)"
back_as before
guest_destroy vm1

note "cold start: reserved before, made at the start, gone after"
guest_define vm2
vnet attach vm2 --mode vhost-net --pool $pool --mac $mac --vlan 200
same "state" reserved "$(attachment_state vm2/net0)"
GUEST_COLD=1 guest_start vm2
guest_ping_wait vm2 $mac world200 400
same "state" in-use "$(attachment_state vm2/net0)"
holds vm2 net/tun:1
virsh -q destroy vm2
reserved() { [ "$(attachment_state vm2/net0)" = reserved ]; }
wait_for 60 reserved || fail "vm2/net0: $(vnetctl list)"
vnet detach vm2
guest_clean vm2
back_as before
guest_destroy vm2

note "exec: two queues with vhost; a trunk, in which the guest tags by itself"
PLAIN_PREFIX=(vnetctl exec p1 --mode vhost-net --pool "$pool" --mac "$mac" --queues 2 --trunk 100,200 --)
PLAIN_SMP=2 PLAIN_CMDLINE=labvlan=200 plain_start p1 \
	-netdev tap,id=n0,fds=@net0.tap,vhostfds=@net0.vhost \
	-device virtio-net-pci,netdev=n0,mac=@net0.mac,mq=on,vectors=6,romfile=
guest_ping_wait p1 $mac world200 400
guest_queues_wait p1 $mac 2
vnet list
holds p1 'net/tun:2 vhost-net:2'
same "threads of vhost-net" 2 "$(vhost_threads "$(qemu_pid p1)")"
same "handover" fd-by-vnetd "$(field p1/net0 handover)"
same "pid" "$(qemu_pid p1)" "$(field p1/net0 pid)"
plain_stop p1
gave_back p1 before
bridge_down $pool
