#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every single write to the kernel failing in turn, on the way there and on the way back:
# the error names the knob, nothing is left but what belongs to the pool, and the same
# command works afterwards.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0 mac=52:54:00:aa:00:01
attach=(attach vm1 --mode vf --pool enp1s0 --mac "$mac" --vlan '100 qos 3' --name net0)
knobs='autoprobe|numvfs|link-up|driver|vf-vlan|vf-trust|vf-spoofchk|vf-mac'

# Three hosts: VFs still to be made; of others and on their driver, with every
# attribute set; of others and on vfio-pci already.
host_fresh() { new_host --pfs 1 --guests 1; }
host_native() {
	new_host --pfs 1 --guests 1 --existing-vfs 2 --bound igbvf --pf-up 0
	change_fake ".vfs[\"$pf0\"][0] += {mac: \"52:54:00:01:01:00\", vlan: \"9 qos 2\", trust: true, spoofchk: false}"
}
host_vfio() { new_host --pfs 1 --guests 1 --existing-vfs 2 --bound vfio-pci --pf-up 0; }

# As it was, save that a PF whose VFs were made keeps them, and may be up.
as_before() {
	local name=before
	[ "$kind" != fresh ] || [ "$(numvfs $pf0)" = 0 ] || name=made
	back_as $name 'link enp1s0 '
	[ "$(state_of vm1/net0)" = none ] || fail "vm1/net0 is $(state_of vm1/net0)"
}

# What is written when all is well: $there writes there, $back back.
all_well() { # KIND
	kind=$1
	"host_$kind"
	keep before
	start
	expect 0 '^vm1/net0: ' "${attach[@]}"
	there=$(writes)
	expect 0 'is detached' detach vm1
	back=$(($(writes) - there))
	keep made
	[ "$kind" = fresh ] || back_as before
	note "$kind: $there writes there, $back back"
}

each_write_there() {
	local n
	note "$kind: each write of an attach fails"
	for n in $(seq "$there"); do
		"host_$kind"
		start
		kernel_fails "nth $n EIO"
		expect 1 "attach vm1/net0: set ($knobs) of $pf0.* to .*: Input/output error" "${attach[@]}"
		says injected "$(<"$host/writes.log")"
		as_before
		expect 0 '^vm1/net0: ' "${attach[@]}"
		expect 0 'is detached' detach vm1
		as_before
	done
}

each_write_back() {
	local n rc stuck=0
	note "$kind: each write of a detach fails: stuck, and said; detach again cleans"
	for n in $(seq "$back"); do
		"host_$kind"
		start
		expect 0 '^vm1/net0: ' "${attach[@]}"
		rm "$host/writes.log"
		kernel_fails "nth $n EIO"
		rc=0
		vnet detach vm1 >"$work/out" 2>"$work/err" || rc=$?
		says injected "$(<"$host/writes.log")"
		if [ $rc = 0 ]; then
			ok "write $n of a detach failed, and nothing is left all the same"
			as_before
			continue
		fi
		same "exit code" 5 $rc
		stuck=$((stuck + 1))
		says "put ($knobs) of $pf0/vf0 back to .*: Input/output error" "$(<"$work/err")"
		same "state" stuck "$(state_of vm1/net0)"
		says 'Input/output error' "$(json '.attachment.reason' show vm1/net0)"
		expect 0 'VF 1 of enp1s0' attach vm1 --pool enp1s0 --name other
		expect 0 'vm1/other is detached' detach vm1 other
		expect 0 'vm1/net0 is detached' detach vm1
		as_before
	done
	[ $stuck -gt 0 ] || fail "no write of a detach was missed"
}

matrix() { # KIND
	all_well "$1"
	each_write_there
	each_write_back
}
matrix_fresh() { matrix fresh; }
matrix_native() { matrix native; }
matrix_vfio() { matrix vfio; }

told() { grep -oE 'put [a-z-]+ of' <<<"$err" | cut -d' ' -f2 | sort -u | xargs; }

