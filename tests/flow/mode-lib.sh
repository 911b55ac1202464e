#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the matrices over all modes share: a host that can serve each of them, what each is
# asked for there, and what it means that an attachment is there whole, or gone. Sourced
# after lib.sh. Both is said by the same dump of all that vnetd may touch, so no mode has
# checks of its own.
# shellcheck disable=SC2034,SC2154 # used by those who source it; lib.sh's

mac=52:54:00:aa:00:01

asks_of() { # MODE
	case $1 in
	vhost-net) asks=(--mode vhost-net --pool br0 --vlan 100 -o isolated=on --mac "$mac") ;;
	tap) asks=(--mode tap --pool br0 --trunk '10,20-30' --model e1000 --mac "$mac") ;;
	macvtap) asks=(--mode macvtap --pool enp1s0 --mtu 1400 --mac "$mac") ;;
	vdpa) asks=(--mode vdpa --pool vdpasim_net --mac "$mac") ;;
	passthrough) asks=(--mode passthrough --pool enp2s0) ;; # its MAC is its own
	ovs) asks=(--mode vhost-net --pool ovs0 --vlan 100 --mac "$mac") ;;
	esac
	attach=(attach vm1 "${asks[@]}" --name net0)
}

host_of_all_modes() {
	new_host --pfs 2 --guests 2 --pf-up 0 --bridge br0,vlan --mgmtdev vdpasim_net
}

# Knobs of the plan, a line each, and as a pattern in $knobs.
read_plan() {
	knob_list=$(vnet --json plan "${attach[@]}" | jq -r '.steps[].knob' | uniq)
	knobs=$(paste -sd'|' <<<"$knob_list")
}

# ---- whole or gone ---------------------------------------------------------

# A vDPA device that has its driver has no use for an override any more.
is_whole() {
	[ "$(state_of vm1/net0)" != none ] && guest_has vm1 net0 || return 1
	dump >"$work/is"
	cmp -s <(grep -v "$idle_override" "$work/was.whole") <(grep -v "$idle_override" "$work/is")
}
idle_override='vdpasim_net/.*/driver_override:'

# Until what QEMU does is done too.
whole() {
	wait_for 5 is_whole && return
	diff -u "$work/was.whole" "$work/is" || :
	fail "vm1/net0 is not as it was asked for"
}

gone() {
	local left
	dump >"$work/is"
	diff -u "$work/was.before" "$work/is" || fail "the host is not as it was"
	left=$(find "$run/attachments" "$run/journal" -type f 2>/dev/null) || :
	[ -z "$left" ] || fail "files are left: $left"
	is_state vm1/net0 none || fail "vm1/net0 is $(state_of vm1/net0)"
}

# The host of a mode and the two states that there are of it; vnetd runs afterwards. What
# it writes there and back is in $work/there and $work/back, a line "OP:OBJECT" each.
learn_mode() { # MODE
	mode=$1
	asks_of "$mode"
	start
	read_plan
	keep before
	: >"$host/writes.log"
	expect 0 "^vm1/net0: $([ "$mode" = ovs ] && echo vhost-net || echo "$mode") " "${attach[@]}"
	wait_for 5 is_state vm1/net0 in-use
	written there
	keep whole
	expect 0 'is detached' detach vm1
	written back
	gone
	note "$mode: $(xargs <<<"$knob_list"); $(wc -l <"$work/there") writes there, $(wc -l <"$work/back") back"
}

written() { # FILE
	awk -F'\t' '{ print $1 ":*" $2 }' "$host/writes.log" >"$work/$1"
	: >"$host/writes.log"
}

attaches() { vnet "${attach[@]}" >"$work/out" 2>"$work/err"; }
detaches() { vnet detach vm1 net0 >"$work/out" 2>"$work/err"; }

# After a kill -9: what became of it, for good.
settled() {
	vnet why vm1 >/dev/null 2>&1 || return 1
	became=$(state_of vm1/net0)
	case $became in
	none | in-use | detaching) ;;
	*) return 1 ;;
	esac
}

comes_back() {
	start
	wait_for 20 settled || fail "vm1/net0 stays $(state_of vm1/net0)"
	if [ "$became" = none ]; then gone; else whole; fi
}

was_passed() { [ ! -e "$run/fault" ] || fail "$1 was never passed"; }

# ---- Open vSwitch ----------------------------------------------------------

vsctl() { ovs-vsctl --db="unix:$work/ovs/db.sock" --no-wait --timeout=20 "$@"; }

# A real database. Nobody plays the bridge but this loop, which says that an interface has
# its port, and that the configuration was seen.
ovs_begin() {
	mkdir -p "$work/ovs"
	ovsdb-tool create "$work/ovs/conf.db" /usr/share/openvswitch/vswitch.ovsschema
	ovsdb-server --no-chdir --remote=punix:"$work/ovs/db.sock" --unixctl="$work/ovs/ctl" \
		-vconsole:off "$work/ovs/conf.db" &
	ovs_pids=$!
	wait_for 10 vsctl init || fail "ovsdb-server does not answer"
	vsctl add-br ovs0
	ovs_bridge &
	ovs_pids+=" $!"
}

ovs_bridge() {
	trap - ERR EXIT
	set +e
	local n i said
	while sleep 0.05; do
		n=$(vsctl get Open_vSwitch . next_cfg)
		[ "$n" != "$(vsctl get Open_vSwitch . cur_cfg)" ] || continue
		said=(set Open_vSwitch . cur_cfg="$n")
		for i in $(vsctl --bare --columns=_uuid find Interface 'type=""'); do
			said+=(-- set Interface "$i" ofport=5)
		done
		vsctl "${said[@]}"
	done 2>/dev/null
}

ovs_end() {
	# shellcheck disable=SC2086 # words
	kill $ovs_pids 2>/dev/null || :
	# shellcheck disable=SC2086
	wait $ovs_pids 2>/dev/null || :
}

# Such a bridge on the host, and what is in the database as facts of the host.
ovs_host() {
	change_fake '.links += [{name: "ovs0", kind: "openvswitch", ifindex: 90,
		mac: "52:54:00:bc:00:00", up: true, mtu: 1500}]'
	mkdir -p "$host/run" "$host/sys/devices/virtual/net/ovs0"
	echo 90 >"$host/sys/devices/virtual/net/ovs0/ifindex"
	ln -s ../../devices/virtual/net/ovs0 "$host/sys/class/net/ovs0"
	ln -s "$work/ovs" "$host/run/openvswitch"
	eval "$(declare -f dump | sed '1s/dump/dump_without_ovs/')"
	# shellcheck disable=SC2317 # called instead of lib.sh's
	dump() {
		dump_without_ovs
		vsctl -f csv --no-headings --columns=name,tag,trunks,external_ids list Port |
			sed 's/^/ovs port /' | sort
		vsctl -f csv --no-headings --columns=name list Interface | sed 's/^/ovs interface /' | sort
	}
}
