#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# `vnetctl exec` on the fake kernel: what the command is given by each mode, and that the
# NIC goes back when its process has ended, whoever of the two it outlives.
# shellcheck disable=SC2016 # for the shell inside
# shellcheck disable=SC2317 # functions that are called by name
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# In QEMU's place: its arguments and its inherited files of vnetd's, then it waits.
look='for n in /proc/$$/fd/*; do
	case $(readlink "$n") in
	*/taps/*) echo "${n##*/}=tap" ;;
	/memfd:*) echo "${n##*/}=$(readlink "$n" | sed "s/.*memfd:dev.//; s/ .*//")" ;;
	esac
done >"$0.new"; printf "%s\n" "$@" >>"$0.new"; mv "$0.new" "$0"; exec sleep 600'
# run NAME ARGS...: `vnetctl exec ARGS... -- QEMU @NAME`; its pid is in $pid, what it was given in $said.
run() { # NAME ARGS...
	local nic=$1
	shift
	rm -f "$work/said"
	"$build/vnetctl" --socket "$socket" exec "$@" -- bash -c "$look" "$work/said" "@$nic" >"$work/run.out" 2>"$work/run.err" &
	pid=$!
	running+=("$pid")
	wait_for 20 test -e "$work/said" || fail "exec $*: $(cat "$work/run.err")"
	said=$(paste -sd' ' "$work/said")
	ok "exec $*: $said"
}

gone() { # PID GUEST/NAME: its end is the NIC's
	kill "${3:--TERM}" "$1"
	wait "$1" 2>/dev/null || :
	becomes "$2" none
}

same_host() { # NAME: as it was kept, but for VFs that were made
	back_as "$1" '^dev/vfio/devices d'
}

note "what each mode gives: descriptors under the numbers that QEMU is told, and nothing else"
new_host --pfs 3 --pf-up 0 --existing-vfs 2 --no-vfs-on 1 --bridge br0 --mgmtdev vdpasim_net --cdev
start
keep fresh
mac='mac=([0-9a-f]{2}:){5}[0-9a-f]{2}'
check() { # PATTERN ARGS...
	local pattern=$1
	shift
	run net0 vm9 "$@"
	says "^$pattern\$" "$said"
	same "state" in-use "$(state_of vm9/net0)"
	same "who has it" "$pid" "$(json '.attachments[0].pid' list)"
	[ -z "$(find "/proc/$daemon/fd" -lname '/memfd:dev*' -o -lname '*/taps/*')" ] || fail "vnetd keeps a descriptor"
	gone "$pid" vm9/net0
	same_host fresh
}
virtio="-device virtio-net-pci,id=vnetd-net0,netdev=vnetd-net0,$mac"
check "3=tap 4=vhost-net -netdev tap,id=vnetd-net0,fd=3,vhostfd=4 $virtio" --mode vhost-net
check "3=tap 4=tap 5=vhost-net 6=vhost-net -netdev tap,id=vnetd-net0,fds=3:4,vhostfds=5:6 $virtio,mq=on,vectors=6" \
	--mode vhost-net --queues 2
check "3=tap -netdev tap,id=vnetd-net0,fd=3,vhost=off $virtio" --mode tap
check "3=tap 4=vhost-net -netdev tap,id=vnetd-net0,fd=3,vhostfd=4 $virtio" --mode macvtap
check "3=vhost-vdpa-0 -netdev vhost-vdpa,id=vnetd-net0,vhostfd=3 $virtio" --mode vdpa
check "3=[a-z0-9/]+ 4=[a-z0-9/]+ -object iommufd,id=vnetd-net0-iommufd,fd=[34] -device vfio-pci,id=vnetd-net0,iommufd=vnetd-net0-iommufd,fd=[34]" \
	--mode vf
check "3=[a-z0-9/]+ 4=[a-z0-9/]+ -object iommufd,.*" --mode passthrough --pool enp2s0
sock="-chardev socket,id=vnetd-net0,path=/run/sw/p,,0"
check "$sock -netdev vhost-user,id=vnetd-net0,chardev=vnetd-net0 $virtio" --mode vhost-user -o socket=/run/sw/p,0
check "$sock,server=on,wait=off -netdev vhost-user,id=vnetd-net0,chardev=vnetd-net0,queues=2 $virtio,mq=on,vectors=6,host_mtu=9000" \
	--mode vhost-user -o socket=/run/sw/p,0 -o role=server --queues 2 --mtu 9000

