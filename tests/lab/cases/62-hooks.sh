#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Cold starts: a shut-off guest is given a NIC, libvirt's hook has it made when the guest
# starts and taken back when it ends, whichever way. Without vnetd it does not start.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac=52:54:00:ee:00:11
world_up
ip link set "$pool0" down
GUEST_ON_REBOOT=restart guest_define vm1

is() { [ "$(attachment_state vm1/net0)" = "$1" ]; }
becomes() { wait_for 60 is "$1" || fail "vm1/net0 does not become $1: $(vnetctl list)"; }
vf_mac() { ip link show "$pool0" | sed -n 's/.*vf 0 .*link\/ether \([0-9a-f:]*\) .*/\1/p'; }

idle_and_reserved() { # WHY
	becomes reserved
	same "$1: driver of $vf" none "$(pci_driver "$vf")"
	same "$1: MAC of VF 0" 00:00:00:00:00:00 "$(vf_mac)"
	ls /run/vnetd/attachments/* 2>/dev/null && fail "$1: a state file is left"
	back_as reserved
}

start_refused() { # PATTERN
	local text
	if text=$(virsh start vm1 2>&1); then fail "vm1 starts: $text"; fi
	grep -qE -- "$1" <<<"$text" || fail "virsh start says nothing like /$1/: $text"
	ok "virsh start: $text"
	same "vm1" "shut off" "$(virsh domstate vm1 | head -n 1)"
}

note "shut off: reserved in its own XML, the VF is not touched yet"
vnet attach vm1 --mode vf --pool "$pool0" --mac $mac --vlan 100
becomes reserved
vf=$(vnetctl --json show vm1/net0 | jq -r .attachment.vf)
same "driver" none "$(pci_driver "$vf")"
virsh dumpxml vm1 --inactive | grep -q ua-vnetd-net0 || fail "the guest's XML has it not"
systemctl restart vnetd
becomes reserved
keep reserved

note "virsh start: the hook, the VF, the guest that pings in its VLAN"
ip link set "$pool0" down
timed "virsh start" virsh -q start vm1
becomes in-use
same "driver" vfio-pci "$(pci_driver "$vf")"
same "MAC" $mac "$(vf_mac)"
guest_nic_wait vm1 $mac 240
guest_ping_wait vm1 $mac world100 240

note "libvirtd and udevd restart under it: the reconnect hook keeps out of the way"
for service in libvirtd systemd-udevd vnetd libvirtd; do
	systemctl restart $service
	wait_for 60 virsh -q list || fail "libvirtd does not come back"
	becomes in-use
done
same "vm1" running "$(virsh domstate vm1 | head -n 1)"
guest_mark vm1
guest_ping_wait vm1 $mac world100

note "suspend, resume, reset: nothing changes"
virsh -q suspend vm1
becomes in-use
virsh -q resume vm1
guest_mark vm1
guest_ping_wait vm1 $mac world100
virsh -q reset vm1
becomes in-use
guest_mark vm1
guest_nic_wait vm1 $mac 240
guest_ping_wait vm1 $mac world100
same "state" in-use "$(attachment_state vm1/net0)"

note "save and managed save: QEMU forbids it with a VF; nothing is lost by trying"
for how in "save vm1 /var/tmp/vm1.save" "managedsave vm1"; do
	# shellcheck disable=SC2086 # words
	refused 'VFIO|migrat|hostdev' virsh $how
	becomes in-use
	same "vm1" running "$(virsh domstate vm1 | head -n 1)"
done
guest_mark vm1
guest_ping_wait vm1 $mac world100

note "kill -9 of QEMU: taken back, and still reserved"
pkill -9 -f 'guest=vm1,' || fail "no QEMU of vm1"
idle_and_reserved "kill -9"

note "what somebody else holds is not taken; virsh start says so in a line"
pci_bind "$vf" vfio-pci
/lab/files/vfio-holder group "$vf" >$state_dir/holder &
holder=$!
wait_for 20 grep -q held $state_dir/holder || fail "vfio-holder did not get $vf"
host_state >$state_dir/held.host
start_refused "vnetd: guest vm1: net0: $vf is in use: .*vfio-holder"
host_state | diff -u $state_dir/held.host - || fail "something held was touched"
kill $holder
wait $holder 2>/dev/null || :
echo "$vf" >/sys/bus/pci/drivers/vfio-pci/unbind
echo >"/sys/bus/pci/devices/$vf/driver_override"

note "vnetd away: its socket starts it; without that the guest does not start, others do"
systemctl stop vnetd
GUEST_COLD=1 guest_start vm1
becomes in-use
virsh -q destroy vm1
idle_and_reserved "virsh destroy"
systemctl stop vnetd.socket vnetd
start_refused 'vnetd: cannot reach vnetd at /run/vnetd/io.vnetd.*systemctl status'
guest_define plain
guest_start plain
guest_destroy plain
systemctl start vnetd.socket
becomes reserved
back_as reserved

note "with the NIC taken off it saves and restores; the NIC comes back where it was"
GUEST_COLD=1 guest_start vm1
guest_ready vm1
becomes in-use
vnet detach vm1 --live
becomes reserved
virsh -q save vm1 /var/tmp/vm1.save
virsh -q restore /var/tmp/vm1.save
vnet attach vm1 --live --mode vf --pool "$pool0" --name again --mac 52:54:00:ee:00:12
guest_mark vm1
guest_ping_wait vm1 52:54:00:ee:00:12
vnet detach vm1 again
virsh -q managedsave vm1
virsh -q start vm1
same "a managed save without the NIC starts without it" reserved "$(attachment_state vm1/net0)"
virsh -q destroy vm1
idle_and_reserved "destroy after a managed save"

note "taken out of the configuration: nothing of it is left"
vnet detach vm1
same "state" none "$(attachment_state vm1/net0)"
if virsh dumpxml vm1 --inactive | grep -q vnetd; then fail "something stays in its XML"; fi

note "a hook that comes new is seen by a running libvirtd that is told to reload"
mv /etc/libvirt/hooks/qemu.d/vnetd /run/lab/
systemctl restart libvirtd
vnet attach vm1 --mode vf --pool "$pool0" --mac $mac
if virsh -q start vm1 2>/dev/null; then fail "vm1 starts, though nobody made its VF"; fi
install -D -m 755 /run/lab/vnetd /etc/libvirt/hooks/qemu.d/vnetd
systemctl reload libvirtd
sleep 1
virsh -q start vm1
becomes in-use
virsh -q destroy vm1
becomes reserved
vnet detach vm1
guest_destroy vm1
vfs_remove "$pf0"
