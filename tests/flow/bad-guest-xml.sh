#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# libvirt's hook with XML that is no guest's, or of a guest whose metadata somebody edited:
# a start is refused in one line that says why, all else ends well; nothing changes, and
# vnetd stays the same process.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pf0=0000:01:00.0 mac=52:54:00:aa:00:01
xml=$work/xml

# Run with $xml: status in $rc, what it said in $said. On stdout libvirt would take it for XML.
run_hook() { # OPERATION [GUEST]
	rc=0
	hook "${2:-vm1}" "$1" <"$xml" >"$work/hook.out" 2>"$work/hook.err" || rc=$?
	said=$(<"$work/hook.err")
	[ ! -s "$work/hook.out" ] || fail "$1 says something on stdout: $(<"$work/hook.out")"
}

# $xml is refused by PATTERN; telling of the guest's end is well all the same.
refused() { # WHAT PATTERN
	local op
	run_hook prepare
	[ $rc = 1 ] || fail "$1: the guest starts (status $rc): $said"
	[ "$(wc -l <"$work/hook.err")" = 1 ] || fail "$1: not in one line: $said"
	says "$2" "$said"
	ok "$1: $said"
	for op in release start started stopped reconnect migrate; do
		run_hook $op
		[ $rc = 0 ] || fail "$1: $op fails: $said"
	done
	unchanged "$1"
}

edited() { # SED-EXPRESSION...: the guest's XML, changed by them
	local args=()
	for e; do args+=(-e "$e"); done
	sed "${args[@]}" "$work/good" >"$xml"
	! cmp -s "$xml" "$work/good" || fail "$* changes nothing"
}

entry() { # ATTRIBUTE VALUE: of the NIC's entry in our metadata
	edited "/<vnetd:nic/s|\\(<vnetd:nic[^>]*\\) $1=\"[^\"]*\"|\\1 $1=\"$2\"|"
}

padding() { head -c "$1" /dev/zero | tr '\0' "$2"; } # BYTES CHARACTER

# A shut-off vm1 has a NIC; as libvirt starts it, its XML would be $work/good.
reserve() {
	new_host --pf-up 0
	shut_off vm1
	start
	expect 0 "VF 0 of enp1s0.*reserved" attach vm1 --pool enp1s0 --mac $mac --vlan 100
	sed 's/<domain /<domain id="7" /' "$host/guests/vm1.xml" >"$work/good"
}

reserve
keep reserved
remember

note "no XML, and XML of something else"
echo 'urn:vnetd:1' >"$xml"
refused "no XML" '^vnetd: prepare: a guest.s live XML is no XML: line 1'
head -c 400 "$work/good" >"$xml"
echo '<!-- urn:vnetd:1' >>"$xml"
refused "half of it" 'is no XML: line'
{
	cat "$work/good"
	printf '\xff\xfe'
} >"$xml"
refused "no UTF-8" '^vnetd: the message is not JSON'
edited 's/<memory/<\x02memory/'
refused "a control character" 'is no XML: line'
cat >"$xml" <<-XML
	<!DOCTYPE domain [<!ENTITY a SYSTEM "file:///etc/passwd">]>
	$(sed 1d "$work/good")
XML
sed -i 's|<name>vm1|<name>\&a;|' "$xml"
refused "an entity of a file" 'has a document type: refused'
{
	echo '<!DOCTYPE domain [<!ENTITY a0 "ha">'
	for i in {1..20}; do
		echo "<!ENTITY a$i \"$(printf "&a$((i - 1));%.0s" {1..10})\">"
	done
	echo "]>"
	sed -e 1d -e 's|<name>vm1|<name>\&a20;|' -e 's/name="net0"/name="\&a20;"/' "$work/good"
} >"$xml"
refused "an entity that grows" 'has a document type: refused|is no XML'
echo '<network xmlns:vnetd="urn:vnetd:1"><name>vm1</name><uuid>00000000-0000-4000-8000-000000000001</uuid></network>' >"$xml"
refused "a network" 'XML of something else than a guest'
{
	printf '<domain xmlns:v="urn:vnetd:1">'
	printf '<a>%.0s' {1..20000}
} >"$xml"
refused "nested without an end" 'is no XML'
edited '/<uuid>/d'
refused "no UUID" 'without UUID'
for uuid in ../../../../../../../../../../etc/xy 00000000-0000-4000-8000-00000000000g \
	00000000/0000/4000/8000/000000000001 000000000000-4000-8000-000000000001-1; do
	edited "s|<uuid>.*</uuid>|<uuid>$uuid</uuid>|"
	refused "UUID $uuid" 'without UUID'
