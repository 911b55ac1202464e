#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A NIC into a QEMU that runs without libvirt, by its monitor, and out again; each command of
# it failing; QEMU's end. qmp.py is the QEMU.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

qmp=$work/qmp how=$work/how calls=$work/calls
qemu() {
	rm -f "$qmp" "$calls"
	: >"$how"
	: >"$calls"
	/usr/bin/python3 "$top/tests/flow/qmp.py" "$qmp" "$how" "$calls" &
	pid=$!
	running+=("$pid")
	wait_for 10 test -S "$qmp" || fail "no monitor"
}

gone() {
	kill -9 "$pid" 2>/dev/null || :
	wait "$pid" 2>/dev/null || :
	becomes vm9/net0 none
}

commands() { cut -d' ' -f1 "$calls" | paste -sd' '; }
holds() { find "/proc/$pid/fd" -lname '/memfd:dev*' -o -lname '*/taps/*' | wc -l; }
nothing_kept() {
	[ -z "$(find "/proc/$daemon/fd" -lname '/memfd:dev*' -o -lname '*/taps/*')" ] || fail "vnetd keeps a descriptor"
}
same_host() { back_as fresh '^dev/vfio/devices d'; }
attach() { expect 0 'vm9/net0: ' attach --qmp "$qmp" vm9 "$@"; }

note "each mode: in, and out"
new_host --pfs 3 --pf-up 0 --existing-vfs 2 --no-vfs-on 1 --bridge br0 --mgmtdev vdpasim_net --cdev
start
keep fresh
qemu
for mode in "vhost-net 2" "vhost-net 4 --queues 2" "tap 1" "macvtap 2" "vdpa 1" "vf 2" "passthrough 2 --pool enp2s0"; do
	read -r mode n more <<<"$mode"
	: >"$calls"
	# shellcheck disable=SC2086 # words
	attach --mode "$mode" $more
	same "descriptors" "$n" "$(holds)"
	nothing_kept
	same "state" "in-use $pid" "$(json '.attachments[0] | "\(.state) \(.pid)"' list)"
	expect 1 "vm9/net0 belongs to process $pid" detach vm9
	expect 0 'vm9/net0 is detached' detach --qmp "$qmp" vm9
	note "$(commands)"
	same "descriptors" 0 "$(holds)"
	same_host
done

note "vhost-user: QEMU itself opens the socket, if its memory can be shared"
user=(--qmp "$qmp" vm9 --mode vhost-user -o socket=/run/sw/p0)
: >"$calls"
expect 4 "guest vm9's memory cannot be shared: start QEMU with" attach "${user[@]}"
same "commands" query-memdev "$(commands)"
shared() { printf '%s\n' "memory shared" "$@" >"$how"; }
for role in client server; do
	shared
	: >"$calls"
	expect 0 'vm9/net0: vhost-user' attach "${user[@]}" -o role=$role --queues 2
	same "commands" "query-memdev chardev-add query-chardev netdev_add query-pci device_add" "$(commands)"
	grep -qF '"path": "/run/sw/p0"' "$calls" || fail "the socket: $(<"$calls")"
	same "who has it" "in-use $pid path /run/sw/p0" \
		"$(json '.attachments[0] | "\(.state) \(.pid) \(.handover) \(.device)"' list)"
	: >"$calls"
	expect 0 'is detached' detach --qmp "$qmp" vm9
	same "commands" "device_del netdev_del chardev-remove object-del" "$(commands)"
	same_host
done
for command in query-memdev chardev-add query-chardev netdev_add query-pci device_add; do
	shared "fail $command"
	: >"$calls"
	case $command in
	query-memdev | query-pci) # an older one that does not say; the bus is then QEMU's choice
		expect 0 'vm9/net0: vhost-user' attach "${user[@]}"
		expect 0 'is detached' detach --qmp "$qmp" vm9
		;;
	*) expect 1 'attach vm9/net0: .*no such luck' attach "${user[@]}" ;;
	esac
	[ $command = chardev-add ] || says 'chardev-remove' "$(commands)"
	same_host
