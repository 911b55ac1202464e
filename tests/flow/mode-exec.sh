#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The matrix over guests without libvirt: `vnetctl exec`, with a shell in QEMU's place. Each
# write to the kernel and each opening of a node fails, vnetd is killed at every point while
# the guest gets its NIC, while it has it, and while it is taken back; its owner ends before
# vnetd comes back, or after. The owner's end is the detach: then nothing of it is left.
# shellcheck disable=SC2317 # functions that are called by name
# A user like others: QEMU then has to be let open the node of a whole NIC's group.
[ "$(id -u)" != 0 ] || exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0" "$@"
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/mode-lib.sh"

# It says that it runs and with which descriptors, and stays.
begin_qemu() {
	rm -f "$work/qemu.says"
	# shellcheck disable=SC2016 # for the inner shell
	"$build/vnetctl" --socket "$socket" exec vm5 "${asks[@]}" --name net0 -- \
		sh -c 'echo "$@" >"$0"; exec sleep 600' "$work/qemu.says" -m 64 @net0 \
		>"$work/out" 2>"$work/err" </dev/null &
	qemu=$!
}

# As the kernel: a tap that lives by its descriptors goes with the last of them.
taps_end() {
	local tap
	for tap in $(fake '.links[] | select(.kind == "tun" and (.tapPersistent | not)) | .name'); do
		change_fake "del(.links[] | select(.name == \"$tap\")) | del(.netdevs[\"$tap\"])"
		rm -r "$host/sys/class/net/$tap" "$host/sys/devices/virtual/net/$tap"
	done
}

end_qemu() {
	taps_end
	kill "$qemu" 2>/dev/null || :
	wait "$qemu" 2>/dev/null || :
	cat "$work/err" >>"$work/cli.log"
}

runs() { [ -s "$work/qemu.says" ] && [ "$(state_of vm5/net0)" = in-use ]; }
refused() { dead "$qemu" && [ ! -e "$work/qemu.says" ]; }
is_gone() { [ "$(state_of vm5/net0)" = none ]; }

# Of a guest without libvirt the identity is another each time, and so the names that it gives.
plain_dump() { dump | sed -E 's/vn[0-9a-f]{11}/vnX/g; s/runtime [0-9a-f-]{36}/runtime UUID/'; }
is_whole() { runs && plain_dump >"$work/is" && cmp -s "$work/was.whole" "$work/is"; }
whole() {
	wait_for 5 is_whole && return
	diff -u "$work/was.whole" "$work/is" || :
	fail "$mode: the guest has not what it asked for: $(cat "$work/err")"
}

gone() {
	local left
	wait_for 20 is_gone || fail "$mode: vm5/net0 stays $(state_of vm5/net0)"
	plain_dump >"$work/is"
	diff -u "$work/was.before" "$work/is" || fail "the host is not as it was"
	left=$(find "$run/attachments" "$run/journal" -type f 2>/dev/null) || :
	[ -z "$left" ] || fail "files are left: $left"
}

learn_exec() { # MODE
	mode=$1
	host_of_all_modes
	asks_of "$mode"
	attach=(attach vm1 "${asks[@]}")
	start
	read_plan
	plain_dump >"$work/was.before"
	: >"$host/writes.log"
	begin_qemu
	wait_for 10 runs || fail "$mode: it does not start: $(cat "$work/err")"
	plain_dump >"$work/was.whole"
	says "${expected[$mode]}" "$(<"$work/qemu.says")"
	written there
	end_qemu
	gone
	written back
	note "$mode: $(<"$work/qemu.says"): $(wc -l <"$work/there") writes there, $(wc -l <"$work/back") back"
}

declare -A expected=(
	[vhost-net]='tap,id=vnetd-net0,fd=[0-9]+,vhostfd=[0-9]+ -device virtio-net-pci,id=vnetd-net0,netdev=vnetd-net0,mac=52'
	[tap]='tap,id=vnetd-net0,fd=[0-9]+,vhost=off'
	[macvtap]='tap,id=vnetd-net0,fd=[0-9]+,vhostfd=[0-9]+'
	[vdpa]='vhost-vdpa,id=vnetd-net0,vhostfd=[0-9]+'
	[passthrough]='vfio-pci,id=vnetd-net0,host=0000:02:00.0'
)

write_fails() { # N
	kernel_fails "nth $1 EIO"
	begin_qemu
	wait_for 10 refused || fail "$mode: it starts though write $1 failed"
	end_qemu
	says injected "$(<"$host/writes.log")"
	kernel_well
	says "^vnetctl: attach vm5/net0: .*Input/output error" "$(<"$work/err")"
	gone
	: >"$host/writes.log"
	ok "$mode: write $1 of a start failed: $(head -n 1 "$work/err" | cut -c 1-200)"
}

# What is stuck is so until an administrator's detach; nobody has it.
write_back_fails() { # N
	begin_qemu
	wait_for 10 runs || fail "$mode: it does not start: $(cat "$work/err")"
	: >"$host/writes.log"
	kernel_fails "nth $1 EIO"
	end_qemu
	wait_for 10 over || fail "$mode: vm5/net0 stays $(state_of vm5/net0)"
	says injected "$(<"$host/writes.log")"
	kernel_well
	is_gone || vnet detach vm5 net0 >"$work/out" 2>"$work/err" || fail "$mode: $(<"$work/err")"
	gone
	ok "$mode: write $1 of an end failed"
}
over() { case $(state_of vm5/net0) in none | stuck) ;; *) false ;; esac }

crash_there() { # POINT
	fault "$1" kill
	begin_qemu
	died
	was_passed "$1"
	wait_for 10 refused || fail "$mode: it starts though vnetd was killed at $1"
	wait_for 10 no_workers
	end_qemu
	start
	gone
	ok "$mode: a start, killed at $1"
}

crash_back() { # POINT
	begin_qemu
	wait_for 10 runs || fail "$mode: it does not start: $(cat "$work/err")"
	fault "$1" kill
	end_qemu
	died
	was_passed "$1"
	start
	gone
	ok "$mode: an end, killed at $1"
}

# Nobody but the process itself knows that it has it: it is asked whether it lives.
crash_meanwhile() {
	begin_qemu
	wait_for 10 runs || fail "$mode: it does not start: $(cat "$work/err")"
	crash
	start
	whole
	restart
	whole
	end_qemu
	gone
	begin_qemu
	wait_for 10 runs || fail "$mode: it does not start: $(cat "$work/err")"
	crash
	end_qemu
	start
	gone
	ok "$mode: killed while the guest has it"
}

crashes_there() { # KNOB...
	local knob
	for knob; do
		crash_there "knob:$knob:set"
		crash_there "knob:$knob:after"
	done
	crash_there handover:before
	crash_there handover:after
}

matrix() { # MODE [KNOB...: these of its plan alone]
	local knob n
	learn_exec "$1"
	shift
	# shellcheck disable=SC2086 # words
	[ $# -gt 0 ] || set -- $knob_list
	crash_meanwhile
	for n in $(seq "$(wc -l <"$work/there")"); do
		write_fails "$n"
	done
	crashes_there "$@"
	if [ -s "$work/back" ]; then
		for n in $(seq "$(wc -l <"$work/back")"); do
			write_back_fails "$n"
		done
		for knob; do
			crash_back "back:$knob:before"
			crash_back "back:$knob:after"
		done
	fi
	stop
}

bridges() {
	matrix vhost-net
	matrix tap bridge-port
}
others() {
	matrix macvtap macvtap
	matrix vdpa
	matrix passthrough driver vfio-owner
}

side_by_side bridges others
