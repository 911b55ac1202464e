#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vnetctl's side of guests without libvirt: what it sends, and what becomes of the answer.
# exec-cli.py is the daemon here.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

server=
end() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	rm -rf "$work"
}
trap end EXIT

/usr/bin/python3 "$top/tests/flow/exec-cli.py" "$socket" "$work/reply" "$work/calls" &
server=$!
wait_for 10 test -S "$socket" || fail "no server"

reply() { cat >"$work/reply"; }
ctl() { "$build/vnetctl" --socket="$socket" "$@"; }
refused() { # STATUS PATTERN ARG...
	local status=$1 pattern=$2 out r=0
	shift 2
	out=$(ctl "$@" 2>&1) || r=$?
	[ "$r" = "$status" ] || fail "vnetctl $*: exit $r: $out"
	says "$pattern" "$out"
	ok "vnetctl $* (exit $r): $out"
}
last_call() { tail -n 1 "$work/calls" | jq -c "$1"; }

reply <<'END'
{"parameters": {"attachment": {"mode": "vhost-net", "name": "net0"},
 "fds": [{"role": "tap", "index": 0}, {"role": "tap", "index": 1},
  {"role": "vhost", "index": 2}, {"role": "vhost", "index": 3}],
 "values": {"mac": "52:54:00:00:00:01", "host": null},
 "arguments": ["-netdev", "tap,id=net0,fds=@net0.tap,vhostfds=@net0.vhost"]}}
END

note "the command inherits the descriptors, by the numbers that it is told"
# shellcheck disable=SC2016 # for the shell inside
look='for n in ${1//:/ }; do readlink "/proc/$$/fd/$n"; done; echo "$2"'
same "descriptors" '/memfd:tap (deleted)|/memfd:tap (deleted)|/memfd:vhost (deleted)|/memfd:vhost (deleted)|mac=52:54:00:00:00:01' \
	"$(ctl exec vm5 --mode vhost-net -- bash -c "$look" x @net0.tap:@net0.vhost mac=@net0.mac | paste -sd'|')"
same "the call" '{"guest":"vm5","modes":["vhost-net"],"name":"net0"}' \
	"$(last_call '.parameters | {guest, modes, name}')"
same "the method" '"io.vnetd.Exec"' "$(last_call .method)"

note "nothing else is left open, standard ones may be closed, and the process stays the same"
# shellcheck disable=SC2016
same "open: descriptors, sockets" '4 0' \
	"$(ctl exec vm5 -- bash -c 'echo "$(readlink /proc/$$/fd/* | grep -c memfd:)" "$(readlink /proc/$$/fd/* | grep -c socket:)"' </dev/null)"
# shellcheck disable=SC2016
says '^[3-9] [3-9]$' "$(ctl exec vm5 -- bash -c 'echo ${1//:/ }' x @net0.tap <&- 2>&-)"
# shellcheck disable=SC2016
bash -c 'echo $$; exec "$@"' x "$build/vnetctl" --socket="$socket" exec vm5 -- bash -c 'echo $$' >"$work/pids"
same "one process" 1 "$(sort -u "$work/pids" | wc -l)"
same "its exit code" 42 "$(ctl exec vm5 -- sh -c 'exit 42' || echo $?)"

note "all arguments at once; no shell; arguments that look like options"
# shellcheck disable=SC2016
same "arguments" '-m|64|-netdev|tap,id=net0,fds=F:F,vhostfds=F:F|$HOME;*|--json' \
	"$(ctl exec vm5 -- printf '%s\n' -m 64 @net0 '$HOME;*' --json | sed -E 's/[0-9]+:[0-9]+/F:F/g' | paste -sd'|')"
same "a name of one's own" '@net0.tap|52:54:00:00:00:01' \
	"$(ctl exec vm5/wan -- printf '%s\n' x@net0.tap @wan.mac | sed 's/^x//' | paste -sd'|')"

note "what is refused before anything is asked for"
: >"$work/calls"
refused 2 'put -- before' exec vm5 true
refused 2 'the command is missing' exec vm5
refused 2 'the command is missing' exec vm5 --
refused 2 'unrecognized option' exec vm5 --live -- true
refused 2 '@net0.taps is not known' exec vm5 -- true @net0.taps
refused 2 'no NIC net1' exec vm5 -- true fd=@net1.tap
refused 2 'neither --live nor --config' attach vm5 --live --qmp "$work/qmp"
refused 1 'cannot reach a QEMU' attach vm5 --qmp "$work/qmp"
refused 1 'cannot reach a QEMU' detach vm5 --qmp "$work/qmp"
same "calls" 0 "$(wc -l <"$work/calls")"

note "and after"
refused 2 'mode vhost-net has no @net0.host: it has @net0.tap @net0.vhost @net0.mac' exec vm5 -- true @net0.host
refused 1 'cannot run /nonexistent: No such file' exec vm5 -- /nonexistent
reply <<<'{"error": "io.vnetd.Failed", "parameters": {"text": "no luck", "errno": 5}}'
refused 1 'no luck' exec vm5 -- true

note "a QMP socket goes along, connected here"
/usr/bin/python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(60)' "$work/qmp" &
qemu=$!
wait_for 10 test -S "$work/qmp" || fail "no QMP socket"
reply <<<'{"parameters": {"attachment": {"guest": "vm5", "name": "net0", "state": "in-use"}, "done": true}}'
ctl attach vm5 --qmp "$work/qmp" --mode tap >/dev/null
same "attach" '["io.vnetd.Attach",true,["socket"]]' "$(last_call '[.method, .parameters.qmp, .came]')"
ctl detach --qmp "$work/qmp" vm5 net0 >/dev/null
same "detach" '["io.vnetd.Detach","net0",true,["socket"]]' \
	"$(last_call '[.method, .parameters.name, .parameters.qmp, .came]')"
kill "$qemu"
