#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The fault and the crash matrix over every mode but vf, which 40 and 50 have: each knob of
# the mode's plan fails and has vnetd killed, there and back, and so does the hand-over. Then
# the attachment is whole or gone, the guest has what else it had, and the command works.
# Both states of a mode are learned by one dump: no mode has checks of its own.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac=52:54:00:c1:00:11
keeper=52:54:00:c1:00:99
socket=/run/lab-vu/vu.sock
other=$(pci_netdev "$LAB_OTHER")
other_mac=$(<"/sys/class/net/$other/address")

asks_of() { # MODE
	nic=$mac
	case $1 in
	vhost-net) asks=(--mode vhost-net --pool br0 --vlan 100 -o isolated=on) ;;
	ovs) asks=(--mode vhost-net --pool ovs0 --vlan 100) ;;
	tap) asks=(--mode tap --pool br0 --trunk '100,200' --model e1000e) ;;
	macvtap) asks=(--mode macvtap --pool "$pool1" --mtu 1400) ;;
	vdpa) asks=(--mode vdpa --pool vdpasim_net) ;;
	vhost-user) asks=(--mode vhost-user -o "socket=$socket" -o role=client) ;;
	passthrough) asks=(--mode passthrough --pool "$other") nic=$other_mac ;;
	esac
	asks+=(--mac "$nic")
}

# ---- whole or gone ---------------------------------------------------------

# Of a node that is made anew the number is another each time. What the keeper has is there
# before and after. No VF is made here: of the PFs, net_state says all.
state_now() {
	{
		net_state
		(cd /run/vnetd && find attachments journal -type f)
		virsh dumpxml vm1 --inactive | grep vnetd
	} | sed -E 's,(/dev/tap|vhost-vdpa-)[0-9]+,\1N,'
}

state() { attachment_state vm1/net0; }

# What vnetd says and what libvirt says, of this one and of the other.
facts() {
	vnetctl --json list | jq -r '[.attachments[] | "\(.name) \(.state)"] | sort | join(" ")'
	virsh dumpxml vm1 | grep -oE 'ua-vnetd-[a-z0-9]+' | sort -u
}

gone() { # AFTER-WHAT
	same "$1" 'keeper in-use ua-vnetd-keeper' "$(facts | xargs)"
	state_now | diff -u "$state_dir/before" - || fail "$1: the host is not as it was"
}

whole() { # AFTER-WHAT [STATE]
	same "$1" "keeper in-use net0 ${2:-in-use} ua-vnetd-keeper ua-vnetd-net0" "$(facts | xargs)"
	state_now | diff -u "$state_dir/whole" - || fail "$1: it is not as it was asked for"
}

attaches() { vnetctl attach vm1 "${asks[@]}" --name net0 >$state_dir/out 2>&1; }
detaches() { vnetctl detach vm1 net0 >$state_dir/out 2>&1; }
said() { head -n 1 $state_dir/out | cut -c 1-250; }

be_there() {
	! is_gone || attaches || fail "$mode: attach: $(said)"
	whole "$mode"
}

# A guest that lets go late is no fault of vnetd's.
is_gone() { [ "$(state)" = none ]; }
be_gone() {
	is_gone || detaches || wait_for 60 is_gone || fail "$mode: detach: $(said)"
	gone "$mode"
}

# ---- the points ------------------------------------------------------------

fault() { echo "$1 $2" >/run/vnetd/fault; }
was_passed() { [ ! -e /run/vnetd/fault ] || fail "$mode: fault point $1 was never passed"; }

fails_there() { # KNOB
	local rc=0
	fault "knob:$1:after" EIO
	attaches || rc=$?
	was_passed "$1"
	[ $rc = 1 ] || fail "$mode: $1 failed: exit $rc"
	grep -q "set $1 of " $state_dir/out || fail "$mode: the error does not name $1: $(said)"
	gone "$mode: $1 failed"
}

