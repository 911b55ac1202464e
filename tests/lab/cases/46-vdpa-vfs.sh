#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mode vdpa on VFs: a VF of the pool's PF is bound to the driver that makes it a management
# device (tests/lab/kernel/vf_vdpa.c), that one is waited for, a device made of it; and all
# of that goes back. No packet passes: who gets what, and when, is what is looked at.
# shellcheck disable=SC2034 # PLAIN_PREFIX is plain_start's
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

# igbvf takes these VFs too, and was there first.
modprobe -a igbvf vhost_vdpa
# By physical addresses, as hardware has it, so that memory is pinned: by virtual ones it
# cannot read the rings of a guest here ("vringh: Failed to access avail idx").
modprobe -r vdpa_sim_net vdpa_sim
modprobe vdpa_sim use_va=0
modprobe vf_vdpa
delay() { echo "$1" >/sys/module/vf_vdpa/parameters/delay_ms; }
mac() { echo "52:54:00:c6:00:1$1"; }
conf() { # VDPA-DRIVER
	printf '[pool offload]\nuplink = %s\nmodes = vdpa\nvdpa-driver = %s\n' "$pf0" "$1" \
		>/etc/vnetd/vnetd.conf.d/lab.conf
	vnetctl reload
}
vf_mac() { ip -j link show "$pool0" | jq -r ".[0].vfinfo_list[$1].address"; }
# Everything that makes a VF somebody's: driver, override, MAC, vDPA device and its driver.
vf_is() { # INDEX
	local vf device=none driver=none dev
	vf=$(vf_address "$pf0" "$1")
	dev=$(vdpa -j dev show | jq -r --arg m "pci/$vf" '.dev | to_entries[] | select(.value.mgmtdev == $m).key')
	[ -z "$dev" ] || device=made
	[ -z "$dev" ] || driver=$(basename "$(readlink "/sys/bus/vdpa/devices/$dev/driver")")
	echo "$(pci_driver "$vf") $(cat "/sys/bus/pci/devices/$vf/driver_override") $(vf_mac "$1") $device $driver"
}
idle="none (null) 00:00:00:00:00:00 none none"
whole() { echo "vf_vdpa (null) $1 made vhost_vdpa"; } # MAC
settled() { [[ $(attachment_state vm1/net0) =~ ^(none|in-use)$ ]]; }
becomes() { wait_for 60 is "$1" || fail "vm1/net0 does not become $1: $(vnetctl list)"; }
is() { [ "$(attachment_state vm1/net0)" = "$1" ]; }

mkdir -p /etc/vnetd/vnetd.conf.d
GUEST_VCPUS=2 guest_define vm1
guest_start vm1
guest_ready vm1

note "without a word of the pool vnetd cannot know the driver"
vnet_exit 4 'has nothing that mode vdpa could use' attach vm1 --mode vdpa --pool "$pool0"
same "VFs" 0 "$(cat "/sys/bus/pci/devices/$pf0/sriov_numvfs")"

note "VFs are made, the first becomes a management device, the guest gets its device"
conf vf_vdpa
vnet_exit 0 'vf_vdpa' plan attach vm1 --pool offload --mac "$(mac 0)"
attach_live vm1 "$(mac 0)" --pool offload --mtu 1400 --queues 2
guest_wait vm1 "^guest: nic .*$(mac 0) .*queues 2 "
same "VFs" 7 "$(cat "/sys/bus/pci/devices/$pf0/sriov_numvfs")"
same "VF 0" "$(whole "$(mac 0)")" "$(vf_is 0)"
same "VF 1" "$idle" "$(vf_is 1)"
vf=$(vf_address "$pf0" 0)
same "VF by show" "$vf 0" "$(field vm1/net0 vf) $(field vm1/net0 vfIndex)"
dev=$(vdpa -j dev show | jq -r '.dev | keys[0]')
same "device" "$(mac 0) 1400 2" \
	"$(vdpa -j dev config show "$dev" | jq -r '.config[] | "\(.mac) \(.mtu) \(.max_vq_pairs)"')"
same "link" "/dev/$(basename "/sys/bus/vdpa/devices/$dev"/vhost-vdpa-*)" \
	"$(readlink -f "/run/vnetd/vdpa/$(virsh domuuid vm1 | head -n 1).net0")"
holds vm1 vhost-vdpa:2 # libvirt's in a set, and QEMU's duplicate
same "handover" fd-by-libvirt "$(field vm1/net0 handover)"
vnet list
vnet show vm1/net0

note "the next one gets the next VF; this one is nobody else's"
vnet_exit 0 "$vf is in use: attachment vm1/net0 has it" why vm1 --pool offload
vnet_exit 4 "$vf" attach vm1 --name net2 --mode vdpa --pool "pci/$vf"
vnet attach vm1 --name net1 --pool offload --mac "$(mac 1)"
guest_nic_wait vm1 "$(mac 1)"
same "VF 1" "$(whole "$(mac 1)")" "$(vf_is 1)"
vnet_exit 1 'attachment vm1/net0' bind "$vf" --driver vfio-pci