done
edited 's|<name>.*</name>|<name></name>|'
refused "no name" 'without name'
edited 's|<name>.*</name>|<name>../vm1</name>|'
refused "a name with a slash" "the guest's name holds a '/'"
edited 's|<name>.*</name>|<name>vm1\&#10;\&#x9b;31m</name>|'
refused "a name that steers" "control character"

note "too large"
{
	cat "$work/good"
	printf '<!--'
	padding 300000 x
	printf -- '-->'
} >"$xml"
refused "300 kB" 'the XML of vm1 is too large for vnetd: 30[0-9]{4} bytes as a message, at most 262144'
{
	cat "$work/good"
	printf '<!--'
	padding 200000 '"'
	printf -- '-->'
} >"$xml"
refused "200 kB that are more as JSON" 'too large for vnetd: 4[0-9]{5} bytes'
# As libvirt's own limit has it, no guest's XML is longer than 4 MiB: not read to its end.
{
	cat "$work/good"
	padding 5000000 ' '
} >"$xml"
run_hook prepare
same "5 MB are no guest's" "0 " "$rc $said"

note "the entry in the metadata"
spoilt='^vnetd: prepare: guest vm1: net0: vnetd.s metadata in the guest.s XML cannot be read or has no entry for it: take the device out \(virsh detach-device-alias vm1 ua-vnetd-net0 --config\)'
for bad in mac=00:00:00:00:00:00 mac=01:00:5e:00:00:01 mac=nonsense mac= vlan=4095 vlan=x \
	vf-index=99999 vf-index=-1 vf-index=x vf-index= vf-index=18446744073709551616 pf=garbage pf-mac=00:00:00:00:00:00 \
	pf-mac=x name=../net0 name=NET0 name= 'pool=enp1s0\&#10;x' mode=$(padding 30 m) \
	pool=$(padding 200 p); do
	entry "${bad%%=*}" "${bad#*=}"
	refused "$bad" "$spoilt"
done
edited 's/<vnetd:nic /<vnetd:nick /'
refused "no entry" "$spoilt"
edited 's/ mac="[^"]*" vlan/ vlan/'
refused "no mac" 'metadata in the guest.s XML has no MAC for it'
edited 's/ pf="[^"]*"//' 's/ pf-mac="[^"]*"//'
refused "no PF" 'does not say which PF'
edited 's/ vf-index="[^"]*"//'
refused "no VF" 'does not say which VF'
entry mode ''
refused "an empty mode" 'does not say its mode'
entry mode warp
refused "another mode" '^vnetd: guest vm1: net0: there is no mode warp'
entry vf-index 200
refused "a VF that the PF has not" 'net0: the guest.s XML names VF 200 of 0000:01:00.0, which has 7 \(0 to 6\)'
entry vf-index 3
refused "another VF than the device is" 'VF 3 of 0000:01:00.0 is at 0000:01:10.6 now and the guest.s XML names 0000:01:10.0'
edited "/<source>/,\$s/function=\"0x0\"/function=\"0x4\"/"
refused "another device than the entry says" 'VF 0 of 0000:01:00.0 is at 0000:01:10.0 now and the guest.s XML names 0000:01:10.4'
edited "s|<vnetd:nic [^>]*/>|$(for i in {1..100}; do printf '<vnetd:nic name="n%s" mode="vf"/>' "$i"; done)&|"
refused "a hundred entries" 'guest vm1: vnetd.s metadata has more than 64 NICs'