done
note "nobody at the socket: a netdev_add would stop the guest until somebody is"
shared nobody
: >"$calls"
begin early attach "${user[@]}" -o role=server
twice() { [ "$(grep -c query-chardev "$calls")" -ge 2 ]; }
wait_for 10 twice || fail "it does not look again: $(<"$calls")"
shared
ended 10 early 0 'vm9/net0: vhost-user'
expect 0 'is detached' detach --qmp "$qmp" vm9
shared nobody
: >"$calls"
expect 1 '/run/sw/p0: the process that is to serve the NIC has not connected' attach "${user[@]}" -o role=server
says 'query-chardev chardev-remove$' "$(commands)"
same_host
: >"$calls"
begin early attach "${user[@]}"
wait_for 10 twice || fail "it does not look: $(<"$calls")"
gone
ended 10 early 1 'attach vm9/net0'
same_host
qemu
note "how much it may lock: nothing for what locks nothing, else as much as its guest may come to have"
# Without CAP_SYS_RESOURCE it may not, and says what it would have.
low=65536
prlimit --pid "$pid" --memlock=$low
limit() { awk '/^Max locked memory/ { print $4 }' "/proc/$pid/limits"; }
while read -r knows wanted asked; do
	echo "$knows" >"$how"
	: >"$log"
	# shellcheck disable=SC2086 # words
	attach $asked
	if grep -q CAP_SYS_RESOURCE "$log"; then
		says "lock $((wanted >> 20)) MiB of memory" "$(grep CAP_SYS_RESOURCE "$log")"
	else
		same "limit" "$wanted" "$(limit)"
	fi
	expect 0 'is detached' detach --qmp "$qmp" vm9
done <<-LIMITS
	all $low --mode vhost-net
	all $low --mode macvtap
	old $(((1 << 30) + (1 << 28) + (1 << 27))) --mode vf
	all $((2 << 30)) --mode vdpa
	all $((2 << 30)) --mode passthrough --pool enp2s0
LIMITS
same_host
note "whoever does not speak QMP gets nothing, and nothing is opened for it"
opened=$(grep -c ^open "$host/writes.log")
printf '%s\n' "fail qom-get" "hangup query-memory-size-summary" >"$how"
expect 1 'attach vm9/net0: .*it was closed' attach --qmp "$qmp" vm9 --mode vf
: >"$how"
same "opened" "$opened" "$(grep -c ^open "$host/writes.log")"
same_host

note "refused before anything is made"
expect 1 'libvirt has a guest vm1' attach --qmp "$qmp" vm1 --mode tap
expect 1 'cannot reach a QEMU at' attach --qmp "$work/none" vm9 --mode tap
expect 1 'vnetd gave vm9 no NIC over QMP' detach --qmp "$qmp" vm9
attach --mode vhost-net --name net0
expect 0 "vm9/net1: " attach --qmp "$qmp" vm9 --mode vhost-net --name net1
expect 2 'vm9 has several NICs: name one of net0, net1' detach --qmp "$qmp" vm9
expect 1 'vnetd gave vm9 no NIC net2 over QMP' detach --qmp "$qmp" vm9 net2
expect 0 'is detached' detach --qmp "$qmp" vm9 net1
expect 0 'is detached' detach --qmp "$qmp" vm9
same_host

note "each command fails: as before"
for mode in vhost-net vdpa vf; do
	for command in getfd object-add query-pci netdev_add device_add; do
		case "$mode $command" in
		"vf netdev_add" | "vhost-net object-add" | "vdpa object-add") continue ;;
		esac
		echo "fail $command" >"$how"
		if [ $command = query-pci ]; then
			attach --mode $mode # the bus is then QEMU's choice
			: >"$how"
			expect 0 'is detached' detach --qmp "$qmp" vm9
		else
			expect 1 'attach vm9/net0: .*no such luck' attach --qmp "$qmp" vm9 --mode $mode
		fi
		: >"$how"
		same "QEMU has" 0 "$(holds)"
		same_host
	done