note "vnetd is killed and comes back"
pid=$(systemctl show -P MainPID vnetd)
systemctl kill -s KILL vnetd
wait_for 30 bash -c "[ \"\$(systemctl show -P MainPID vnetd)\" != $pid ] && vnetctl list" ||
	fail "vnetd did not come back"
becomes in-use
guest_mark vm1
vnet detach vm1 net1
guest_nic_gone vm1 "$(mac 1)"
same "VF 1" "$idle" "$(vf_is 1)"
same "VF 0" "$(whole "$(mac 0)")" "$(vf_is 0)"
vnet detach vm1 net0
guest_nic_gone vm1 "$(mac 0)"
same "VF 0" "$idle" "$(vf_is 0)"
guest_clean vm1
keep made

note "the guest's end takes it away; its next start has it again, though no VF shows the driver"
attach_live vm1 "$(mac 2)" --pool offload
virsh -q destroy vm1
becomes reserved
same "VF 0" "$idle" "$(vf_is 0)"
timed "virsh start" virsh -q start vm1
becomes in-use
same "VF 0" "$(whole "$(mac 2)")" "$(vf_is 0)"
virsh -q destroy vm1
becomes reserved
vnet detach vm1
back_as made
guest_start vm1
guest_ready vm1

note "a management device that takes its time; one that never comes; a driver that makes none"
delay 2500
attach_live vm1 "$(mac 3)" --pool offload
detach_live vm1 "$(mac 3)" made
late="vDPA management device pci/$vf is not there, and did not come within [0-9]+ s"
delay -1
vnet_exit 1 "$late" attach vm1 --pool offload
back_as made
delay 500
conf igbvf
vnet_exit 1 "$late" attach vm1 --pool offload
back_as made
conf vf_vdpa
rmmod vf_vdpa
vnet_exit 1 'driver vf_vdpa is not loaded: modprobe vf_vdpa' attach vm1 --pool offload
back_as made
guest_clean vm1
modprobe vf_vdpa

note "killed between the steps: whole or gone after the restart"
use_test_build
for point in knob:driver:after knob:vdpa:set knob:vdpa-driver:before handover:after back:vdpa:before back:driver:before; do
	pid=$(systemctl show -P MainPID vnetd)
	echo "$point kill" >/run/vnetd/fault
	vnetctl attach vm1 --name net0 --pool offload --mac "$(mac 4)" >/dev/null 2>&1 || :
	[[ $point != back:* ]] || vnetctl detach vm1 net0 >/dev/null 2>&1 || :
	[ ! -e /run/vnetd/fault ] || fail "fault point $point was never passed"
	wait_for 30 bash -c "[ \"\$(systemctl show -P MainPID vnetd)\" != $pid ] && vnetctl list" ||
		fail "$point: vnetd did not come back"
	wait_for 60 settled || fail "$point: $(attachment_state vm1/net0)"
	if is in-use; then
		same "$point" "$(whole "$(mac 4)")" "$(vf_is 0)"
		vnet detach vm1 net0
	fi
	same "$point: VF 0" "$idle" "$(vf_is 0)"
	guest_clean vm1
done
use_installed_build
back_as made
virsh -q destroy vm1 # its memory is p1's

note "a QEMU without libvirt gets it by its descriptor; its end takes it back"
# shellcheck disable=SC2207 # words
PLAIN_PREFIX=(vnetctl exec p1 --pool offload --mac "$(mac 5)" --)
plain_start p1 @net0
PLAIN_PREFIX=()
p1_has_it() { [ "$(device_fds "$(qemu_pid p1)")" = vhost-vdpa:1 ]; }
wait_for 60 p1_has_it || fail "p1 has $(device_fds "$(qemu_pid p1)") open: $(cat "$lab_guests/p1.qemu")"
same "handover" fd-by-vnetd "$(field p1/net0 handover)"
same "VF 0" "$(whole "$(mac 5)")" "$(vf_is 0)"
kill -KILL "$(qemu_pid p1)"
gave_back p1 made
plain_stop p1

note "VFs that the administrator has on the driver: free, told by them, and left on it"
vfs_remove "$pf0"
vfs_create "$pf0" 5
vf=$(vf_address "$pf0" 3)
pci_bind "$vf" vf_vdpa
echo >"/sys/bus/pci/devices/$vf/driver_override"
has_mgmtdev() { vdpa -j mgmtdev show | jq -e --arg m "pci/$vf" '.mgmtdev[$m]'; }
wait_for 30 has_mgmtdev || fail "no management device of $vf"
printf '[pool offload]\nuplink = %s\nmodes = vdpa\nrange = 3-4\n' "$pf0" >/etc/vnetd/vnetd.conf.d/lab.conf
vnetctl reload
keep bound
vnet_exit 0 "$vf can make a vDPA device" why vm1 --pool offload
vnet_exit 0 'p1/net0' exec p1 --pool offload --mac "$(mac 6)" -- vnetctl list
gave_back p1 bound
same "driver of $vf" vf_vdpa "$(pci_driver "$vf")"

guest_destroy vm1
rm -r /etc/vnetd/vnetd.conf.d
vnetctl reload
vfs_remove "$pf0"
rmmod vf_vdpa
