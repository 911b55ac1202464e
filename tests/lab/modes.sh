#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the modes other than vf need around them, on top of lib.sh: switches with a peer
# in every VLAN, DPDK's testpmd, a QEMU without libvirt, and looks into /proc and sysfs.
# It needs nothing of vnetd.
# shellcheck disable=SC2034,SC1091 # used by those who source it
. "${LAB_DIR:?run me by tests/lab/run}/lib.sh"

# ---- peers and switches ------------------------------------------------------

# NAME's own outside world: a veth whose far end is the peer untagged in netns NAME, in
# VLAN 100 in NAME.100, in VLAN 200 in NAME.200; who answers is told by the guest's word
# "peer", as on the wire. The near end is NAMEp.
peer_up() { # NAME [MTU]
	local mtu=${2:-1500} vlan
	ip netns add "$1"
	ip link add "${1}p" mtu "$mtu" type veth \
		peer name peer address 52:54:00:99:00:fe mtu "$mtu" netns "$1"
	ip -n "$1" addr add $lab_peer/24 dev peer
	ip -n "$1" link set peer up
	for vlan in 100 200; do
		ip netns add "$1.$vlan"
		ip -n "$1" link add link peer name "v$vlan" address "52:54:00:99:0${vlan%00}:fe" \
			type vlan id $vlan
		ip -n "$1" link set "v$vlan" netns "$1.$vlan"
		ip -n "$1.$vlan" addr add $lab_peer/24 dev "v$vlan"
		ip -n "$1.$vlan" link set "v$vlan" up
	done
	ip link set "${1}p" up
}

peer_down() { # NAME
	local netns
	ip link del "${1}p" 2>/dev/null || :
	for netns in "$1" "$1.100" "$1.200"; do
		ip netns del "$netns" 2>/dev/null || :
	done
}

# A Linux bridge with VLAN filtering; its peer's port carries all three.
bridge_up() { # NAME [MTU]
	peer_up "$@"
	ip link add "$1" mtu "${2:-1500}" type bridge vlan_filtering 1 forward_delay 0 mcast_snooping 0
	ip link set "${1}p" master "$1"
	bridge vlan add vid 100 dev "${1}p"
	bridge vlan add vid 200 dev "${1}p"
	ip link set "$1" up
}

bridge_down() { # NAME
	ip link del "$1" 2>/dev/null || :
	peer_down "$1"
}

ovs() { ovs-vsctl --timeout=60 "$@"; }

# The same on Open vSwitch, started where it is not. A port without a tag carries all VLANs.
ovs_up() { # NAME
	modprobe openvswitch
	systemctl -q is-active ovs-vswitchd || timed "Open vSwitch starts" systemctl start openvswitch-switch
	peer_up "$1"
	ovs add-br "$1" -- add-port "$1" "${1}p"
	ip link set "$1" up
}

ovs_down() { # NAME
	ovs --if-exists del-br "$1" || :
	peer_down "$1"
}

# The guest hears this peer through the NIC, and for some time no other one.
only_peer() { # NAME MAC PEER
	guest_mark "$1"
	guest_ping_wait "$1" "$2" "$3"
	sleep 4
	if guest_said "$1" | grep -E "^guest: ping $2 .* ok peer " | grep -vE " peer $3\$"; then
		fail "$1: somebody else than $3 answers"
	fi
	ok "$1: only $3 answers"
}

# Every receive queue of the NIC has interrupted the guest. Its pings go out in turn from
# each of its CPUs, so that takes two of them.
guest_queues_wait() { # NAME MAC COUNT [SECONDS]
	guest_wait "$1" "^guest: queues $2 irqs( [1-9][0-9]*){$3}\$" "${4:-120}"
}

# ---- DPDK's testpmd as the other side of a vhost-user NIC ----------------------