done
note "the monitor is lost halfway: what QEMU has of it goes when it ends"
echo "hangup netdev_add" >"$how"
expect 5 'attach vm9/net0: .*QMP socket: it was closed.*left behind' attach --qmp "$qmp" vm9 --mode vhost-net
becomes vm9/net0 none
gone
vnet why vm1 >/dev/null # the fake kernel looks after its taps when it is asked something
same_host

note "whether QEMU has it is not known: it is left, and a detach asks"
qemu
echo "hangup device_add" >"$how"
expect 1 'whether QEMU has it is not known' attach --qmp "$qmp" vm9 --mode vhost-net
same "state" in-use "$(state_of vm9/net0)"
: >"$how"
expect 0 'is detached' detach --qmp "$qmp" vm9
same "descriptors" 0 "$(holds)"
same_host

note "the guest keeps it: it stays in use; then it lets go"
attach --mode vf
echo "unplug refused" >"$how"
expect 1 'the guest keeps it: .*refuses to let go' detach --qmp "$qmp" vm9
same "state" in-use "$(state_of vm9/net0)"
echo "fail device_del" >"$how"
expect 1 'the guest keeps it: .*no such luck' detach --qmp "$qmp" vm9
same "state" in-use "$(state_of vm9/net0)"
: >"$how"
first=$pid
other=$qmp
qmp=$work/qmp2
qemu
expect 2 "belongs to process $first, and that socket is process $pid's" detach --qmp "$qmp" vm9
kill -9 "$pid"
wait "$pid" 2>/dev/null || :
pid=$first qmp=$other
restart
expect 0 'is detached' detach --qmp "$qmp" vm9
same_host

note "the guest lets go, and QEMU keeps the rest: nobody says that the guest has it"
for failing in 'vhost-net netdev_del' 'vf object-del'; do
	attach --mode "${failing% *}"
	echo "fail ${failing#* }" >"$how"
	expect 1 'detach vm9/net0: the guest has let go of it, but QEMU keeps its back end until' detach --qmp "$qmp" vm9
	says 'no such luck' "$err"
	same "state" detaching "$(state_of vm9/net0)"
	: >"$how"
	expect 0 'is detached' detach --qmp "$qmp" vm9
	same_host
done
note "nobody answers: it is not known"
attach --mode vhost-net
echo "hangup device_del" >"$how"
expect 1 'detach vm9/net0: whether the guest lets go of it is not known: .*it was closed' detach --qmp "$qmp" vm9
same "state" detaching "$(state_of vm9/net0)"
: >"$how"
expect 0 'is detached' detach --qmp "$qmp" vm9
same_host

note "QEMU ends: while it has it, at each command, while vnetd is down"
attach --mode vhost-net
gone
same_host
for command in getfd netdev_add device_add; do
	qemu
	echo "die $command" >"$how"
	expect 1 'attach vm9/net0' attach --qmp "$qmp" vm9 --mode vhost-net
	wait "$pid" || :
	becomes vm9/net0 none
	same_host
done
for command in device_del netdev_del; do
	qemu
	attach --mode vhost-net
	echo "die $command" >"$how"
	expect 0 'is detached' detach --qmp "$qmp" vm9
	wait "$pid" || :
	same_host
done
qemu
attach --mode vdpa
stop
kill -9 "$pid"
start
becomes vm9/net0 none
same_host

note "vnetd is killed at the hand-over, before and after QEMU has it"
for point in handover:before handover:after; do
	qemu
	fault $point kill
	begin cut attach --qmp "$qmp" vm9 --mode vhost-net
	died
	ended 10 cut 3 'closed the connection'
	start
	if [ $point = handover:after ]; then
		becomes vm9/net0 in-use # nobody but QEMU knows
		expect 0 'is detached' detach --qmp "$qmp" vm9
	fi
	becomes vm9/net0 none
	same_host
	gone
done
qemu
attach --mode vhost-net
crash
start
becomes vm9/net0 in-use
expect 0 'is detached' detach --qmp "$qmp" vm9
same_host
