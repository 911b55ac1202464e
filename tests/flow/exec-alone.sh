#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Guests without libvirt on a host without it, and on one whose libvirt does not answer: what
# no guest of libvirt's can have reserved is served at once, a function only where there is no
# libvirt that could know better. Owners are followed over restarts all the same.
# shellcheck disable=SC2317 # functions that are called by name
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

run() { # GUEST ARGS...
	rm -f "$work/said"
	# shellcheck disable=SC2016 # for the shell inside
	"$build/vnetctl" --socket "$socket" exec "$@" -- sh -c 'echo >"$0"; exec sleep 600' "$work/said" \
		>"$work/run.out" 2>"$work/run.err" &
	pid=$!
	running+=("$pid")
	wait_for 5 test -e "$work/said" || fail "exec $*: $(cat "$work/run.err")"
	ok "exec $*"
}

over() { # GUEST
	kill "$pid"
	wait "$pid" 2>/dev/null || :
	becomes "$1/net0" none
}

all_modes() {
	local asked
	for asked in '--mode vhost-net' '--mode tap' '--mode macvtap' '--mode vdpa' '--mode vf' \
		'--mode passthrough --pool enp3s0' '--pool enp1s0' ''; do
		# shellcheck disable=SC2086 # words
		run vm9 $asked
		over vm9
	done
}

note "no libvirt at all: every mode"
new_host --pfs 3 --pf-up 0 --existing-vfs 2 --no-vfs-on 2 --bridge br0 --mgmtdev vdpasim_net
rm -rf "$host/guests"
touch "$host/no-libvirt"
start
keep fresh
all_modes
back_as fresh '^dev/vfio/devices d'

note "an owner is followed over a restart, and its end while vnetd is away is seen"
for how in restart crash; do
	run vm9 --mode vf
	"$how"
	[ "$how" = restart ] || start
	becomes vm9/net0 in-use
	over vm9
done
run vm9 --mode vf
stop
kill -9 "$pid"
wait "$pid" 2>/dev/null || :
start
becomes vm9/net0 none
note "who asks at once after such a start does not meet what is left"
run vm9 --mode vf
crash
kill -9 "$pid"
wait "$pid" 2>/dev/null || :
start
run vm9 --mode vf
over vm9
back_as fresh

note "it has been given to a process: fence and /proc say so, without a word of libvirt's"
for vf in 0 1; do
	vf=$(basename "$(readlink "$host/sys/bus/pci/devices/0000:01:00.0/virtfn$vf")")
	change_fake ".holders += [{address: \"$vf\", pid: 77, comm: \"qemu\", guest: \"vm1\"}]"
done
expect 4 'in use: QEMU of guest vm1 \(process 77\)' exec vm9 --mode vf --pool enp1s0 -- true
change_fake '.holders = []'

note "libvirt does not answer: what it cannot know of is served at once"
stop
rm "$host/no-libvirt"
start
for asked in '--mode vhost-net' '--mode tap' '--mode macvtap' '--pool br0'; do
	# shellcheck disable=SC2086 # words
	run vm9 $asked
	over vm9
done
note "a function is not: a shut-off guest may have it reserved"
begin held exec vm9 --mode vf -- true
sleep 0.3
[ ! -s "$work/held.rc" ] || fail "it was answered: $(cat "$work/held.err")"
note "where there is none it is"
stop
touch "$host/no-libvirt"
start
ended 5 held 3 'vnetd is stopping|closed the connection'
run vm9 --mode vf
note "libvirt comes: its guests are known, and the NIC of the other stays"
cp -a "$work"/host\ of*/guests "$host/guests"
expect 0 'vm9/net0' list
becomes vm9/net0 in-use
over vm9
back_as fresh