residue() {
	kind=native
	note "the attach fails, and its way back too: said, stuck; detach cleans"
	host_native
	keep before
	start
	kernel_fails 'vf_set:mac:* EIO' 'write:*/vfio-pci/unbind EPERM'
	expect 1 'set vf-mac of .*Input/output error; and left behind: put driver of .*Operation not permitted' "${attach[@]}"
	same "state" stuck "$(state_of vm1/net0)"
	expect 1 'it is stuck now' "${attach[@]}"
	kernel_well
	expect 0 'vm1/net0 is detached' detach vm1
	as_before

	note "nothing of a detach works: all of it is told; what is mended meanwhile is not"
	expect 0 '^vm1/net0: ' "${attach[@]}"
	kernel_fails 'vf_set:* EIO' 'write:* EIO'
	expect 5 'not all could be put back' detach vm1
	same "told" "driver vf-mac vf-spoofchk vf-trust vf-vlan" "$(told)"
	kernel_fails 'vf_set:mac:* EIO'
	expect 5 'put vf-mac' detach vm1
	same "told" "vf-mac" "$(told)"
	restart
	same "state" stuck "$(state_of vm1/net0)"
	kernel_well
	expect 0 'vm1/net0 is detached' detach vm1
	as_before

	note "somebody else changes what vnetd had set: left alone, and said"
	expect 0 '^vm1/net0: ' "${attach[@]}"
	change_fake ".vfs[\"$pf0\"][0].mac = \"52:54:00:dd:00:01\" | .vfs[\"$pf0\"][0].vlan = \"77\""
	expect 5 'somebody else set it to 52:54:00:dd:00:01 since vnetd set 52:54:00:aa:00:01: left alone' detach vm1
	same "told" "vf-mac vf-vlan" "$(told)"
	same "state" none "$(state_of vm1/net0)"
	same "VF" "52:54:00:dd:00:01 77 true false" \
		"$(fake ".vfs[\"$pf0\"][0] | \"\(.mac) \(.vlan) \(.trust) \(.spoofchk)\"")"
}

silence() {
	local what
	note "what says yes and does nothing is found out"
	kind=native
	host_native
	keep before
	for what in 'vf_set:mac:*' 'vf_set:vlan:*' 'vf_set:trust:*' 'vf_set:spoofchk:*' \
		'write:*/driver_override' 'write:*/igbvf/unbind' 'write:*/vfio-pci/bind'; do
		host_native
		start
		kernel_fails "silent $what"
		expect 1 "set ($knobs) of $pf0/vf0 .*(accepted it|said yes|reads|No such device)" "${attach[@]}"
		kernel_well
		as_before
	done
	all_well fresh
	for what in 'write:*/sriov_drivers_autoprobe' 'write:*/sriov_numvfs' 'link_up:*'; do
		host_fresh
		start
		kernel_fails "silent $what"
		expect 1 "set (autoprobe|numvfs|link-up) of $pf0 .*(accepted it|said yes)" "${attach[@]}"
		kernel_well
		as_before
	done

	note "a worker that dies in the middle of its write"
	for what in 'write:*/vfio-pci/bind' 'vf_set:mac:*' 'write:*/sriov_numvfs'; do
		host_fresh
		start
		kernel_fails "die $what"
		expect 1 "set ($knobs) of .*the worker died while it did: setting" "${attach[@]}"
		as_before
		expect 0 '^vm1/net0: ' "${attach[@]}"
	done
}

others_made_them() {
	note "VFs that vnetd failed to make are not taken for its own when others made them"
	host_fresh
	start
	kernel_fails 'write:*/sriov_numvfs ENOSPC'
	expect 1 'set numvfs of .*No space' "${attach[@]}"
	expect 0 enp1s0 inventory # the next look at the host
	stop
	mv "$run" "$work/kept"
	host_native
	keep found
	mv "$work/kept" "$run"
	start
	expect 0 '^vm1/net0: ' "${attach[@]}"
	expect 0 'vm1/net0 is detached' detach vm1
	back_as found
}

side_by_side matrix_fresh matrix_native matrix_vfio residue silence others_made_them
