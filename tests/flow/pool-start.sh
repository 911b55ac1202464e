#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Pools at start: their VFs are made before READY=1, whatever fails or is missing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0 pf1=0000:02:00.0

config() { # TEXT...: one line each
	mkdir -p "$work/config"
	printf '%s\n' "$@" >"$work/config/vnetd.conf"
}

# What systemd would hear, a message a line, and with it the VFs at that moment.
listen() {
	rm -f "$work/notify" "$work/heard"
	python3 - "$work/notify" "$host/sys/bus/pci/devices" >"$work/heard" <<-'PY' &
	import glob, socket, sys
	s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	s.bind(sys.argv[1])
	s.settimeout(30) # a test that failed must not wait for us
	while True:
	    text = s.recv(4096).decode().replace("\n", " ")
	    counts = [open(f).read().strip() for f in sorted(glob.glob(sys.argv[2] + "/*/sriov_numvfs"))]
	    print(text, "VFs", " ".join(counts), flush=True)
	    if "STOPPING=1" in text:
	        break
	PY
	listener=$!
	wait_for 10 test -S "$work/notify" || fail "nobody listens"
	export NOTIFY_SOCKET=$work/notify
}

has_vfs() { [ "$(numvfs "$1")" = "$2" ]; }
ready() { grep -q '^READY=1' "$work/heard"; }
is_ready() { wait_for "$1" ready || fail "not ready within $1 s"; }
end_listener() {
	kill "$listener" 2>/dev/null || :
	wait "$listener" 2>/dev/null || :
	unset NOTIFY_SOCKET
}
# A start without a listener, until its pass is over.
start_ready() {
	: >"$log"
	start
	wait_for 20 grep -q 'info: ready' "$log" || fail "not ready within 20 s"
}
left_journals() { find "$run/pools/journal" -type f -printf '%f\n' 2>/dev/null | sort | xargs; }

note "the VFs are there when vnetd is ready; auto and found make none"
new_host --pfs 4 --guests 1
config '[pool a]' 'uplink = enp1s0 enp2s0' 'vfs = 3' '[pool b]' 'uplink = enp3s0' \
	'[pool c]' 'uplink = enp4s0' 'vfs = found'
listen
start
is_ready 20
same "at READY" "VFs 3 3 0 0" "$(grep -o '^READY=1.*' "$work/heard" | grep -o 'VFs.*')"
same "autoprobe" "0 0" "$(cat "$host"/sys/bus/pci/devices/{$pf0,$pf1}/sriov_drivers_autoprobe | xargs)"
same "up" "true true null" "$(fake '[.links[] | select(.name | IN("enp1s0", "enp2s0", "enp3s0")) | .up] | map(tostring) | join(" ")')"
same "journals" "" "$(left_journals)"
same "made by vnetd" "true true" "$(json '[.pools[] | select(.name == "a") | .uplinks[].created] | map(tostring) | join(" ")' pool list)"
expect 0 'VF 0 of a' attach vm1
expect 0 'is detached' detach vm1
same "idle again" '{"index":0,"spoofchk":true}' \
	"$(fake ".vfs[\"$pf0\"][0] | {index, spoofchk, mac, trust, vlan} | with_entries(select(.value)) | tojson")"
stop
end_listener

note "VFs that are there stay, whatever their number: it is told"
config '[pool a]' 'uplink = enp1s0 enp2s0' 'vfs = 5'
before=$(writes)
start_ready
expect 0 'pool a: vfs = 5 has to wait: enp1s0 has 3 VFs, 0 of them in use' pool list
same "VFs" "3 3" "$(numvfs $pf0) $(numvfs $pf1)"
same "writes" "$before" "$(writes)"

note "more than the NIC can have: what it can, and a problem"
new_host --pfs 1
config '[pool a]' 'uplink = enp1s0' 'vfs = 9'
start_ready
same "VFs" 7 "$(numvfs $pf0)"
expect 0 'pool a: vfs = 9, but enp1s0 can have 7 at most' pool list

note "a kernel that refuses costs its uplink alone, and not READY; tried again when needed"
new_host --pfs 2 --guests 1
config '[pool a]' 'uplink = enp1s0' 'vfs = 2' '[pool b]' 'uplink = enp2s0' 'vfs = 2'
keep fresh
kernel_fails "write:*/$pf0/sriov_numvfs EIO"
listen
start
is_ready 20
same "VFs" "0 2" "$(numvfs $pf0) $(numvfs $pf1)"
same "autoprobe" 1 "$(cat "$host/sys/bus/pci/devices/$pf0/sriov_drivers_autoprobe")"
expect 0 'pool a: VFs of enp1s0: set numvfs of 0000:01:00.0 to 2: .*Input/output error' pool list
same "journals" "" "$(left_journals)"
[ ! -e "$run/pools/$pf0.json" ] || fail "marked as made"
kernel_well
expect 0 'VF 0 of a' attach vm1 --pool a
same "VFs" 2 "$(numvfs $pf0)"
same "problem" null "$(json '.pools[0].problem' pool list)"
stop
end_listener