# ROLE is testpmd's own: "server" makes the socket, "client" waits for it. It spins on a
# CPU as long as it runs: stop it soon.
testpmd_up() { # SOCKET ROLE
	local vhost="net_vhost0,iface=$1"
	[ "$2" = server ] || vhost+=,client=1
	ip netns add dpdk
	mkdir -p "$lab_images" "$(dirname "$1")"
	# It ends at the end of its input.
	[ -p "$lab_images/testpmd.in" ] || mkfifo "$lab_images/testpmd.in"
	nice -n 19 stdbuf -oL dpdk-testpmd -l 0,1 --no-huge -m 256 --no-pci --no-telemetry --file-prefix lab \
		--vdev "$vhost" --vdev net_tap0,iface=dtap0,mac=52:54:00:99:00:fe \
		-- --forward-mode=io --total-num-mbufs=2048 --disable-link-check --auto-start \
		<>"$lab_images/testpmd.in" >"$lab_guests/testpmd.qemu" 2>&1 &
	testpmd_pid=$!
	echo $testpmd_pid >"$lab_guests/testpmd.pid"
	wait_for 60 ip link show dtap0 || fail "testpmd makes no tap: $(cat "$lab_guests/testpmd.qemu")"
	wait_for 60 grep -q 'Press enter' "$lab_guests/testpmd.qemu" ||
		fail "testpmd does not start: $(cat "$lab_guests/testpmd.qemu")"
	ip link set dtap0 netns dpdk
	ip -n dpdk addr add $lab_peer/24 dev dtap0
	ip -n dpdk link set dtap0 up
	kill -0 $testpmd_pid || fail "testpmd ended: $(cat "$lab_guests/testpmd.qemu")"
}

testpmd_down() {
	kill "$testpmd_pid" 2>/dev/null || :
	wait "$testpmd_pid" 2>/dev/null || :
	rm -f "$lab_guests/testpmd.pid"
	ip netns del dpdk
}

# ---- a QEMU without libvirt ----------------------------------------------------

# plain_start NAME QEMU-ARGUMENT...: a guest like those of guest_define, without libvirt;
# guest_wait and its kin know it. PLAIN_PREFIX is what starts it (an array: vnetctl exec
# ... --), PLAIN_SMP its CPUs, PLAIN_MEMORY MiB, PLAIN_SHARED=yes for vhost-user,
# PLAIN_PORTS free root ports (p0, p1 ...) and a QMP socket NAME.qmp, PLAIN_CMDLINE more
# options of its kernel (labvlan=100: it tags what it sends).
plain_start() {
	local name=$1 memory=${PLAIN_MEMORY:-$lab_guest_memory} machine=q35 i
	local args=()
	shift
	guest_images
	rm -f "$lab_guests/$name".{console,restored,plain,qmp}
	: >"$lab_guests/$name.console"
	lab_mark["$name"]=1
	if [ -n "${PLAIN_SHARED:-}" ]; then
		args+=(-object "memory-backend-memfd,id=ram,size=${memory}M,share=on")
		machine+=,memory-backend=ram
	fi
	for ((i = 0; i < ${PLAIN_PORTS:-0}; i++)); do
		args+=(-device "pcie-root-port,id=p$i,chassis=$((i + 1)),slot=$((i + 1))")
	done
	[ -z "${PLAIN_PORTS:-}" ] || args+=(-qmp "unix:$lab_guests/$name.qmp,server=on,wait=off")
	${PLAIN_PREFIX[@]+"${PLAIN_PREFIX[@]}"} qemu-system-x86_64 -name "$name" -nodefaults \
		-no-user-config -display none -accel tcg -cpu qemu64 -machine "$machine" \
		-m "$memory" -smp "${PLAIN_SMP:-1}" -no-reboot -kernel "$lab_images/vmlinux" \
		-initrd "$lab_images/initramfs.cpio" -append "$lab_guest_cmdline ${PLAIN_CMDLINE:-}" \
		-serial "file:$lab_guests/$name.console" \
		${args[@]+"${args[@]}"} "$@" </dev/null >"$lab_guests/$name.qemu" 2>&1 &
	echo $! >"$lab_guests/$name.pid"
}

plain_stop() { # NAME: and nothing waits for it any longer
	local pid
	pid=$(cat "$lab_guests/$1.pid")
	kill "$pid" 2>/dev/null || :
	wait "$pid" 2>/dev/null || :
	rm -f "$lab_guests/$1".{pid,qmp}
}

# ---- what a process holds ------------------------------------------------------

qemu_pid() { # NAME of a guest, libvirt's or ours
	cat "$lab_guests/$1.pid" 2>/dev/null || cat "/run/libvirt/qemu/$1.pid"
}

