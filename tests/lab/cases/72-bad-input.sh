#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the real kernel and libvirt make of bad input: a guest without room, PFs that are down or
# without driver, MACs and VLANs set by others, state files that make no sense under a guest.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac=52:54:00:cc:00:21
daemon_pid() { systemctl show -P MainPID vnetd; }
is() { [ "$(attachment_state "$1")" = "$2" ]; }
becomes() { wait_for 60 is "$1" "$2" || fail "$1 does not become $2: $(vnetctl list)"; }
flags() { echo $(($(cat /sys/class/net/"$1"/flags) & 1)); }

# All that a refused request may not change.
all_of_it() {
	for pf in $LAB_PFS; do
		if pci_netdev "$pf" >/dev/null; then pf_state "$pf"; else echo "$pf has no interface"; fi
	done
	(cd /run/vnetd && find attachments journal pools -printf '%p %y\n' 2>/dev/null && cat pools/*.json 2>/dev/null) | sort
	for guest in $(virsh list --all --name | sort); do
		virsh dumpxml "$guest"
		virsh dumpxml "$guest" --inactive
	done
	echo "vnetd $(daemon_pid)"
}
remember() { all_of_it >$state_dir/was.all; }
unchanged() { # WHAT
	all_of_it >$state_dir/is.all
	diff -u $state_dir/was.all $state_dir/is.all || fail "something has changed: $1"
	ok "nothing has changed: $1"
}

world_up
ip link set "$pool0" up
guest_define vm1
guest_start vm1
GUEST_PORTS=1 guest_define full
virsh -q start full --paused # it need not do anything, only have no room
guest_ready vm1
vnet attach vm1 --live --mode vf --pool "$pool0" --mac $mac
guest_nic_wait vm1 $mac
guest_ping_wait vm1 $mac

note "a guest without a free PCIe slot: said, with what to do; nothing of it stays in either XML"
rng="<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
for ((i = 0; i < 32; i++)); do
	text=$(virsh attach-device full /dev/stdin --live <<<"$rng" 2>&1) || break
done
grep -q 'No more available PCI slots' <<<"$text" || fail "its ports cannot be filled: $text"
remember
for scope in --live ''; do
	# shellcheck disable=SC2086 # none, or one word
	vnet_exit 1 'attach full/net0: .*No more available PCI slots.*pcie-root-port' \
		attach full --mode vf --pool "$pool0" $scope
	unchanged "a guest without room (${scope:-both})"
done
# Into the configuration alone libvirt adds a port by itself, or says the same.
if vnetctl attach full --mode vf --pool "$pool0" --config >$state_dir/full 2>&1; then
	becomes full/net0 reserved
	vnet detach full/net0
	becomes full/net0 none
else
	grep -q 'No more available PCI slots.*pcie-root-port' $state_dir/full || fail "$(cat $state_dir/full)"
	unchanged "a guest without room (--config)"
fi
if virsh dumpxml full --inactive | grep -i vnetd; then fail "something of it stays in the configuration"; fi
guest_destroy full

note "a MAC and a VLAN that somebody set by hand"
remember
ip link set "$pool0" vf 5 mac 52:54:00:cc:00:25
vnet_exit 1 'MAC 52:54:00:cc:00:25 is taken: VF 5' attach vm1 --mode vf --pool "$pool0" --mac 52:54:00:CC:00:25
vnet_exit 1 "MAC $mac is taken" attach vm1 --mode vf --pool "$pool0" --mac $mac
vnet_exit 1 'is taken' attach vm1 --mode vf --pool "$pool0" --mac "$(cat /sys/class/net/"$pool0"/address)"
ip link set "$pool0" vf 5 mac 00:00:00:00:00:00
unchanged "MACs"
vnet_exit 2 'from 1 to 4094' attach vm1 --mode vf --pool "$pool0" --vlan 4095
if ip link set "$pool0" vf 5 vlan 4095; then
	vnet_exit 0 '4095' --json inventory
	ip link set "$pool0" vf 5 vlan 0
fi
unchanged "VLANs"

note "state files that are torn, empty or newer, while the guest holds its VF: it keeps its NIC"
uuid=$(virsh domuuid vm1 | head -n 1)
held=$(vnetctl --json show vm1/net0 | jq -r .attachment.vf)
attachment=attachments/$uuid.net0.json journal=journal/$uuid.net0 mark=pools/$pf0.json
spoil() { # FILE HOW
	case $2 in
	torn) truncate -s $(($(stat -c %s "/run/vnetd/$1") / 2)) "/run/vnetd/$1" ;;
	empty) : >"/run/vnetd/$1" ;;
	newer) sed -i '0,/"version": *1/s//"version": 2/' "/run/vnetd/$1" ;;
	esac
}
cp "/run/vnetd/$mark" $state_dir/mark
for how in torn empty newer; do
	systemctl stop vnetd.socket vnetd
	cp $state_dir/mark "/run/vnetd/$mark" # one that was moved aside is not written anew
	find /run/vnetd -name '*.unreadable' -delete
	host_state >$state_dir/files.host
	for file in "$attachment" "$journal" "$mark"; do
		spoil "$file" $how
	done
	systemctl start vnetd.socket
	vnet_exit 0 '' list
	becomes vm1/net0 in-use
	same "$how: VF" "$held" "$(vnetctl --json show vm1/net0 | jq -r .attachment.vf)"
	same "$how: driver" vfio-pci "$(pci_driver "$held")"
	for file in "$attachment" "$journal" "$mark"; do
		[ -e "/run/vnetd/$file.unreadable" ] || fail "$how: $file is not kept aside"
	done
	host_state | diff -u $state_dir/files.host - || fail "$how: something was written to the host"
	pid=$(daemon_pid)
	guest_mark vm1
	guest_ping_wait vm1 $mac
	same "$how: the same vnetd" "$pid" "$(daemon_pid)"
done
guest_mark vm1
vnet detach vm1/net0
guest_nic_gone vm1 $mac
same "driver" none "$(pci_driver "$held")"
find /run/vnetd -name '*.unreadable' -delete

note "the PF is down, its VFs in no use: it is brought up"
ip link set "$pool0" down
guest_mark vm1
vnet attach vm1 --live --mode vf --pool "$pool0" --mac $mac
same "PF up" 1 "$(flags "$pool0")"
guest_nic_wait vm1 $mac
guest_ping_wait vm1 $mac
guest_mark vm1
vnet detach vm1/net0
guest_nic_gone vm1 $mac

note "a PF without its driver gives no VF, and says so; who has a VF of it reserved does not start"
guest_define off
vnet attach off --mode vf --pool "$pool1"
becomes off/net0 reserved
echo "$pf1" >/sys/bus/pci/drivers/igb/unbind
remember
no_driver="$pf1 .*has no driver, .*only with its network driver"
vnet_exit 4 "could use: $no_driver" attach vm1 --mode vf --pool "$pf1"
vnet_exit 1 "no pool $pool1" attach vm1 --mode vf --pool "$pool1"
vnet_exit 0 "passthrough .*$pf1" why vm1 --pool "$pf1"
if text=$(virsh start off 2>&1); then fail "off starts: $text"; fi
same "lines of the hook" 1 "$(grep -cE "net0: its PF gives no VFs: $no_driver" <<<"$text")"
same "off" "shut off" "$(virsh domstate off | head -n 1)"
becomes off/net0 reserved
unchanged "a PF without driver"
echo "$pf1" >/sys/bus/pci/drivers/igb/bind
wait_for 30 pci_netdev "$pf1" || fail "$pf1 has no interface again"
wait_for 30 test -e "/sys/class/net/$pool1" || fail "$pf1 has another name now: $(pci_netdev "$pf1")"
virsh -q start off
becomes off/net0 in-use
guest_destroy off
wait_for 60 all_given_back || fail "attachments are left: $(vnetctl list)"
vfs_remove "$pf1"
guest_destroy vm1
vfs_remove "$pf0"
