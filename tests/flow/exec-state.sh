#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a restart finds of guests without libvirt, where not all of it is as it was left: a
# process that cannot be opened, an attachment that is stuck, a journal that is lost and a mode
# that is gone. What a QEMU may have is not given up before it has ended.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

run() { # ARGS...
	rm -f "$work/said"
	# shellcheck disable=SC2016 # for the shell inside
	"$build/vnetctl" --socket "$socket" exec vm9 "$@" -- sh -c 'echo >"$0"; exec sleep 600' "$work/said" \
		>"$work/run.out" 2>"$work/run.err" &
	pid=$!
	running+=("$pid")
	wait_for 10 test -e "$work/said" || fail "exec $*: $(cat "$work/run.err")"
}

ends() {
	kill "$pid"
	wait "$pid" 2>/dev/null || :
}

new_host --pf-up 0 --existing-vfs 2 --bridge br0 --guests 1
start
keep fresh

note "a process that cannot be opened counts as running until it can"
run --mode vf
stop
fault owned:load EMFILE
start
becomes vm9/net0 in-use
says 'vm9/net0: its process counts as running until it can be seen' "$(<"$log")"
kill -0 "$pid"
ends
becomes vm9/net0 none
back_as fresh
note "whoever ends before it is looked at again"
run --mode vf
stop
fault owned:load EMFILE
ends
start
becomes vm9/net0 none
back_as fresh

note "one that is stuck goes back with the end of its process"
run --mode vf
stop
file=$(echo "$run"/attachments/*.net0.json)
sed -i 's/"state": *"in-use"/"state": "stuck"/' "$file"
start
becomes vm9/net0 stuck
kill -0 "$pid"
ends
becomes vm9/net0 none
back_as fresh

note "its journal is lost, and its mode is gone: QEMU has it, then an administrator must know"
mkdir "$work/plugins"
cp "$build"/plugins/*.so "$work/plugins/"
rm "$work/plugins/vnet-vf.so"
run --mode vf
stop
rm "$run"/journal/*
start --plugins "$work/plugins"
becomes vm9/net0 in-use
expect 1 'belongs to process' detach vm9
stop
start --plugins "$work/plugins"
becomes vm9/net0 in-use
ends
becomes vm9/net0 stuck
expect 0 'its journal is lost, and mode vf, .* is not there' show vm9/net0
expect 0 'is detached' detach vm9
becomes vm9/net0 none
