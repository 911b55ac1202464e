#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Files of vnetd's own state that are torn, empty, of a newer version or of something else, while
# a guest holds its VF: the guest keeps its NIC, the file is kept aside, what it knew is known
# again from the guest's XML, and the way back still ends at an idle VF.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0 uuid1=00000000-0000-4000-8000-000000000001
mac=52:54:00:aa:00:01
state=attachments/$uuid1.net0.json journal=journal/$uuid1.net0 mark=pools/$pf0.json

known() { vnet why vm2; }
vf0() { fake ".vfs[\"$pf0\"][0] | \"\(.mac) \(.vlan)\""; }
listed() { json '[.attachments[] | "\(.guest)/\(.name) \(.state) \(.vf)"] | join(", ")' list; }
aside() { find "$run" -name '*.unreadable' -printf '%P\n' | sort | xargs; }

# vm1 runs with VF 0; vnetd does not.
begin_with() {
	new_host --pf-up 0
	start
	expect 0 '^vm1/net0: ' attach vm1 --mode vf --pool enp1s0 --mac $mac --vlan 100
	held=$(fake '.holders | tojson')
	rm "$host/writes.log"
	stop
}

# It runs on those files: nothing of the host is touched, vm1 has its NIC, others serve.
goes_on() { # WHAT STATE FILES-KEPT-ASIDE
	start
	wait_for 15 known || fail "$1: the guests do not get known"
	same "$1: list" "vm1/net0 $2 0000:01:10.0" "$(listed)"
	same "$1: kept aside" "$3" "$(aside)"
	same "$1: QEMU holds" "$held" "$(fake '.holders | tojson')"
	same "$1: VF" "$mac 100" "$(vf0)"
	[ ! -e "$host/writes.log" ] || fail "$1: something was written: $(<"$host/writes.log")"
	for file in $3; do
		says "${file##*/} ?.*|${file##*/}" "$(grep -a 'cannot be read and was kept as' "$log")"
	done
	expect 0 'has it|is in use: guest vm1' why vm2 --pool enp1s0
}

# And back: whatever was lost, the VF ends idle.
goes_back() { # WHAT
	restart
	wait_for 15 known
	expect 0 'vm1/net0 is detached' detach vm1/net0
	same "$1: VF" "null null" "$(vf0)"
	same "$1: driver" "" "$(find "$host/sys/bus/pci/devices/0000:01:10.0/" -name driver)"
	same "$1: holders" "[]" "$(fake '.holders | tojson')"
	expect 0 'no attachments' list
	expect 0 '^vm2/net0: ' attach vm2 --pool enp1s0
	alive || fail "$1: vnetd is dead"
}

spoil() { # FILE HOW
	local file=$run/$1
	case $2 in
	torn) truncate -s $(($(stat -c %s "$file") / 2)) "$file" ;;
	empty) : >"$file" ;;
	newer) sed -i '0,/"version": *1/s//"version": 2/' "$file" ;;
	version0) sed -i '0,/"version": *1/s//"version": 0/' "$file" ;;
	no-version) sed -i '0,/"version": *1,/s///' "$file" ;;
	noise) head -c 3000 /dev/urandom >"$file" ;;
	huge) head -c 300000 /dev/zero | tr '\0' ' ' >>"$file" ;;
	array) echo '[]' >"$file" ;;
	nul) printf '\0' >"$file" ;;
	esac
}

# The attachment's file: adopted anew, with a new journal.
attachment_files() {
	for how in torn empty newer version0 no-version noise huge array nul; do
		begin_with
		spoil $state $how
		goes_on "state $how" in-use "$state.unreadable $journal.unreadable"
		same "state $how: adopted" "adopted: no state file knew it" \
			"$(json '.attachment.reason' show vm1/net0)"
		goes_back "state $how"
	done
	for edit in 's/"pf": "[^"]*"/"pf": "x"/' 's/"state": "in-use"/"state": "on fire"/' \
		's/"vfIndex": 0/"vfIndex": 70000/' 's/"mac": "[^"]*"/"mac": 5/' 's/"uuid": "[^"]*"/"uuid": "..\/..\/x"/' \
		's/"guest": "vm1"/"guest": "vm\/1"/' 's/"name": "net0"/"name": "net9"/'; do
		begin_with
		sed -i "$edit" "$run/$state"
		goes_on "$edit" in-use "$state.unreadable $journal.unreadable"
		goes_back "$edit"
	done
	begin_with
	cp "$run/$state" "$run/attachments/$uuid1.net5.json"
	goes_on "a second file of it" in-use "attachments/$uuid1.net5.json.unreadable"
	goes_back "a second file of it"
}

# The journal: where it is empty or lacks its end it is made anew; one that is not understood holds the VF.
journals() {
	for how in empty newer version0 no-version noise array; do
		begin_with
		spoil $journal $how
		if [ $how = empty ]; then
			goes_on "journal $how" in-use "$journal.unreadable"
		else
			goes_on "journal $how" stuck "$journal.unreadable"
		fi
		goes_back "journal $how"
	done
	begin_with
	lines=$(wc -l <"$run/$journal")
	for ((n = 1; n < lines - 1; n++)); do # down to all but its hand-over
		begin_with
		sed -i "$n,\$d" "$run/$journal"
		goes_on "journal cut at line $n" in-use "$journal.unreadable"
		goes_back "journal cut at line $n"
	done
	begin_with
	sed -i '/confirmed/d' "$run/$journal"
	goes_on "journal without its last line" in-use ""
	goes_back "journal without its last line"
}

# Both, and that vnetd made the VFs.
all_files() {
	for how in torn empty newer noise huge nul; do
		begin_with
		spoil $state $how
		spoil $journal $how
		spoil $mark $how
		goes_on "all $how" in-use "$state.unreadable $journal.unreadable $mark.unreadable"
		goes_back "all $how"
	done
	for how in torn empty newer version0 no-version noise huge array; do
		begin_with
		spoil $mark $how
		goes_on "mark $how" in-use "$mark.unreadable"
		same "mark $how: VFs" found "$(json '.pools[] | select(.name == "enp1s0") | if .created then "made" else "found" end' inventory)"
		goes_back "mark $how"
	done
}

# Again and again: what was kept before is not replaced.
again() {
	begin_with
	for n in 1 2 3; do
		echo "torn $n" >"$run/$state"
		start
		wait_for 15 known
		stop
	done
	same "kept" "torn 1 torn 2 torn 3" "$(cat "$run"/attachments/*.unreadable | sort | xargs)"
	start
	wait_for 15 known
	same "list" "vm1/net0 in-use 0000:01:10.0" "$(listed)"
}

# What is no file.
no_files() {
	begin_with
	rm "$run/$state"
	mkdir "$run/$state"
	start
	wait_for 15 known
	same "list" "vm1/net0 in-use 0000:01:10.0" "$(listed)"
	for file in $state $journal $mark; do # nobody writes into them
		begin_with
		rm "$run/$file"
		mkfifo "$run/$file"
		start
		wait_for 15 known || fail "it waits for a pipe in the place of $file"
		same "kept aside" yes "$([[ $(aside) == *$file.unreadable* ]] && echo yes)"
		goes_back "a pipe for $file"
	done
}

side_by_side attachment_files journals all_files again no_files