# The guest has let go, and the host does not take it back: stuck, until the next detach.
is_stuck() { [ "$(state)" = stuck ]; }
fails_back() { # KNOB
	local rc=0
	fault "back:$1:before" EIO
	detaches || rc=$?
	wait_for 60 is_stuck || fail "$mode: back:$1: it is $(state): $(said)"
	was_passed "back:$1"
	vnet_exit 0 "put $1 of " list
	be_gone
}

# Detaching is so until the guest lets go: nobody asked it again.
settled() {
	became=$(state)
	case $became in
	none | in-use | detaching) ;;
	*) return 1 ;;
	esac
}
became_something() {
	wait_for 120 settled || fail "$mode: $1: still $(state): $(journalctl -u vnetd -n 20)"
	if [ "$became" = none ]; then gone "$mode: $1"; else whole "$mode: $1" "$became"; fi
}

# Its socket stays open: the next one is asked as soon as it can answer.
killed_at() { # POINT COMMAND
	local rc=0
	fault "$1" kill
	"$2" || rc=$?
	was_passed "$1"
	[ $rc = 3 ] || fail "$mode: $1: vnetctl does not say that the daemon went: exit $rc: $(said)"
	became_something "killed at $1"
}

# A hand-over that fails is whole or gone, by what the guest has.
fails_over() { # POINT
	local rc=0
	fault "$1" EIO
	attaches || rc=$?
	was_passed "$1"
	became_something "$1 failed: exit $rc"
}

turn=0
matrix() { # MODE [KNOB...: these of its plan alone]
	local knob knobs start
	start=$(now)
	mode=$1
	asks_of "$mode"
	shift
	knobs=$(vnetctl --json plan attach vm1 "${asks[@]}" --name net0 |
		jq -r '.steps[].knob' | uniq | xargs)
	note "$mode: ${knobs:-no knobs}"
	# shellcheck disable=SC2086 # words
	[ $# -gt 0 ] || set -- $knobs
	state_now >"$state_dir/before"
	attaches || fail "$mode: attach: $(said)"
	same "$mode" in-use "$(state)"
	state_now >"$state_dir/whole"
	killed_at libvirt:detach:before detaches
	be_gone
	for knob; do
		fails_there "$knob"
		killed_at "knob:$knob:set" attaches
		killed_at "knob:$knob:after" attaches
		be_there
		# By turns: both ways end in the same code.
		if [ $((turn++ % 2)) = 0 ]; then
			fails_back "$knob"
		else
			killed_at "back:$knob:after" detaches
			be_gone
		fi
	done
	fails_over handover:before
	killed_at libvirt:attach:before attaches
	fails_over libvirt:attach:after
	be_gone
	killed_at handover:after attaches
	be_gone
	guest_mark vm1
	guest_ping_wait vm1 $keeper world
	printf 'time: %s: %s s\n' "$mode" "$(since "$start")"
}

# ---- a host and a guest that can have each ---------------------------------

ip link set "$pool1" up
modprobe -a vhost_vdpa vdpa_sim_net
bridge_up br0
mkdir -p "${socket%/*}"
chmod 777 "${socket%/*}" # QEMU is another user
use_test_build
guest_define vm1 64 shared
guest_start vm1
guest_ready vm1 300
vnet attach vm1 --mode vhost-net --pool br0 --name keeper --mac $keeper
guest_nic_wait vm1 $keeper
guest_ping_wait vm1 $keeper world

matrix vdpa
matrix passthrough
matrix vhost-net
matrix tap bridge-port # its tap is as that one
matrix macvtap macvtap net-mtu
testpmd_up $socket server
chmod 777 $socket
matrix vhost-user
testpmd_down
ovs_up ovs0
matrix ovs ovs-port
use_installed_build
guest_destroy vm1
ovs_down ovs0
bridge_down br0
rm -r "${socket%/*}"
