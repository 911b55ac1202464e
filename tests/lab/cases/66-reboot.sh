#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The power goes while guests run: after the boot nothing of vnetd's state is there, the
# guests that start by themselves have their NICs, before anybody asked for anything.
. "${LAB_DIR:?run me by tests/lab/run}/lib.sh"

mac=52:54:00:f0:00:11
lab_images=/var/lib/lab lab_guests=/var/lib/lab/guests

if [ "$LAB_BOOT" = 1 ]; then
	. "$LAB_DIR/vnet.sh"
	lab_images=/var/lib/lab lab_guests=/var/lib/lab/guests # what it sources says otherwise
	world_up
	guest_define vm1
	vnetctl attach vm1 --mode vf --pool "$pool0" --mac $mac --vlan '100 qos 3'
	virsh -q autostart vm1
	guest_define vm2
	vnetctl attach vm2 --mode vf --pool "$pool1" --mac 52:54:00:f0:00:12
	virsh -q start vm1
	# Known by its permanent MAC, whatever it will be called; made before anybody needs it.
	mkdir -p /etc/vnetd/vnetd.conf.d
	cat >/etc/vnetd/vnetd.conf.d/lab.conf <<-CONF
		[pool fast]
		uplink = mac=$(cat "/sys/class/net/$pool1/address")
		vfs = 3
		[pool broken]
		uplink = nosuch0
		vfs = many
	CONF
	vnetctl reload || [ $? = 1 ] || fail "vnetctl reload"
	vnetctl pool list
	sync
	lab_reboot
fi

note "after the boot: the autostart guest has its NIC"
is() { [ "$(vnetctl --json list | jq -r --arg id "$1" '.attachments[] | select(.guest + "/" + .name == $id) | .state')" = "$2" ]; }
running() { virsh -q list --name | grep -qx vm1; }
wait_for 120 running || fail "vm1 does not run: $(journalctl -b -u libvirtd -u vnetd -n 40)"
wait_for 60 is vm1/net0 in-use || fail "vm1/net0: $(vnetctl list)"
vnetctl list
world_up
guest_nic_wait vm1 $mac 240
guest_ping_wait vm1 $mac world100 240
same "VF 0" "$mac vlan 100 qos 3" "$(ip link show "$(pci_netdev "$(lab_pf 0)")" |
	sed -n 's/.*vf 0 .*link\/ether \([0-9a-f:]*\) .*vlan 100, qos 3.*/\1 vlan 100 qos 3/p')"
is vm2/net0 reserved || fail "vm2/net0: $(vnetctl list)"

note "READY came before libvirtd, without libvirt or network, and with the pool's VFs"
same "VFs of pool fast" 3 "$(cat "/sys/bus/pci/devices/$(lab_pf 1)/sriov_numvfs")"
journalctl -b -o cat -u vnetd | sed -n '/pool fast: .* has 3 VFs now/p; /^ready/q' | grep -q 'pool fast' ||
	fail "vnetd was ready before pool fast had its VFs: $(journalctl -b -o cat -u vnetd)"
vnetctl pool list
vnetctl --json pool list | jq -e '.pools[] | select(.name == "broken") | .disabled and (.problem | test("lab.conf:6"))' \
	>/dev/null || fail "pool broken is not shown with file and line"
ready=$(systemctl show -P ActiveEnterTimestampMonotonic vnetd)
libvirtd=$(systemctl show -P ExecMainStartTimestampMonotonic libvirtd)
if [ "$ready" = 0 ] || [ "$ready" -gt "$libvirtd" ]; then
	fail "vnetd ready at $ready, libvirtd started at $libvirtd"
fi
ok "vnetd ready $ready us, libvirtd started $libvirtd us after the boot"

note "the guest that starts later gets the same VF"
virsh -q start vm2
wait_for 60 is vm2/net0 in-use || fail "vm2/net0: $(vnetctl list)"
same "pool" fast "$(vnetctl --json show vm2/net0 | jq -r .attachment.pool)"
virsh -q destroy vm2
wait_for 60 is vm2/net0 reserved || fail "vm2/net0: $(vnetctl list)"
vnetctl detach vm2
virsh -q autostart --disable vm1
virsh -q destroy vm1
wait_for 60 is vm1/net0 reserved || fail "vm1/net0: $(vnetctl list)"
vnetctl detach vm1
guest_destroy vm1
guest_destroy vm2
rm -r /etc/vnetd/vnetd.conf.d
systemctl reload vnetd
same "pools" 2 "$(vnetctl --json pool list | jq '[.pools[] | select(any(.uplinks[]; .kind == "pf"))] | length')"
