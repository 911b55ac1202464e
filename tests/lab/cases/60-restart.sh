#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vnetd restarts while guests run: nothing happens to them, everything is known
# again; even with its state lost. And a guest that does not let go.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

world_up
ip link set "$pool0" up
guest_define vm1
guest_start vm1
guest_define deaf 96 nounplug
guest_start deaf
guest_ready vm1
mac=52:54:00:dd:00:01
vnet attach vm1 --mode vf --pool "$pool0" --mac $mac
guest_nic_wait vm1 $mac
guest_ping_wait vm1 $mac
keep running

in_use() { [ "$(attachment_state vm1/net0)" = in-use ]; }
deaf_gone() { [ "$(attachment_state deaf/net0)" = none ]; }
vm1_gone() { [ "$(attachment_state vm1/net0)" = none ]; }

known_again() {
	wait_for 30 in_use ||
		fail "$1: $(vnetctl list)"
	back_as running
	guest_mark vm1
	guest_ping_wait vm1 $mac
	ok "$1: known again, the guest pings on"
}
systemctl restart vnetd
known_again "systemctl restart"
systemctl kill -s KILL vnetd
sleep 1
known_again "kill -9"
systemctl stop vnetd.socket vnetd
rm -rf /run/vnetd/attachments /run/vnetd/journal
systemctl start vnetd.socket
known_again "state lost"
guest_mark vm1
vnet detach vm1
guest_nic_gone vm1 $mac
for vf in "/sys/bus/pci/devices/$pf0"/virtfn*; do
	same "$(basename "$vf")" none "$(pci_driver "$(basename "$(readlink "$vf")")")"
done

note "a state file that is torn is moved aside, the daemon serves on"
systemctl stop vnetd.socket vnetd
echo '{"version":1,"attach' >/run/vnetd/attachments/00000000-0000-0000-0000-000000000000.net0.json
systemctl start vnetd.socket
vnet_exit 0 '' list
ls /run/vnetd/attachments/*.unreadable >/dev/null || fail "a torn file was not kept aside"

note "a guest that does not let go: detaching, and says so"
guest_wait deaf '^guest: ready' 180
vnet attach deaf --mode vf --pool "$pool0" --mac 52:54:00:dd:00:02
vf=$(vnetctl --json show deaf/net0 | jq -r .attachment.vf)
vnet_exit 1 'has not let go' detach deaf
same "state" detaching "$(attachment_state deaf/net0)"
same "driver" vfio-pci "$(pci_driver "$vf")"
vnet_exit 0 detaching list
systemctl restart vnetd
wait_for 20 vnetctl list || fail "vnetd does not answer"
same "state after a restart" detaching "$(attachment_state deaf/net0)"
virsh -q destroy deaf
wait_for 60 deaf_gone || fail "it stays after the guest's end: $(vnetctl list)"
same "driver" none "$(pci_driver "$vf")"

note "detached by virsh behind our back: taken back"
guest_mark vm1
vnet attach vm1 --live --mode vf --pool "$pool0" --mac $mac
guest_nic_wait vm1 $mac
virsh -q detach-device-alias vm1 ua-vnetd-net0
wait_for 60 vm1_gone || fail "it stays after virsh detach-device-alias: $(vnetctl list)"
vfs_remove "$pf0"
guest_destroy vm1
guest_destroy deaf