note "vhost-user needs memory that the switch can map: QEMU's own command line says whether it is"
qemu=$work/qemu-system-x86_64
printf '#!/bin/sh\nexec echo "$@"\n' >"$qemu"
chmod +x "$qemu"
user=(exec vm9 --mode vhost-user -o socket=/run/sw/p0)
memfd=(-object "memory-backend-memfd,id=ram,size=64M")
expect 4 "guest vm9's memory cannot be shared: start QEMU with -object memory-backend-memfd,id=ram,share=on" \
	"${user[@]}" -- "$qemu" -m 64 @net0
expect 4 "guest vm9's memory cannot be shared" "${user[@]}" -- "$qemu" "${memfd[@]}" -machine q35 @net0
expect 4 "guest vm9's memory cannot be shared" "${user[@]}" -- "$build/vnetctl" --socket "$socket" exec vm9 --mode tap --name net1 -- "$qemu" @net0
same_host fresh
expect 0 '^-object .*path=/run/sw/p0' "${user[@]}" -- "$qemu" "${memfd[@]}" -machine q35,memory-backend=ram @net0
becomes vm9/net0 none
expect 0 '^/run/sw/p0$' "${user[@]}" -- echo @net0.path # what it runs is not known
becomes vm9/net0 none
same_host fresh

note "without the cdev QEMU opens the group by itself: it is told the address"
new_host --existing-vfs 2 --pf-up 0
start
keep fresh
check "-device vfio-pci,id=vnetd-net0,host=0000:01:10.0" --mode vf

note "arguments of one's own; a word that is not known is refused before anything is made"
new_host --bridge br0 --guests 2
start
keep fresh
same "the numbers" "3/4" "$(vnet exec vm9 --mode vhost-net -- sh -c 'echo ${1#fd=}/${2#fd=}' x fd=@net0.tap fd=@net0.vhost)"
becomes vm9/net0 none
n=$(writes)
expect 2 '@net0.tup is not known' exec vm9 --mode vhost-net -- true fd=@net0.tup
expect 2 'there is no NIC net7 here, but net0' exec vm9 --mode vhost-net -- true fd=@net7.tap
same "writes" "$n" "$(writes)"
expect 2 'mode vhost-net has no @net0.vdpa: it has @net0.tap @net0.vhost @net0.mac' \
	exec vm9 --mode vhost-net -- true fd=@net0.vdpa
becomes vm9/net0 none
expect 1 'cannot run /nonsense' exec vm9 --mode tap -- /nonsense
becomes vm9/net0 none
same_host fresh

note "names: libvirt's guests have theirs; one's own NICs too"
expect 1 'libvirt has a guest vm1' exec vm1 --mode tap -- true
expect 4 'nothing can serve vm9' exec vm9 --mode vf --pool br0 -- true
run net0 vm9 --mode tap
expect 1 'vm9 has a NIC net0 already: choose another --name' exec vm9 --mode tap -- true
expect 1 "vm9/net0 belongs to process $pid \(sleep\): it goes back when that ends, or" detach vm9
expect 0 'fd-by-vnetd' list
expect 0 "$pid" show vm9/net0
gone "$pid" vm9/net0 -KILL
same_host fresh

note "libvirt is given a guest of that name: the UUID tells them apart"
run net0 vm9 --mode tap
uuid=$(json '.attachments[0].uuid' list)
sed 's/vm2/vm9/g; s/000000000002/000000000009/' "$host/guests/vm2.xml" >"$host/guests/vm9.xml"
expect 0 '^vm9/net0: vhost-net ' attach vm9 --mode vhost-net --pool br0 --name net0
expect 2 "both a guest of libvirt's and process $pid without libvirt are called vm9: .*UUID.* 00000000-.*9 of libvirt's or $uuid" \
	detach vm9 net0
expect 2 "both a guest of libvirt's and process $pid" detach vm9
expect 1 "vm9/net0 belongs to process $pid" detach "$uuid" net0
expect 0 'vm9/net0 is detached' detach 00000000-0000-4000-8000-000000000009
expect 1 "vm9/net0 belongs to process $pid" detach vm9
rm "$host/guests/vm9.xml"
gone "$pid" vm9/net0
same_host fresh

note "two NICs of one process: each exec gives one and becomes the next"
rm -f "$work/said"
"$build/vnetctl" --socket "$socket" exec vm9 --mode tap -- "$build/vnetctl" --socket "$socket" exec vm9 --name net1 --mode vhost-net -- \
	bash -c "$look" "$work/said" @net0 @net1 fd=@net1.tap &