note "two devices of one VF"
interface=$(sed -n 's/.*\(<interface type="hostdev".*<\/interface>\).*/\1/p' "$work/good")
[ -n "$interface" ] || fail "the guest has no device of ours"
second=${interface//ua-vnetd-net0/ua-vnetd-net1}
edited "s|<vnetd:nic \\([^>]*\\)name=\"net0\"\\([^>]*\\)/>|&<vnetd:nic \\1name=\"net1\"\\2/>|" \
	"s|</devices>|$second</devices>|"
refused "two of one VF" 'net1: VF 0 of 0000:01:00.0: vm1/net0 has it'

note "what else comes over the wire, or on the command line"
call() { # PARAMETERS -> the error's name and text
	/usr/bin/python3 - "$socket" "$1" <<-'PY'
	import json, socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.connect(sys.argv[1])
	s.sendall(b'{"method":"io.vnetd.Hook","parameters":' + sys.argv[2].encode() + b'}\0')
	reply = b""
	while not reply.endswith(b"\0"):
	    reply += s.recv(65536) or b'{"error":"hung up"}\0'
	reply = json.loads(reply[:-1])
	print(reply.get("error", "none"), reply["parameters"])
	PY
}
three='"object":"qemu","operation":"prepare"'
for bad in '{}' "{$three}" "{$three,\"xml\":5}" "{$three,\"xml\":null}" "{$three,\"xml\":[\"x\"]}" \
	"{$three,\"xml\":\"x\",\"extra\":5}" "{$three,\"xml\":\"x\",\"subOperation\":{}}" \
	'{"object":5,"operation":"prepare","xml":"x"}'; do
	says '^io.vnetd.Invalid .*each a string' "$(call "$bad")"
	ok "refused: $bad"
done
says '^org.varlink.service.InvalidParameter' "$(call "{$three,\"xml\":\"x\",\"more\":1}")"
says '^io.vnetd.Invalid .*no XML' "$(call "{$three,\"xml\":\"\"}")"
says '^none' "$(call '{"object":"frob","operation":"prepare","xml":"x"}')"
says '^none' "$(call '{"object":"qemu","operation":"frob","xml":"x"}')"
cp "$work/good" "$xml"
for args in '' vm1 'vm1 prepare' 'vm1 prepare begin' 'vm1 prepare begin - more' 'vm1 frob begin -'; do
	# shellcheck disable=SC2086 # words
	VNETD_SOCKET=$socket "$build/vnetd-hook" $args <"$xml" || fail "hook $args fails"
done
unchanged "what else comes"

note "no place left for the hook: said"
/usr/bin/python3 - "$socket" >"$work/crowd" <<-'PY' &
	import socket, sys, time
	held = []
	for _ in range(1100):
	    held.append(socket.socket(socket.AF_UNIX))
	    held[-1].connect(sys.argv[1])
	print("there", flush=True)
	time.sleep(60)
PY
crowd=$!
wait_for 30 grep -q there "$work/crowd" || fail "no crowd"
run_hook prepare
same "no place: status" 1 "$rc"
same "no place: lines" 1 "$(wc -l <"$work/hook.err")"
says '^vnetd: connect: .* connections, the most' "$said"
run_hook release
same "a release ends well" 0 "$rc"
{ kill "$crowd" && wait "$crowd"; } 2>/dev/null || :
wait_for 10 vnet list || fail "nobody is let in after the crowd went"
unchanged "a crowd"

note "twice the same name: the first counts, and nothing is added to such a guest"
edited 's|<vnetd:nic \([^>]*\)vf-index="0"\([^>]*\)/>|&<vnetd:nic \1vf-index="3"\2/>|'
run_hook prepare
same "it starts" "0 " "$rc $said"
same "list" "vm1/net0 ready 0" "$(json '.attachments[] | "\(.guest)/\(.name) \(.state) \(.vfIndex)"' list)"
hook vm1 release failed <"$xml" || fail "the release fails"
back_as reserved

note "as large as may be, and nothing of all that is in its way"
{
	cat "$work/good"
	printf '<!--'
	padding 250000 x
	printf -- '-->'
} >"$xml"
run_hook prepare
same "250 kB" "0 " "$rc $said"
same "VF" "$mac 100" "$(fake ".vfs[\"$pf0\"][0] | \"\(.mac) \(.vlan)\"")"
hook vm1 release destroyed <"$xml" || fail "the release fails"
back_as reserved
unchanged "at the end"

note "the PF's interface went elsewhere, or its driver is away"
gone() { # PATTERN [MORE FILES THAT ARE AWAY]
	local pf=$host/sys/bus/pci/devices/$pf0 pattern=$1
	shift
	xml=$work/xml
	reserve
	cp "$work/good" "$xml"
	stop
	change_fake '.links |= map(select(.name != "enp1s0"))'
	rm -rf "$host/sys/class/net/enp1s0" "$(realpath "$pf")/net" "$@"
	start
	expect 0 'vm1/net0 +reserved' list
	remember
	refused "${FUNCNAME[1]}" "^vnetd: guest vm1: net0: its PF gives no VFs: 0000:01:00.0 $pattern"
}
no_interface() { gone 'has no network interface here \(driver igb\)'; }
no_driver() {
	gone '.*82576.* has no driver, .* only with its network driver' \
		"$host/sys/bus/pci/devices/$pf0/driver" "$host/sys/bus/pci/drivers/igb/$pf0"
}
stop
side_by_side no_interface no_driver
