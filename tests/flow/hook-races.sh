#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Starts and ends of guests that meet something else: a hook of before, a vnetd that died,
# a detach or attach under way, another guest that names the same VF, an edited XML. libvirt
# holds a guest's lock while its hook runs, so none of it may wait for libvirt: here it
# answers nothing about that guest meanwhile.
# shellcheck disable=SC2317 # functions that are called by name
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0 mac=52:54:00:aa:00:01

listed() { json "[.attachments[] | \"\(.guest)/\(.name) \(.state)\"] | sort | join(\", \")" list; }
to_be() { sed 's/<domain /<domain id="7" /' "$host/${2:-guests}/$1.xml"; } # GUEST: XML of its start

# As hook, and it ends without libvirt's help or not at all.
soon() { # GUEST OPERATION [EXTRA] <XML
	VNETD_SOCKET=$socket timeout 30 "$build/vnetd-hook" "$1" "$2" begin "${3:--}" 2>"$work/hook"
}

# In the background: $work/NAME.rc is its end, $work/NAME.err what it said.
begin_start() { # NAME [FOLDER]
	rm -f "$work/$1.rc"
	{
		local rc=0
		to_be vm1 "${2:-guests}" | VNETD_SOCKET=$socket timeout 30 "$build/vnetd-hook" vm1 prepare begin - \
			2>"$work/$1.err" || rc=$?
		echo $rc >"$work/$1.rc"
	} &
	starts=$((${starts:-0} + 1))
	told() { [ "$(grep -c 'guest vm1 starts' "$log")" -ge "$starts" ]; }
	wait_for 10 told || fail "vnetd is not told of the start"
}

ended_start() { # NAME CODE
	wait_for 30 test -s "$work/$1.rc" || fail "$1 does not end"
	same "$1: $(<"$work/$1.err")" "$2" "$(<"$work/$1.rc")"
}

refused() { # PATTERN: the guest to be does not start, and why
	! soon vm1 prepare || fail "it is not refused"
	says "$1" "$(<"$work/hook")"
	soon vm1 release failed <"$host/guests/vm1.xml" || fail "a release fails"
	ok "refused: $1"
}

libvirt_waits() { : >"$host/guests/$1.hang"; } # GUEST
libvirt_answers() { rm "$host/guests/$1.hang"; }

# vm1 is shut off and has VF 0 of enp1s0 in its configuration.
one_reserved() { # OPTIONS OF MKHOST...
	new_host --pf-up 1 "$@"
	shut_off vm1
	start
	expect 0 'reserved' attach vm1 --pool enp1s0 --mac $mac --vlan 100
	keep reserved
}

release_meets_detach() {
	note "the guest ends while its metadata is still being cleaned of a detached NIC"
	new_host --pf-up 1
	start
	keep fresh
	expect 0 '^vm1/net0: ' attach vm1 --pool enp1s0
	: >"$host/guests/vm1.stubborn"
	begin cut detach vm1
	becomes vm1/net0 detaching
	libvirt_waits vm1
	rm "$host/guests/vm1.stubborn"
	becomes vm1/net0 releasing
	soon vm1 release destroyed <"$host/guests/vm1.xml" || fail "the end of a guest waits for libvirt"
	ended 10 cut 0 'vm1/net0 is detached'
	same "list" "" "$(listed)"
	libvirt_answers vm1
}

dead_hook() {
	note "a hook that nobody waits for any more does not stand in the way of the next start"
	one_reserved
	mv "$host/sys/bus/pci/devices/$pf0" "$work/pf"
	begin_start first
	begin_start second
	mv "$work/pf" "$host/sys/bus/pci/devices/$pf0"
	ended_start first 1
	ended_start second 0
	same "list" "vm1/net0 ready" "$(listed)"
	soon vm1 release failed <"$host/guests/vm1.xml"
	back_as reserved

	note "its end comes while its start still waits"
	mv "$host/sys/bus/pci/devices/$pf0" "$work/pf"
	begin_start third
	soon vm1 release failed <"$host/guests/vm1.xml"
	mv "$work/pf" "$host/sys/bus/pci/devices/$pf0"
	ended_start third 1
	same "list" "vm1/net0 reserved" "$(listed)"
	back_as reserved
}

