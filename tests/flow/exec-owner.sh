#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# `vnetctl exec` of a user who is not root, where QEMU opens its VFIO group by path: the
# group's node is that user's as long as the process lives, and root's again before the
# function leaves vfio-pci, whoever of the two ends first.
# shellcheck disable=SC2016 # for the shell inside
[ "$(id -u)" != 0 ] || exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0" "$@"
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

me=$(id -u)
run() { # ARGS...
	rm -f "$work/said"
	"$build/vnetctl" --socket "$socket" exec vm9 "$@" -- sh -c 'echo "$*" >"$0.new"; mv "$0.new" "$0"; exec sleep 600' \
		"$work/said" @net0 >"$work/run.out" 2>"$work/run.err" &
	pid=$!
	running+=("$pid")
	wait_for 20 test -e "$work/said" || fail "exec $*: $(cat "$work/run.err")"
	says "^-device vfio-pci,id=vnetd-net0,host=" "$(<"$work/said")"
	same "handed over" path "$(json '.attachments[0].handover' list)"
	same "its user" "$me" "$(json '.attachments[0].uid' list)"
}

over() {
	kill "${1:--TERM}" "$pid"
	wait "$pid" 2>/dev/null || :
	becomes vm9/net0 none
	back_as fresh
}

group_of() { basename "$(readlink "$host/sys/bus/pci/devices/$1/iommu_group")"; } # ADDRESS
node() { cat "$host/dev/vfio/$group"; }
gives() { awk -F'\t' '$1 == "give" { print $3 ": " $4 }' "$host/writes.log"; }

new_host --existing-vfs 2 --pf-up 0 --guests 1
start
group=$(group_of 0000:01:10.0)
keep fresh

note "a VF: the last before the hand-over, and the first that goes back"
run --mode vf
same "the node" "$me 0 600" "$(node)"
same "whom it was given to" "$me 0 600: ok" "$(gives)"
says $'^give\t' "$(tail -n 1 "$host/writes.log")"
over
same "whom it was given to" "$me 0 600: ok 0 0 600: ok" "$(gives | xargs)"
same "then it leaves vfio-pci" unbind "$(awk -F'\t' '/^give/ { f = 1; next } f && /bind/ { print $2; exit }' <(tail -n +"$(grep -n '^give' "$host/writes.log" | tail -n 1 | cut -d: -f1)" "$host/writes.log") | xargs -r basename)"

note "a libvirt guest's VF stays root's: libvirt gives it to QEMU's user itself"
expect 0 'vf ' attach vm1 --mode vf
same "the node" "" "$(cat "$host/dev/vfio/$(group_of "$(json '.attachments[0].vf' list)")")"
expect 0 'is detached' detach vm1

note "QEMU is killed, vnetd is killed, both"
for how in restart crash; do
	run --mode vf
	"$how"
	[ "$how" = restart ] || start
	becomes vm9/net0 in-use
	same "the node" "$me 0 600" "$(node)"
	over -KILL
done
run --mode vf
crash
kill -9 "$pid"
wait "$pid" 2>/dev/null || :
start
becomes vm9/net0 none
back_as fresh

note "vnetd is killed while it gives it, and while it takes it back"
for point in knob:vfio-owner:before knob:vfio-owner:set knob:vfio-owner:after; do
	fault "$point" kill
	begin cut exec vm9 --mode vf -- sleep 600
	died
	ended 20 cut 3 'closed the connection'
	start
	becomes vm9/net0 none
	back_as fresh
done
for point in back:vfio-owner:before back:vfio-owner:after; do
	run --mode vf
	fault "$point" kill
	kill "$pid"
	died
	start
	becomes vm9/net0 none
	back_as fresh
done

note "the kernel refuses"
kernel_fails 'give:* EPERM'
expect 1 'give /dev/vfio/[0-9]+ to user [0-9]+: Operation not permitted' exec vm9 --mode vf -- true
kernel_well
back_as fresh

note "a whole NIC"
new_host --pfs 2 --pf-up 0 --guests 1
start
keep fresh
run --mode passthrough --pool enp2s0
group=$(group_of 0000:02:00.0)
same "the node" "$me 0 600" "$(node)"
over

note "the journal is lost: then it is root's, as an idle one is"
new_host --existing-vfs 2 --pf-up 0
start
group=$(group_of 0000:01:10.0)
run --mode vf
stop
rm "$run"/journal/*
start
becomes vm9/net0 in-use
same "the node" "$me 0 600" "$(node)"
kill "$pid"
wait "$pid" 2>/dev/null || :
becomes vm9/net0 none
[ ! -s "$host/dev/vfio/$group" ] || fail "the node is still $(node)"

note "descriptors need no node of anybody's"
new_host --existing-vfs 2 --pf-up 0 --cdev
start
"$build/vnetctl" --socket "$socket" exec vm9 --mode vf -- true
becomes vm9/net0 none
same "whom a node was given to" "" "$(gives)"