note "a kernel that does not come back: READY all the same, and requests are served before"
new_host --pfs 2 --guests 1
config '[pool a]' 'uplink = enp1s0' 'vfs = 2' '[pool b]' 'uplink = enp2s0'
kernel_fails "hang write:*/$pf0/sriov_numvfs"
: >"$log"
start
expect 0 '^b +configured' pool list
expect 1 'reload: vnetd is still at the pools of its start' reload
kill -HUP "$daemon"
kernel_well
wait_for 20 grep -q 'info: ready' "$log"
wait_for 20 grep -q 'the configuration was read anew' "$log" || fail "a signal is lost"
wait_for 10 has_vfs $pf0 2 || fail "not made"
stop

note "an uplink that is not there is waited for, no longer than start-wait-sec"
new_host --pfs 2 --pf-unbound 1
config '[vnetd]' 'start-wait-sec = 60' '[pool a]' 'uplink = enp1s0' 'vfs = 2' \
	'[pool b]' "uplink = $pf1" 'vfs = 3'
listen
: >"$log"
start
wait_for 10 grep -q 'pool a: enp1s0 has 2 VFs now' "$log" || fail "what is there waits too"
! ready || fail "ready without the uplink"
device=$(readlink -f "$host/sys/bus/pci/devices/$pf1")
ln -s "$(realpath --relative-to="$device" "$host/sys/bus/pci/drivers/igb")" "$device/driver"
ln -s "../../devices/$pf1" "$host/sys/bus/pci/drivers/igb/$pf1"
change_fake ".links += [{ifindex: 77, name: \"enp2s0\", pci: \"$pf1\", mac: \"52:54:00:02:00:00\", mtu: 1500}]"
mkdir -p "$host/sys/bus/pci/devices/$pf1/net/enp2s0"
echo 77 >"$host/sys/bus/pci/devices/$pf1/net/enp2s0/ifindex"
is_ready 20
same "at READY" "VFs 2 3" "$(grep -o '^READY=1.*' "$work/heard" | grep -o 'VFs.*')"
stop
end_listener
config '[vnetd]' 'start-wait-sec = 1' '[pool a]' 'uplink = enp77s0' 'vfs = 2'
listen
start
is_ready 20
expect 0 'uplink enp77s0 is not there' pool list
stop
end_listener

note "the host's own PF: only where it is named itself"
new_host --pfs 2 --host-used 0 --host-used 1
config '[pool a]' 'uplink = enp1s0' 'vfs = 2' '[pool b]' 'uplink = enp2*' 'vfs = 2'
start_ready
same "VFs" "2 0" "$(numvfs $pf0) $(numvfs $pf1)"
grep -q 'pool a: making VFs interrupts the link of enp1s0, which the host uses' "$log" || fail "not told"
expect 0 'pool b: no VFs are made of enp2s0, which the host uses' pool list
stop

note "killed while it makes them: the next one rolls forward, or back to nothing and again"
for point in numvfs:before numvfs:set numvfs:after link-up:before link-up:after autoprobe:after; do
	new_host --pfs 1 --guests 1
	config '[pool a]' 'uplink = enp1s0' 'vfs = 2'
	mkdir -p "$run"
	fault "knob:$point" kill
	launch
	died
	start_ready
	same "VFs ($point)" "2 0 true" "$(numvfs $pf0) $(cat "$host/sys/bus/pci/devices/$pf0/sriov_drivers_autoprobe") $(fake '.links[] | select(.name == "enp1s0") | .up')"
	same "journals" "" "$(left_journals)"
	same "made by vnetd" true "$(json '.pools[0].uplinks[0].created' pool list)"
	stop
done

note "killed while it makes them, and no longer wanted: the PF is as it was"
new_host --pfs 1
mkdir -p "$run"
config '[pool a]' 'uplink = enp1s0' 'vfs = 2'
keep fresh
fault knob:numvfs:before kill
launch
died
rm "$work/config/vnetd.conf"
start_ready
back_as fresh
same "journals" "" "$(left_journals)"
stop

note "a journal that nobody can read is kept, and the VFs are made"
new_host --pfs 1
config '[pool a]' 'uplink = enp1s0' 'vfs = 2'
mkdir -p "$run/pools/journal"
echo junk >"$run/pools/journal/$pf0"
start_ready
same "VFs" 2 "$(numvfs $pf0)"
wait_for 20 test -e "$run/pools/journal/$pf0.unreadable" || fail "not kept"
