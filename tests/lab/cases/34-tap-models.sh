#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mode tap: every model that QEMU plays, in one guest from its cold start on, each on a
# bridge and in a VLAN of its own; and one plugged while it runs.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

pool=br0
bridge_up $pool
guest_define vm1
keep before

mac() { echo "52:54:00:b4:00:$1"; }
driver_of() { # MODEL
	case $1 in virtio) echo virtio_net ;; *) echo "$1" ;; esac
}

note "four models, reserved while the guest is shut off"
i=0
for model in e1000 e1000e vmxnet3 virtio; do
	vlan=()
	[ $model != vmxnet3 ] || vlan=(--vlan 100)
	vnet attach vm1 --name $model --mode tap --pool $pool --model $model --mac "$(mac 1$i)" \
		${vlan[@]+"${vlan[@]}"}
	i=$((i + 1))
done
vnet list
GUEST_COLD=1 guest_start vm1
guest_ready vm1 300
i=0
for model in e1000 e1000e vmxnet3 virtio; do
	guest_wait vm1 "^guest: nic .* mac $(mac 1$i) driver $(driver_of $model) " 120
	case $model in vmxnet3) peer=world100 ;; *) peer=world ;; esac
	guest_ping_wait vm1 "$(mac 1$i)" $peer
	same "state" in-use "$(attachment_state "vm1/$model")"
	i=$((i + 1))
done
holds vm1 net/tun:4
same "handover" fd-by-libvirt "$(field vm1/e1000 handover)"
only_peer vm1 "$(mac 12)" world100

note "one plugged while it runs"
guest_mark vm1
timed attach vnetctl attach vm1 --name hot --mode tap --pool $pool --model e1000e --mac "$(mac 20)" --live
guest_wait vm1 "^guest: nic .* mac $(mac 20) driver e1000e "
guest_ping_wait vm1 "$(mac 20)" world
guest_mark vm1
timed detach vnetctl detach vm1 hot
guest_nic_gone vm1 "$(mac 20)"

note "e1000 is no PCI Express device: a root port is not for it, and nothing stays behind"
guest_define vm2
guest_start vm2
guest_ready vm2
refused 'PCI' vnetctl attach vm2 --name odd --mode tap --pool $pool --model e1000 --live
same "state" none "$(attachment_state vm2/odd)"
guest_destroy vm2

note "what no NIC of that model can"
vnet_exit 4 'queue' attach vm1 --name many --mode tap --pool $pool --model e1000 --queues 2
refused 'model' vnetctl attach vm1 --name odd --mode tap --pool $pool --model rtl8139

virsh -q destroy vm1
reserved() { [ "$(vnetctl --json list | jq '[.attachments[] | select(.state == "reserved")] | length')" = 4 ]; }
wait_for 60 reserved || fail "not all are reserved again: $(vnetctl list)"
for model in e1000 e1000e vmxnet3 virtio; do
	vnet detach vm1 $model
done
guest_clean vm1
back_as before
guest_destroy vm1
bridge_down $pool