attach_meets_start() {
	note "the guest starts before libvirt's answer to an attach to its configuration is here"
	new_host --pf-up 1
	shut_off vm1
	start
	fault libvirt:attach:after kill
	begin cut attach vm1 --pool enp1s0 --mac $mac
	died
	mv "$host/guests" "$host/.guests"
	start
	same "list" "vm1/net0 ready" "$(listed)"
	to_be vm1 .guests | soon vm1 prepare || fail "refused: $(<"$work/hook")"
	same "list" "vm1/net0 ready" "$(listed)"
	soon vm1 release failed <"$host/.guests/vm1.xml"
	mv "$host/.guests" "$host/guests"
	becomes vm1/net0 reserved

	note "and before its answer to a detach"
	libvirt_waits vm1
	begin cut detach vm1
	becomes vm1/net0 detaching
	to_be vm1 | soon vm1 prepare || fail "refused: $(<"$work/hook")"
	ended 10 cut 1 'detach vm1/net0: the guest starts with it just now: detach it again'
	same "list" "vm1/net0 ready" "$(listed)"
	# libvirt lets the detach in when the start is over, not before
	soon vm1 release failed <"$host/guests/vm1.xml"
	libvirt_answers vm1
	becomes vm1/net0 none
}

detach_meets_end() {
	note "a detach from the configuration is not over because the guest ended"
	new_host --pf-up 1
	cp "$host/guests/vm1.xml" "$host/guests/vm1.config"
	start
	expect 0 '^vm1/net0: .*reserved' attach vm1 --pool enp1s0 --config
	libvirt_waits vm1
	begin cut detach vm1
	becomes vm1/net0 detaching
	mv "$host/guests/vm1.config" "$host/guests/vm1.xml"
	shut_off vm1
	soon vm1 release destroyed <"$host/guests/vm1.xml"
	same "state" detaching "$(state_of vm1/net0)"
	[ ! -e "$work/cut.rc" ] || fail "it is answered: $(<"$work/cut.out")"
	libvirt_answers vm1
	ended 10 cut 0 'it was reserved'
	! grep -q vnetd "$host/guests/vm1.xml" || fail "something of it stays"
}

clones() {
	note "two guests that name the same VF: the first one to start has it"
	one_reserved
	sed '/<name>\|<uuid>/s/vm1/vm3/; /<uuid>/s/0001</0003</; s/\(mac address=.\)52:54:00:aa/\152:54:00:bb/' \
		"$host/guests/vm1.xml" >"$host/guests/.vm3"
	: >"$host/guests/vm3.off"
	mv "$host/guests/.vm3" "$host/guests/vm3.xml"
	becomes vm3/net0 reserved
	virsh_start vm1 || fail "refused: $(<"$work/hook")"
	becomes vm1/net0 in-use
	! virsh_start vm3 || fail "both have it"
	says 'vm1/net0 has it' "$(<"$work/hook")"
	becomes vm1/net0 in-use
	virsh_destroy vm1
	virsh_start vm3 || fail "refused: $(<"$work/hook")"
	becomes vm3/net0 in-use
	same "MAC, as the clone's XML has it" "52:54:00:bb:00:01" "$(fake ".vfs[\"$pf0\"][0].mac")"
	same "and the list" "52:54:00:bb:00:01" "$(json .attachment.mac show vm3/net0)"
	virsh_destroy vm3
}

