#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mode vhost-user with DPDK's testpmd at the other end, which makes the socket or waits for
# it; and the guest whose memory nobody else can map.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac=52:54:00:b7:00:11
socket=/run/lab-vu/vu.sock
mkdir -p /run/lab-vu
chmod 777 /run/lab-vu # QEMU is another user

note "a guest without shared memory is refused beforehand, and told what to do"
guest_define own
guest_start own
guest_ready own
vnet_exit 4 'memory.*shared|shared.*memory|memoryBacking' \
	attach own --mode vhost-user -o socket=$socket -o role=client
guest_destroy own

guest_define vm1 64 shared
guest_start vm1
guest_ready vm1 300
keep before

note "client: testpmd has made the socket"
testpmd_up $socket server
chmod 777 $socket
attach_live vm1 $mac --mode vhost-user -o socket=$socket -o role=client
guest_ping_wait vm1 $mac world 400
vnet show vm1/net0
same "handover" path "$(field vm1/net0 handover)"
guest_mark vm1
vnet detach vm1
guest_nic_gone vm1 $mac
testpmd_down
rm -f $socket
back_as before

note "server: QEMU makes the socket, testpmd comes later"
testpmd_up $socket client
attach_live vm1 $mac --mode vhost-user -o socket=$socket -o role=server
wait_for 30 grep -q 'connected' "$lab_guests/testpmd.qemu" || note "testpmd does not say that it is connected"
guest_ping_wait vm1 $mac world 400
guest_mark vm1
vnet detach vm1
guest_nic_gone vm1 $mac
testpmd_down
rm -f $socket
guest_clean vm1
back_as before

note "nobody at the socket"
refused "$socket" vnetctl attach vm1 --mode vhost-user -o socket=$socket -o role=client
same "state" none "$(attachment_state vm1/net0)"
guest_destroy vm1
rm -r /run/lab-vu