pid=$!
running+=("$pid")
wait_for 10 test -e "$work/said" || fail "two NICs: nothing was run"
same "inherited" "3=tap 4=tap 5=vhost-net" "$(head -n 3 "$work/said" | paste -sd' ')"
says '^fd=4$' "$(<"$work/said")"
same "both are of" "$pid $pid" "$(json '[.attachments[].pid | tostring] | join(" ")' list)"
kill "$pid"
becomes vm9/net0 none
becomes vm9/net1 none
same_host fresh

note "vnetctl is killed before it has become QEMU"
kernel_fails 'hang open:/dev/vhost-net'
begin early exec vm9 --mode vhost-net -- sleep 600
waits() { [ "$(state_of vm9/net0)" = ready ]; }
wait_for 10 waits || fail "it is not being handed over"
victim=$(json '.attachments[0].pid' list)
kill -9 "$victim"
kernel_well
becomes vm9/net0 none
same_host fresh

note "vnetd is stopped, is killed, while QEMU runs: it is still followed"
for how in restart crash; do
	run net0 vm9 --mode vhost-net
	"$how"
	[ "$how" = restart ] || start
	becomes vm9/net0 in-use
	kill -0 "$pid" || fail "QEMU was ended"
	gone "$pid" vm9/net0
	same_host fresh
done

note "QEMU ends while vnetd is down; its number may be another's by then"
run net0 vm9 --mode vhost-net
stop
kill -9 "$pid"
wait "$pid" 2>/dev/null || :
start
becomes vm9/net0 none
same_host fresh
run net0 vm9 --mode tap
stop
kill -9 "$pid"
wait "$pid" 2>/dev/null || :
file=$(echo "$run"/attachments/*.net0.json)
sed "s/\"pid\": *$pid\b/\"pid\": $$/" "$file" >"$work/edited"
! cmp -s "$file" "$work/edited" || fail "no pid in the state file: $(<"$file")"
cp "$work/edited" "$file"
start
becomes vm9/net0 none
same_host fresh

note "vnetd is killed around the hand-over: vnetctl ends, and all goes back"
for point in handover:before handover:after; do
	fault $point kill
	begin cut exec vm9 --mode vhost-net -- sleep 600
	died
	ended 20 cut 3 'closed the connection'
	start
	becomes vm9/net0 none
	same_host fresh
	fault $point EIO
	expect 1 'attach vm9/net0: .*fault point: Input/output error' exec vm9 --mode vhost-net -- true
	same_host fresh
done

note "an open that hangs holds up its own function alone"
new_host --pfs 2 --pf-up 0 --existing-vfs 2 --no-vfs-on 1 --bridge br0 --mgmtdev vdpasim_net --cdev
start
keep fresh
for hangs in 'open:/dev/vfio/devices/* --mode vf' 'open:/dev/vhost-vdpa-* --mode vdpa'; do
	kernel_fails "hang ${hangs%% *}"
	# shellcheck disable=SC2086 # words
	begin slow exec vm8 ${hangs#* } -- true
	ready() { [ "$(state_of vm8/net0)" = ready ]; }
	wait_for 10 ready || fail "it is not being handed over"
	begin other exec vm9 --mode vhost-net -- true
	ended 5 other 0 ''
	[ ! -s "$work/slow.rc" ] || fail "it does not hang"
	kernel_well
	ended 20 slow 0 ''
	becomes vm8/net0 none
	becomes vm9/net0 none
	back_as fresh '^dev/vfio/devices d'
done

note "started again at once: what its forerunner had is taken back first"
run net0 vm9 --mode vf
kernel_fails "hang write:*/unbind"
kill -KILL "$pid"
begin again exec vm9 --mode vf --name net0 -- true
becomes vm9/net0 releasing
begin third exec vm9 --mode vhost-net --name net1 -- true
ended 5 third 0 ''
[ ! -s "$work/again.rc" ] || fail "it does not wait: $(<"$work/again.err")"
kernel_well
ended 20 again 0 ''
becomes vm9/net0 none
becomes vm9/net1 none
kernel_fails "hang write:*/unbind"
run net0 vm9 --mode vf
kill -KILL "$pid"
becomes vm9/net0 releasing
expect 1 'attach vm9: what a process of that name had.* is still being taken back' exec vm9 --mode vf -- true
kernel_well
becomes vm9/net0 none
back_as fresh '^dev/vfio/devices d'

note "the kernel refuses a descriptor"
new_host --bridge br0 --guests 2
start
keep fresh
for op in open:/dev/net/tun 'queue:vn*' open:/dev/vhost-net 'by_fds:vn*'; do
	kernel_fails "$op EMFILE"
	expect 1 'Too many open files' exec vm9 --mode vhost-net -- true
	kernel_well
	same_host fresh
done