edited() {
	local xml=$work/edited
	note "the device of the XML is not the VF that the metadata tells of"
	one_reserved
	to_be vm1 | sed "s/slot='0x10' function='0x0'/slot='0x10' function='0x4'/; s/slot=\"0x10\" function=\"0x0\"/slot=\"0x10\" function=\"0x4\"/" >"$xml"
	refused 'VF 0 of 0000:01:00.0 is at 0000:01:10.0 now and .* names 0000:01:10.4' <"$xml"
	back_as reserved

	note "metadata that cannot be read, or is not there, for a device of ours"
	to_be vm1 | sed 's/vlan="100"/vlan="no such"/' >"$xml"
	refused 'net0: vnetd.s metadata in the guest.s XML cannot be read' <"$xml"
	back_as reserved

	note "one NIC named twice"
	to_be vm1 | sed 's/\(<vnetd:nic name="net0".*\)vf-index="0"\([^>]*\/>\)/\1vf-index="0"\2\1vf-index="1"\2/' >"$xml"
	same "entries" 2 "$(grep -o '<vnetd:nic ' "$xml" | wc -l)"
	hook vm1 prepare <"$xml" || fail "the entry that is the device's does not count"
	same "VF of vm1/net0" 0 "$(json .attachment.vfIndex show vm1/net0)"
	hook vm1 release failed <"$host/guests/vm1.xml"
	back_as reserved

	note "a VF that its PF can't have"
	to_be vm1 | sed 's/vf-index="0"/vf-index="200"/' >"$xml"
	refused 'net0: .* VF 200 ' <"$xml"
	to_be vm1 | sed 's/vf-index="0"//' >"$xml"
	refused 'net0: .*which VF' <"$xml"
	back_as reserved
}

ends_stuck() {
	virsh_start vm1 || fail "refused: $(<"$work/hook")"
	becomes vm1/net0 in-use
	kernel_fails 'write:*/vfio-pci/unbind EIO'
	virsh_destroy vm1
	becomes vm1/net0 stuck
	kernel_well
}

stuck() {
	note "what could not be taken back stands in the way, and is said; detach leaves nothing of it"
	one_reserved --existing-vfs 2 --no-vfs-on 1 --bound igbvf
	ends_stuck
	to_be vm1 >"$work/xml"
	refused "net0: .*not taken back \(stuck.*detach vm1 net0 --live" <"$work/xml"
	expect 0 'vm1/net0 is detached' detach vm1 --live
	same "list" "vm1/net0 reserved" "$(listed)"
	back_as reserved
	ends_stuck
	expect 0 'vm1/net0 is detached' detach vm1
	same "list, of a detach without a scope" "" "$(listed)"
}

metadata_of_a_cut_attach() {
	note "cut off between the metadata and the device, and the guest ended: no entry stays"
	new_host --pf-up 1
	cp "$host/guests/vm1.xml" "$host/guests/vm1.config"
	start
	fault libvirt:attach:before kill
	begin cut attach vm1 --pool enp1s0
	died
	grep -q urn:vnetd "$host/guests/vm1.config" || fail "no metadata in the configuration yet"
	mv "$host/guests/vm1.config" "$host/guests/vm1.xml"
	shut_off vm1
	start
	becomes vm1/net0 none
	clean() { ! grep -q vnetd "$host/guests/vm1.xml"; }
	wait_for 10 clean || fail "an entry stays in the configuration"
}

old_worker() {
	note "vnetd died within a write: neither start nor end touches the VF before it is over"
	one_reserved
	kernel_fails 'hang write:*/vfio-pci/bind'
	begin_start first
	in_bind() { grep -q '"driver"' "$run"/journal/*.net0 && [ -n "$(workers)" ]; }
	wait_for 10 in_bind
	crash
	ended_start first 1
	mv "$host/guests" "$host/.guests"
	start
	begin_start second .guests
	same "state, while the worker is at it" preparing "$(state_of vm1/net0)"
	kernel_well
	ended_start second 0
	same "state" ready "$(state_of vm1/net0)"
	soon vm1 release failed <"$host/.guests/vm1.xml"
	mv "$host/.guests" "$host/guests"
	becomes vm1/net0 reserved
	back_as reserved
}

side_by_side release_meets_detach dead_hook
side_by_side attach_meets_start detach_meets_end clones
side_by_side edited stuck
side_by_side metadata_of_a_cut_attach old_worker
