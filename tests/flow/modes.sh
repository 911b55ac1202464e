#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every mode that is not vf, from the request to the fake kernel and back: live and cold,
# over restarts of vnetd, what is refused, and how a pool chooses among its modes.
# shellcheck disable=SC2317 # functions that are called by name
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/mode-lib.sh"

now() { json '.attachments[] | "\(.guest)/\(.name) \(.state) \(.mode) \(.pool) \(.uplink) \(.mac)"' list; }

# What show tells of it: a pattern for each mode.
declare -A device=(
	[vhost-net]='vn[0-9a-f]{11}' [tap]='vn[0-9a-f]{11}' [macvtap]='vn[0-9a-f]{11}'
	[vdpa]='/.*/vdpa/00000000-0000-4000-8000-000000000001.net0' [passthrough]='0000:02:00.0'
)
declare -A how=(
	[vhost-net]='model=virtio queues=1 vhost=on' [tap]='model=e1000 queues=1 vhost=off'
	[macvtap]='.*queues=1' [vdpa]='' [passthrough]=''
)
declare -A values=( # KNOB=VALUE of the plan
	[vhost-net]='tap=queues 1 net-mac=fe:54:00:aa:00:01 bridge-port=br0 vlan 100 isolated net-up=up'
	[tap]='tap=queues 1 net-mac=fe:54:00:aa:00:01 bridge-port=br0 trunk 10,20-30 net-up=up'
	[macvtap]='macvtap=on enp1s0 mode bridge net-mac=52:54:00:aa:00:01 net-mtu=1400 net-up=up'
	[vdpa]='vdpa=vdpasim_net mac 52:54:00:aa:00:01 vdpa-driver=vhost_vdpa vdpa-path=vn[0-9a-f]{11}'
	[passthrough]='driver=vfio-pci override=vfio-pci'
)

live() {
	local was
	note "$mode: planned, given, told, taken back"
	learn_mode "$mode"
	same "plan" yes "$(vnet --json plan "${attach[@]}" |
		jq -r '[.steps[] | "\(.knob)=\(.after)"] | join(" ")' |
		grep -qxE "${values[$mode]}" && echo yes)"
	expect 0 'then: virsh attach-device vm1 --live: <(interface|hostdev)' plan "${attach[@]}"
	gone
	expect 0 "$mode +[^ ]+ .* yes " why vm1 "${asks[@]}"
	expect 0 "^vm1/net0: $mode " "${attach[@]}"
	says "device +${device[$mode]}" "$(vnet show vm1/net0)"
	says "how +${how[$mode]}" "$(vnet show vm1/net0)$([ -n "${how[$mode]}" ] || echo '  how   ')"
	expect 0 "^vm1/net0 +in-use +$mode +${device[$mode]} " list
	expect 0 'the guest has it already|vm1/net0: ' "${attach[@]}" # asked again: nothing is done
	whole

	note "$mode: vnetd ends and comes back, killed and not, with its files and without"
	was=$(now)
	restart
	same "attachments" "$was" "$(now)"
	whole
	crash
	start
	same "attachments" "$was" "$(now)"
	whole
	stop
	find "$run/attachments" "$run/journal" -type f -delete
	start
	wait_for 10 is_state vm1/net0 in-use
	expect 0 'why +adopted' show vm1/net0
	same "attachments" "$was" "$(now)"
	whole
	expect 0 'vm1/net0 is detached' detach vm1
	gone
}

# What has the name that only vnetd gives is its own.
lost() {
	note "$mode: a life of which nothing is known has left it: it is used, and taken away"
	expect 0 "^vm1/net0: $mode " "${attach[@]}"
	stop
	find "$run/attachments" "$run/journal" -type f -delete
	unplug vm1 net0
	start
	same "state" none "$(state_of vm1/net0)"
	expect 0 "^vm1/net0: $mode " "${attach[@]}"
	whole
	expect 0 'vm1/net0 is detached' detach vm1
	gone
}

cold() {
	note "$mode: in the configuration, while the guest does not run, starts and ends"
	shut_off vm2
	off() { vnet attach vm2 "${asks[@]}" --name net0 --config >"$work/out" 2>&1; }
	wait_for 10 off || fail "attach: $(<"$work/out")"
	becomes vm2/net0 reserved
	keep reserved
	virsh_start vm2 || fail "the start is refused: $(<"$work/hook")"
	becomes vm2/net0 in-use
	started
	restart
	started
	clone
	virsh_destroy vm2 || fail "a release fails"
	becomes vm2/net0 reserved
	back_as reserved
	expect 0 'vm2/net0 is detached' detach vm2
	same "state" none "$(state_of vm2/net0)"
	gone
	rm "$host/guests/vm2.off"
}

# As of the live one, but for another guest.
started() {
	plain() { sed -E 's/vn[0-9a-f]{11}/vnX/g; s/(0000-0000-4000-8000-00000000000)[12]/\1N/g; /^[ <].*vnetd/d'; }
	same_setting() {
		diff -u <(plain <"$work/was.whole" | grep -v "$idle_override") \
			<(dump | plain | grep -v "$idle_override") >"$work/diff"
	}
	wait_for 5 same_setting || fail "vm2 has not the same as vm1 had: $(<"$work/diff")"
}

