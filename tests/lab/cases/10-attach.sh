#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The main job: attach to a running guest, ping, VLAN, detach, the host as before.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac=52:54:00:aa:00:11
world_up
ip link set "$pool0" up

note "an inventory before anything was done"
vnet inventory
guest_define vm1
guest_start vm1
guest_ready vm1

note "plan touches nothing"
host_state >$state_dir/plan.host
vnet plan attach vm1 --mode vf --pool "$pool0" --mac $mac
host_state | diff -u $state_dir/plan.host - || fail "plan changed the host"
ok "plan changed nothing"

note "attach: makes the VFs, and the guest pings through its own"
timed attach vnetctl attach vm1 --mode vf --pool "$pool0" --mac $mac
guest_nic_wait vm1 $mac
guest_ping_wait vm1 $mac
vnet list
vnet show vm1/net0
same "state" in-use "$(attachment_state vm1/net0)"
same "numvfs" 7 "$(cat "/sys/bus/pci/devices/$pf0/sriov_numvfs")"
virsh dumpxml vm1 | grep -q "ua-vnetd-net0" || fail "no alias in the guest's XML"
virsh dumpxml vm1 | grep -q "urn:vnetd:1" || fail "no metadata in the guest's XML"
virsh dumpxml vm1 --inactive | grep -q "ua-vnetd-net0" || fail "the persistent configuration has it not"
virsh dumpxml vm1 --inactive | grep -q "urn:vnetd:1" || fail "no metadata in the persistent configuration"

note "the same request again is the same answer; another NIC of that name is refused"
vnet attach vm1 --mode vf --pool "$pool0" --mac $mac --name net0
vnet_exit 1 'already' attach vm1 --mode vf --name net0 --mac 52:54:00:aa:00:12
vnet_exit 1 'taken' attach vm1 --mode vf --mac $mac --name net5

guest_mark vm1
timed detach vnetctl detach vm1
guest_nic_gone vm1 $mac
same "state" none "$(attachment_state vm1/net0)"
for which in '' --inactive; do
	# shellcheck disable=SC2086 # an option or none
	if virsh dumpxml vm1 $which | grep -q "vnetd"; then
		fail "something stays in the guest's XML after the last detach ($which)"
	fi
done

note "with VFs there already: exactly as before"
keep made
guest_mark vm1
vnet attach vm1 --mode vf --pool "$pool0" --mac 52:54:00:aa:00:13 --vlan 100
guest_nic_wait vm1 52:54:00:aa:00:13
guest_ping_wait vm1 52:54:00:aa:00:13 world100
sleep 2
if guest_said vm1 | grep -qE 'ping 52:54:00:aa:00:13 .* ok peer world$'; then
	fail "the peer outside VLAN 100 answered"
fi
ok "only the peer in VLAN 100 answers"
vnet detach vm1 net0
guest_nic_gone vm1 52:54:00:aa:00:13
back_as made

note "without a MAC: one is made, 52:54:00, and kept; --live leaves the configuration alone"
vnet attach vm1 --mode vf --pool "$pool0" --name uplink --live
if virsh dumpxml vm1 --inactive | grep -q "vnetd"; then
	fail "a live attach changed the persistent configuration"
fi
mac=$(vnetctl --json show vm1/uplink | jq -r .attachment.mac)
[[ $mac == 52:54:00:* ]] || fail "generated MAC $mac"
guest_nic_wait vm1 "$mac"
vnet detach vm1/uplink
back_as made

note "VFs that were there, on their host driver, go back to it"
modprobe igbvf
# Up first: a VF's driver tells its PF the MAC it took only where the PF listens.
ip link set "$pool1" up
wait_for 10 ip link show "$pool1" up
echo 3 >"/sys/bus/pci/devices/$pf1/sriov_numvfs"
wait_for 20 test -e "/sys/bus/pci/devices/$pf1/virtfn2/driver" || fail "igbvf did not bind"
udevadm settle
sleep 1
for vf in "/sys/bus/pci/devices/$pf1"/virtfn*; do
	net=$(pci_netdev "$(basename "$(readlink "$vf")")")
	ip link set "$net" down
done
host_state >$state_dir/found.host
guest_mark vm1
vnet attach vm1 --mode vf --pool "$pool1" --mac 52:54:00:aa:00:14
guest_nic_wait vm1 52:54:00:aa:00:14
guest_ping_wait vm1 52:54:00:aa:00:14
vnet detach vm1
host_state | diff -u $state_dir/found.host - || fail "found VFs are not as found"
ok "found VFs are as found"
vfs_remove "$pf1"
guest_destroy vm1