# The device nodes that a process has open, each with how often: "iommu:1 net/tun:2".
# /dev/vfio/devices/vfio3 counts as vfio/devices, /dev/tap7 as tap, /dev/vfio/9 as vfio/group.
device_fds() { # PID
	find "/proc/$1/fd" -type l -printf '%l\n' 2>/dev/null | sed -nE '
		s,^/dev/(net/tun|vhost-net|iommu|vfio/vfio)$,\1,p
		s,^/dev/(vfio/devices|vhost-vdpa|tap)[-/a-z]*[0-9]+$,\1,p
		s,^/dev/vfio/[0-9]+$,vfio/group,p' |
		sort | uniq -c | awk '{ printf "%s%s:%s", sep, $2, $1; sep = " " } END { print "" }'
}

# One thread of QEMU for each vhost fd that is at work.
vhost_threads() { # PID
	cat "/proc/$1/task"/*/comm | grep -c '^vhost-' || :
}

plain_reset() {
	local file
	for file in "$lab_guests"/*.pid; do
		[ ! -e "$file" ] || kill -KILL "$(<"$file")" 2>/dev/null || :
		rm -f "$file"
	done
}

# Nothing of what a script of before made for itself, however it ended. No guest may run.
net_reset() {
	local name address bridge
	plain_reset
	for name in /sys/bus/vdpa/devices/*; do
		[ ! -e "$name" ] || vdpa dev del "${name##*/}"
	done
	for address in "$LAB_VPVDPA" "$LAB_OTHER"; do
		case $(pci_driver "$address") in
		vfio-pci | vp-vdpa) pci_home "$address" ;;
		esac
	done
	if [ -S /run/openvswitch/db.sock ]; then
		for bridge in $(ovs list-br); do
			ovs del-br "$bridge"
		done
	fi
	for name in $(ip -d -j link | jq -r '.[] | select(.linkinfo.info_kind |
			IN("veth", "bridge", "tun", "macvtap")) | .ifname'); do
		ip link del "$name" 2>/dev/null || :
	done
	for name in $(ip netns list | awk '$1 !~ /^world/ { print $1 }'); do
		ip netns del "$name"
	done
}

# Back to the driver that the kernel picks.
pci_home() { # ADDRESS
	local dev=/sys/bus/pci/devices/$1
	echo >"$dev/driver_override"
	[ ! -e "$dev/driver" ] || echo "$1" >"$dev/driver/unbind"
	echo "$1" >/sys/bus/pci/drivers_probe
}

# ---- the host's state ----------------------------------------------------------

# Everything of the host's network that a mode may touch, one fact a line, without what
# changes by itself (counters, carrier, indexes, timers).
net_state() {
	ip -d -j link | jq -cS '.[] | {ifname, address, mtu, up: (.flags | index("UP") != null),
		master, link, ifalias, altnames, promiscuity, kind: .linkinfo.info_kind}
		+ (.linkinfo.info_data // {} | {id, mode, vlan_filtering, vlan_default_pvid})
		+ (.linkinfo.info_slave_data // {} | {isolated, learning, hairpin})
		| with_entries(select(.value != null))' | sort
	bridge -j vlan | jq -cS '.[] | ["vlan", .ifname, .vlans]' | sort
	pci_state
	vdpa_state
	ovs_state
}

# Which driver each network function has.
pci_state() {
	local dev
	for dev in /sys/bus/pci/devices/*; do
		[[ $(<"$dev/class") == 0x02* ]] || continue
		echo "${dev##*/} driver $(pci_driver "${dev##*/}") override $(<"$dev/driver_override")"
	done
}

vdpa_state() {
	local dev node
	for dev in /sys/bus/vdpa/devices/*; do
		[ -e "$dev" ] || continue
		echo "vdpa ${dev##*/} driver $(basename "$(readlink "$dev/driver" || echo none)")"
	done
	for node in /dev/vhost-vdpa-* /dev/tap[0-9]* /dev/iommu /dev/vfio/vfio; do
		[ ! -e "$node" ] || stat -c 'node %n %U:%G %a' "$node"
	done
	[ ! -d /run/vnetd/vdpa ] || find /run/vnetd/vdpa -type l -printf 'link %P -> %l\n' | sort
}

ovs_state() {
	[ -S /run/openvswitch/db.sock ] || return 0
	ovs -f csv --no-headings --columns=name,tag,trunks,vlan_mode,external_ids list Port | sort
	ovs -f csv --no-headings --columns=name,type,mtu_request,external_ids list Interface | sort
}