# Its XML, copied with the metadata: it names what is another guest's.
clone() {
	remember
	sed -e 's,<name>vm2</name>,<name>vm3</name>,; s,-8000-000000000002</uuid>,-8000-000000000003</uuid>,' \
		"$host/guests/vm2.xml" >"$work/vm3.xml"
	! hook vm3 prepare <"$work/vm3.xml" >"$work/hook.out" 2>"$work/hook" ||
		fail "a clone starts with the NIC of another guest"
	hook vm3 release failed <"$work/vm3.xml"
	says '^vnetd: guest vm3: .*(copied from another guest|in use|has it)' "$(<"$work/hook")"
	says 'detach vm3 net0 --config|in use: ' "$(<"$work/hook")"
	unchanged "the clone is refused: $(cut -c 1-200 "$work/hook")"
}

each_of() { # MODE...
	host_of_all_modes
	for mode; do
		live
		[ "$mode" = passthrough ] || lost
		cold
		stop
	done
}
bridges() { each_of vhost-net tap; }
others() { each_of macvtap vdpa passthrough; }

refusals() {
	local ask
	note "options that a mode has not, and values that it cannot take"
	host_of_all_modes
	start
	remember
	for ask in "vhost-net br0 forward=vepa" "vhost-net br0 model=e1000" "macvtap enp1s0 isolated=on" \
		"vdpa vdpasim_net trunk=10" "passthrough enp2s0 mtu=1400" "tap br0 socket=/run/p0"; do
		# shellcheck disable=SC2086 # words
		set -- $ask
		expect 4 "mode $1 (has no option|takes no) .*${3%=*}|${3%=*}.* mode $1" \
			attach vm1 --mode "$1" --pool "$2" -o "$3"
	done
	for ask in "vhost-net br0 queues=0" "vhost-net br0 queues=257" "tap br0 model=ne2k" \
		"vhost-net br0 isolated=maybe" "vhost-net br0 trunk=10-" "vhost-net br0 trunk=5000" \
		"macvtap enp1s0 forward=nowhere" "macvtap enp1s0 mtu=10" "vdpa vdpasim_net queues=9"; do
		# shellcheck disable=SC2086
		set -- $ask
		expect 4 "${3%=*}=${3#*=}" attach vm1 --mode "$1" --pool "$2" -o "$3"
	done
	expect 2 "give KEY=VALUE" attach vm1 --mode tap -o isolated
	expect 2 "queues is given twice" attach vm1 --mode tap --queues 1 -o queues=2
	expect 4 'a macvtap on enp1s0 puts nothing into a VLAN' attach vm1 --mode macvtap --pool enp1s0 --vlan 5
	expect 4 'a vDPA device of vdpasim_net is in no VLAN' attach vm1 --mode vdpa --vlan 5
	expect 4 'nothing on the host can hold it in a VLAN' attach vm1 --mode passthrough --pool enp2s0 --vlan 5
	unchanged "all of it was refused"
}

attach_auto() { # NAME WANTED-MODE [ARGS...]
	local name=$1 wanted=$2
	shift 2
	expect 0 "^vm1/$name: $wanted " attach vm1 --pool lan --name "$name" "$@"
}

auto() {
	note "a pool of three kinds: its modes in their order, and why not an earlier one"
	new_host --pfs 1 --vfs-total 2 --guests 2 --pf-up 0 --bridge br0,vlan --mgmtdev vdpasim_net
	mkdir -p "$work/config"
	cat >"$work/config/vnetd.conf" <<-'CONF'
		[pool lan]
		uplink = enp1s0
		uplink = vdpasim_net
		uplink = br0
		modes = vf vdpa vhost-net
		vfs = 2
	CONF
	start
	has_vfs() { [ "$(numvfs 0000:01:00.0)" = 2 ]; }
	wait_for 10 has_vfs || fail "the pool has no VFs"
	keep before
	attach_auto a vf
	attach_auto b vf
	expect 0 'vf +lan +0000:01:00.0 .* no .*vm1/a has it' why vm1 --pool lan
	expect 4 'vm1/[ab] has it' attach vm1 --pool lan --no-fallback
	attach_auto c vdpa
	says 'why +.*no vf: ' "$(vnet show vm1/c)"
	expect 0 '^vm1/c: mode vdpa, for no vf: .*has it' list
	! vnet list | grep -q '^vm1/[ab]: ' || fail "a VF is the best there is"
	expect 0 'why: .*no vf: ' plan attach vm1 --pool lan
	attach_auto d vhost-net --vlan 7
	says 'why +.*no vf: .*; no vdpa: vlan 7: a vDPA device ' "$(vnet show vm1/d)"
	expect 0 'vdpa +lan .* no .*vlan 7: ' why vm1 --pool lan --vlan 7
	expect 4 'no .*vlan 7: a vDPA device' attach vm1 --pool lan --mode vf,vdpa --vlan 7
	attach_auto e vhost-net --mode vdpa,vhost-net --vlan 7
	says 'why +.*no vdpa: ' "$(vnet show vm1/e)"
	! grep -q 'no vf' <<<"$(vnet show vm1/e)" || fail "vf was not asked for"
	expect 4 'vlan 7: a vDPA device' attach vm1 --pool lan --mode vdpa,vhost-net --no-fallback --vlan 7
	expect 0 'vm1/a is detached' detach vm1 a
	attach_auto f vf
	for name in b c d e f; do
		expect 0 "vm1/$name is detached" detach vm1 "$name"
	done
	back_as before
}

side_by_side bridges others
side_by_side refusals auto
