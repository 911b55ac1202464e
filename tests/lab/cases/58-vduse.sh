#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mode vdpa on the kernel that users run, over VDUSE: live and at a start, QEMU confined
# by AppArmor, with and without the rule that is installed for it; and what becomes of it
# without a program that offers the device, and when that one dies.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

[ "$LAB_KERNEL" = stock ] || skip "the lab's own kernel has no VDUSE: run --kernel stock"
mac=52:54:00:dd:00:01 # of vduse-net's devices: VDUSE takes none
server_log=$state_dir/vduse
rule=/etc/apparmor.d/abstractions/libvirt-qemu.d/vnetd

# The vDPA device that vnetd will make for a guest.
vdpa_name() { # GUEST
	vnetctl --json plan attach "$1" --mode vdpa --pool vduse | jq -r '.steps[] | select(.knob == "vdpa").object'
}

server_up() { # NAME
	: >"$server_log"
	/lab/files/vduse-net "$1" >>"$server_log" 2>&1 &
	server=$!
	wait_for 20 grep -q ready "$server_log" || fail "no VDUSE device $1: $(<"$server_log")"
}

# It fails unless the vDPA device is gone.
server_down() {
	local rc=0
	kill "$server"
	wait "$server" || rc=$?
	same "exit of the program" 0 "$rc"
	same "VDUSE devices" control "$(ls /sys/class/vduse)"
}

# The guest has not even pinged when it is asked to let go, so that may take longer than
# vnetctl waits; vnetd goes on with it.
detach() { # GUEST
	timed "detach $1" vnetctl detach "$1" || note "it takes longer"
	wait_for 120 all_given_back || fail "attachments stay: $(vnetctl list)"
	guest_clean "$1"
	back_as before
}

# The guest's profile, from its files and the rule as they are now.
profile_anew() { apparmor_parser -r "/etc/apparmor.d/libvirt/libvirt-$(virsh domuuid "$1" | head -n 1)"; }

modprobe vduse
# Nothing announces a management device.
is_known() { vnetctl --json inventory | jq -e '.vdpaManagementDevices[] | select(.name == "vduse")'; }
wait_for 60 is_known || fail "vduse is not in the inventory"
guest_define vm1
guest_start vm1
guest_ready vm1
keep before
dev=$(vdpa_name vm1)
[[ $dev == vn* ]] || fail "the plan names no device: $dev"
uuid=$(virsh domuuid vm1 | head -n 1)

note "no program offers such a device: that is told, and nothing is left"
vnet_exit 1 "vDPA device $dev: no program offers a VDUSE device of this name" attach vm1 --mode vdpa --pool vduse
same "attachments" 0 "$(vnetctl --json list | jq '.attachments | length')"
guest_clean vm1
back_as before

note "live, QEMU being confined"
server_up "$dev"
attach() { # GUEST ARG...
	guest_mark "$1"
	timed "attach $*" vnetctl attach "$@" --mode vdpa --pool vduse
	same "state" in-use "$(attachment_state "$1/net0")"
}
attach vm1
guest_nic_wait vm1 $mac
if [ "$LAB_APPARMOR" = 1 ]; then
	same "QEMU's profile" "libvirt-$uuid (enforce)" "$(<"/proc/$(qemu_pid vm1)/attr/current")"
fi
vnet_exit 0 "^vm1/net0 +in-use +vdpa" list
vnet_exit 0 'handover +fd-by-libvirt' show vm1/net0
same "the devices" "$dev vhost_vdpa" "$(cd /sys/bus/vdpa/devices && for d in *; do
	echo "$d $(basename "$(readlink "$d/driver")")"; done)"
same "in JSON" "in-use vdpa vduse chardev fd-by-libvirt" \
	"$(vnetctl --json show vm1/net0 | jq -r '.attachment | "\(.state) \(.mode) \(.uplink) \(.kind) \(.handover)"')"
same "made of" "vduse vhost_vdpa" "$(vnetctl --json inventory |
	jq -r --arg d "$dev" '.vdpa[] | select(.name == $d) | "\(.managementDevice) \(.driver)"')"
same "the link" "/dev/$(basename "/sys/bus/vdpa/devices/$dev"/vhost-vdpa-*)" \
	"$(readlink -f "/run/vnetd/vdpa/$uuid.net0")"
holds vm1 vhost-vdpa:2 # libvirt's in a set, and QEMU's duplicate
systemctl restart vnetd
same "state after a restart" in-use "$(attachment_state vm1/net0)"
guest_mark vm1
detach vm1
guest_nic_gone vm1 $mac

if [ "$LAB_APPARMOR" = 1 ]; then
	note "without the rule QEMU does not get the node, and nothing is left"
	mv "$rule" "$state_dir/rule"
	profile_anew vm1
	vnet_exit 1 'AppArmor.*libvirt-qemu.d/vnetd' attach vm1 --mode vdpa --pool vduse
	same "attachments" 0 "$(vnetctl --json list | jq '.attachments | length')"
	guest_clean vm1
	back_as before
	mv "$state_dir/rule" "$rule"
	profile_anew vm1
fi

note "the program dies while the guest has the device: it goes back all the same"
echo 3 >"/sys/class/vduse/$dev/msg_timeout"
attach vm1 --live
guest_nic_wait vm1 $mac
kill -KILL "$server"
wait "$server" 2>/dev/null || :
detach vm1

note "one that is started anew makes the device anew; the guest's end gives it back"
server_up "$dev"
attach vm1 --live
virsh -q destroy vm1
wait_for 60 all_given_back || fail "attachments stay: $(vnetctl list)"
back_as before
server_down
guest_destroy vm1

note "at a start: refused without the program, made with it, gone after the end"
guest_define vm2
vnet attach vm2 --mode vdpa --pool vduse
same "state" reserved "$(attachment_state vm2/net0)"
# Of a guest that does not run the plan tells no steps: the refusal names the device.
refused "vDPA device vn[0-9a-f]{11}: no program offers a VDUSE device of this name" virsh start vm2
dev=$(journalctl -b -u vnetd -o cat | grep -o 'vDPA device vn[0-9a-f]*: no program' | tail -n 1 | cut -d' ' -f3)
dev=${dev%:}
server_up "$dev"
GUEST_COLD=1 guest_start vm2
is_state() { [ "$(attachment_state vm2/net0)" = "$1" ]; }
wait_for 60 is_state in-use || fail "vm2/net0: $(vnetctl list)"
holds vm2 vhost-vdpa:2
virsh -q destroy vm2
wait_for 60 is_state reserved || fail "vm2/net0: $(vnetctl list)"
vnet detach vm2
guest_clean vm2
back_as before
server_down
guest_destroy vm2
modprobe -r vduse
