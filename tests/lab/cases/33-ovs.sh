#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mode vhost-net on Open vSwitch: VLAN, trunk, the port's row and its mark; the service
# restarted and stopped meanwhile.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac=52:54:00:b3:00:11
pool=ovs0
ovs_up $pool
guest_define vm1
guest_start vm1
guest_ready vm1
uuid=$(virsh domuuid vm1 | head -n 1)
keep before

port_mark() { ovs get Port "$1" external_ids:vnetd | tr -d '"'; }

note "a port like any other"
attach_live vm1 $mac --mode vhost-net --pool $pool
guest_ping_wait vm1 $mac world
tap=$(field vm1/net0 device)
same "bridge of $tap" $pool "$(ovs port-to-br "$tap")"
same "mark of $tap" "$uuid.net0" "$(port_mark "$tap")"
holds vm1 net/tun:1
detach_live vm1 $mac before

note "a tag: only the peer in that VLAN answers; and Open vSwitch is restarted"
attach_live vm1 $mac --mode vhost-net --pool $pool --vlan 100
only_peer vm1 $mac world100
tap=$(field vm1/net0 device)
same "tag" 100 "$(ovs get Port "$tap" tag)"
timed "Open vSwitch restarts" systemctl restart openvswitch-switch
guest_mark vm1
guest_ping_wait vm1 $mac world100
same "state" in-use "$(attachment_state vm1/net0)"
detach_live vm1 $mac before

note "a trunk"
attach_live vm1 $mac --mode vhost-net --pool $pool --trunk 100,200-201
same "trunks" '[100, 200, 201]' "$(ovs get Port "$(field vm1/net0 device)" trunks)"
detach_live vm1 $mac before

note "Open vSwitch stopped: an attach is refused with the reason, a detach is finished later"
attach_live vm1 $mac --mode vhost-net --pool $pool
systemctl stop openvswitch-switch ovs-vswitchd ovsdb-server
refused 'Open vSwitch|OVS|ovsdb|openvswitch|no pool' vnetctl attach vm1 \
	--name net1 --mode vhost-net --pool $pool
timed "list" vnetctl list
guest_mark vm1
vnetctl detach vm1 >$state_dir/detach.out 2>&1 || note "detach: exit $?: $(cat $state_dir/detach.out)"
guest_nic_gone vm1 $mac
vnet list
systemctl start openvswitch-switch
detached() { [ "$(attachment_state vm1/net0)" = none ] || ! vnetctl detach vm1; }
really_detached() { [ "$(attachment_state vm1/net0)" = none ]; }
wait_for 60 detached || :
wait_for 60 really_detached || fail "vm1/net0 stays: $(vnetctl list)"
guest_clean vm1
back_as before

note "the guest's end takes the row with it"
attach_live vm1 $mac --mode vhost-net --pool $pool --vlan 200 --live
guest_ping_wait vm1 $mac world200
virsh -q destroy vm1
wait_for 60 all_given_back || fail "attachments stay: $(vnetctl list)"
back_as before
guest_destroy vm1
ovs_down $pool
