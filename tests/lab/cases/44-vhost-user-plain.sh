#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mode vhost-user for a QEMU without libvirt, with DPDK's testpmd at the other end: by
# vnetctl exec and by its monitor, QEMU as client and as server; a switch that comes back; and
# what is refused: memory that nobody else can map, nobody at the socket.
# shellcheck disable=SC2034 # PLAIN_PREFIX is plain_start's
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

mac=52:54:00:c4:00:10
mac1=52:54:00:c4:00:11
mac2=52:54:00:c4:00:12
socket=/run/lab-vu/vu.sock
mkdir -p /run/lab-vu
bare=(qemu-system-x86_64 -S -nodefaults -no-user-config -display none -accel tcg -m 64)
memfd=(-object "memory-backend-memfd,id=ram,size=64M,share=on" -machine "q35,memory-backend=ram")
user=(--mode vhost-user -o "socket=$socket")
keep before

note "memory that is not shared is refused beforehand, by the command line and by the monitor"
vnet_exit 4 'memory cannot be shared: start QEMU with' exec p2 "${user[@]}" -- "${bare[@]}" @net0
"${bare[@]}" -qmp "unix:/run/lab-vu/qmp,server=on,wait=off" </dev/null &
bare_pid=$!
wait_for 30 test -S /run/lab-vu/qmp || fail "no QMP socket"
vnet_exit 4 'memory cannot be shared: start QEMU with' attach p2 --qmp /run/lab-vu/qmp "${user[@]}"
kill $bare_pid
wait $bare_pid || :

note "exec, server: QEMU makes the socket, and starts when testpmd has come"
PLAIN_PREFIX=(vnetctl exec p1 "${user[@]}" -o role=server --mac "$mac" --)
PLAIN_SHARED=yes PLAIN_PORTS=2 plain_start p1 @net0
wait_for 30 test -S $socket || fail "QEMU makes no socket: $(cat "$lab_guests/p1.qemu")"
testpmd_up $socket client
guest_ready p1 500
tr '\0' ' ' <"/proc/$(qemu_pid p1)/cmdline"
echo
guest_ping_wait p1 "$mac" world 400
vnet show p1/net0
same "state" in-use "$(attachment_state p1/net0)"
same "handover" path "$(field p1/net0 handover)"
same "socket" "$socket" "$(field p1/net0 device)"

note "the switch starts anew, and the NIC goes on"
testpmd_down
testpmd_up $socket client
guest_mark p1
guest_ping_wait p1 "$mac" world 400
testpmd_down

qmp=$lab_guests/p1.qmp
fds() { find "/proc/$(qemu_pid p1)/fd" -type l | wc -l; }
open=$(fds)
socket=/run/lab-vu/vu2.sock
user=(--mode vhost-user -o "socket=$socket")
one_more() { # MAC ROLE, testpmd has the other one
	note "by the monitor: $2"
	guest_mark p1
	timed "attach" vnetctl attach p1 --qmp "$qmp" "${user[@]}" -o "role=$2" --mac "$1"
	guest_nic_wait p1 "$1"
	guest_ping_wait p1 "$1" world 400
	same "handover" path "$(field p1/net1 handover)"
	guest_mark p1
	timed "detach" vnetctl detach --qmp "$qmp" p1 net1
	guest_nic_gone p1 "$1"
	same "all that QEMU has open" "$open" "$(fds)"
	testpmd_down
	rm -f "$socket"
}
testpmd_up "$socket" server
one_more $mac1 client
testpmd_up "$socket" client
one_more $mac2 server

note "nobody at the socket: nothing stays, and the guest does not stand still"
refused 'No such file' vnetctl attach p1 --qmp "$qmp" "${user[@]}"
refused 'has not connected to the socket that QEMU made' \
	vnetctl attach p1 --qmp "$qmp" "${user[@]}" -o role=server
same "all that QEMU has open" "$open" "$(fds)"
same "state" none "$(attachment_state p1/net1)"
refused 'No such file' vnetctl exec p2 "${user[@]}" -- "${bare[@]}" "${memfd[@]}" @net0

note "exec, client: testpmd has made the socket"
testpmd_up "$socket" server
vnetctl exec p2 "${user[@]}" -- "${bare[@]}" "${memfd[@]}" -qmp "unix:/run/lab-vu/qmp,server=on,wait=off" @net0 </dev/null &
bare_pid=$!
connected() {
	python3 - /run/lab-vu/qmp <<-'END'
		import json, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		f = s.makefile("rw")
		f.readline()
		for name in "qmp_capabilities", "query-chardev":
		    print(json.dumps({"execute": name}), file=f, flush=True)
		    answer = json.loads(f.readline())
		sys.exit(not any(c["label"] == "vnetd-net0" and c["frontend-open"] and c["filename"].startswith("unix:")
		                 for c in answer["return"]))
	END
}
wait_for 60 connected || fail "QEMU is not connected to testpmd"
same "state" in-use "$(attachment_state p2/net0)"
kill $bare_pid
wait $bare_pid || :
testpmd_down

note "killed: nothing is left of it"
kill -KILL "$(qemu_pid p1)"
plain_stop p1
gave_back p1 before
gave_back p2 before
rm -r /run/lab-vu
