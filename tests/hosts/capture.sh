#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Make a test case of this machine: capture.sh DIR writes DIR/sys.tar.gz, the files of
# /sys that vnetd's scan reads, and DIR/nic.json, what rtnetlink says. Then
# `UPDATE=1 tests/hosts/check.sh` adds what vnetd makes of them.
#
# Run it as root, else capabilities of the PCI functions stay unknown. Nothing is
# changed. Left out or replaced: serial numbers (PCI's Device Serial Number), MACs
# (02:00:00:00:00:NN, the same for the same), IP addresses (only counted). Names of
# interfaces stay: look at them before you publish. Needs ip, jq, tar.
set -euo pipefail
export LC_ALL=C

[ $# = 1 ] || {
	echo "usage: capture.sh DIR" >&2
	exit 2
}
out=$1
for tool in ip jq tar gzip od; do
	command -v "$tool" >/dev/null || {
		echo "capture.sh: $tool is needed" >&2
		exit 1
	}
done
mkdir -p "$out"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

# ---- sysfs: files are copied by content, because their size there is no size --------

copy() { # PATH...
	local path
	for path in "$@"; do
		[ -f "$path" ] || continue
		mkdir -p "$stage${path%/*}"
		cat "$path" >"$stage$path" 2>/dev/null || rm -f "$stage$path"
	done
}

link() { # PATH...
	local path
	for path in "$@"; do
		[ -L "$path" ] || continue
		mkdir -p "$stage${path%/*}"
		cp -P "$path" "$stage$path"
	done
}

# Zero the Device Serial Number (extended capability 3) of a configuration space.
strip_serial() { # FILE
	local at=256 header
	[ "$(stat -c %s "$1")" = 4096 ] || return 0
	while [ $at -ge 256 ] && [ $at -le 4084 ]; do
		header=$(od -An -tu4 -j $at -N 4 "$1")
		[ $((header & 0xffff)) != 3 ] ||
			head -c 8 /dev/zero |
			dd of="$1" bs=1 seek=$((at + 4)) conv=notrunc status=none
		at=$((header >> 20 & 0xffc))
	done
}

capture_function() { # BDF
	local dev net attr
	dev=$(readlink -f "/sys/bus/pci/devices/$1")
	for attr in class vendor device subsystem_vendor subsystem_device numa_node reset_method \
		config sriov_totalvfs sriov_drivers_autoprobe; do
		copy "$dev/$attr"
	done
	[ ! -f "$stage$dev/config" ] || strip_serial "$stage$dev/config"
	link "/sys/bus/pci/devices/$1" "$dev"/{driver,subsystem,iommu_group,physfn} "$dev"/virtfn*
	for net in "$dev"/net/* "$dev"/virtio*/net/*; do
		[ ! -e "$net/ifindex" ] || copy "$net/ifindex" "$net/phys_port_name"
	done
	for net in "$dev"/vfio-dev/*; do
		[ ! -d "$net" ] || mkdir -p "$stage$net"
	done
}

mkdir -p "$stage/sys/bus/pci/devices"
link /sys/class/vfio-dev/*
for path in /sys/bus/pci/devices/*; do
	[ ! -e "$path" ] || capture_function "${path##*/}"
done
for path in /sys/bus/pci/drivers/*; do
	mkdir -p "$stage$path"
	link "$path"/*:*
done
for path in /sys/bus/vdpa/devices/*; do
	[ -e "$path" ] || continue
	dev=$(readlink -f "$path")
	mkdir -p "$stage$dev"
	link "$path" "$dev/driver" "$dev/subsystem" "${dev%/*}/subsystem"
	for child in "$dev"/vhost-vdpa-*; do
		[ ! -d "$child" ] || mkdir -p "$stage$child"
	done
done
for path in /sys/class/iommu/*; do
	[ ! -e "$path" ] || mkdir -p "$stage$path"
done
count=0
for path in /sys/kernel/irq/*; do
	[ $count -lt 64 ] || break
	copy "$path/chip_name"
	count=$((count + 1))
done
copy /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts
parts=(sys)
if [ -e /dev/iommu ]; then
	parts+=(dev)
	mkdir -p "$stage/dev"
	: >"$stage/dev/iommu"
fi

# ---- rtnetlink, in the spelling of daemon/host/nic-json.c --------------------------

routes() {
	ip -j route show table main
	ip -j -6 route show table main
}

{
	ip -j -d link
	ip -j addr
	routes | jq -s add
} | jq -s '
	.[0] as $links | .[1] as $addrs | .[2] as $routes
	| ($links | map({key: .ifname, value: .ifindex}) | from_entries) as $index
	# IDs for MACs in the order of their first mention; zero stays.
	| ([$links[] | .address, .permaddr, (.vfinfo_list // [] | .[] | .address // .mac)]
		| map(select(type == "string" and test("^([0-9a-f]{2}:){5}[0-9a-f]{2}$")
			and . != "00:00:00:00:00:00" and . != "ff:ff:ff:ff:ff:ff"))
		| reduce .[] as $m ([]; if index([$m]) then . else . + [$m] end)
		| to_entries
		| map({key: .value, value: ("02:00:00:00:" +
			([((.key + 1) / 256 | floor), (.key + 1) % 256]
			| map("0123456789abcdef" as $h
				| $h[(. / 16 | floor):(. / 16 | floor) + 1] + $h[. % 16:. % 16 + 1])
			| join(":")))})
		| from_entries) as $mac
	| def macof: if . == null or . == "ff:ff:ff:ff:ff:ff" then null else $mac[.] // . end;
	def ether: select(type == "string" and test("^([0-9a-f]{2}:){5}[0-9a-f]{2}$"));
	def pruned: with_entries(select(.value != null and .value != false and .value != ""
		and (.value != 0 or .key == "index" or .key == "linkState")));
	def tag: . as $v | if ($v.vlan // 0) == 0 then null
		else ($v.vlan | tostring)
			+ (if ($v.qos // 0) == 0 then "" else " qos \($v.qos)" end)
			+ (if ($v.protocol // "802.1Q") == "802.1Q" then "" else " proto 802.1ad" end)
		end;
	{
		links: [$links[] | . as $l | {
			ifindex, name: .ifname, kind: .linkinfo.info_kind,
			mac: ([.address | ether] | first | macof),
			permMac: ([.permaddr | ether] | first | macof),
			up: (.flags | index("UP") != null),
			carrier: (.flags | index("LOWER_UP") != null),
			mtu, master: $index[.master // ""],
			lower: (if has("link_netnsid") then null
				else .link_index // $index[.link // ""] end),
			pci: (if .parentbus == "pci" then .parentdev else null end),
			addresses: ([$addrs[] | select(.ifindex == $l.ifindex) | .addr_info[]
				| select(.local | test("^(fe[89ab].|169\\.254\\.)") | not)] | length),
			routes: ([$routes[] | select(.dev == $l.ifname and .protocol != "kernel"
				and (.dst | test("^(fe[89ab]|ff|169\\.254\\.)") | not))] | length),
			tapPersistent: (.linkinfo.info_data.persist == true)
		} | pruned],
		vfs: [$links[] | select(.parentbus == "pci") | . as $l
			| .vfinfo_list // [] | .[] | {
			pf: $l.parentdev, index: .vf,
			mac: ((.address // .mac) as $m | if $m == "00:00:00:00:00:00" then null
				else $m | macof end),
			vlan: ((.vlan_list // [.] | first) | tag),
			trust, spoofchk,
			linkState: ({auto: 0, enable: 1, disable: 2}[."link_state" // ."link-state" // ""]),
			minTxMbps: .rate.min_tx, maxTxMbps: (.rate.max_tx // .tx_rate)
		} | {trust, spoofchk} as $flags | del(.trust, .spoofchk) | pruned
			| . + ($flags | with_entries(select(.value != null)))]
	}' >"$stage/nic.json"

# ---- out ----------------------------------------------------------------------------

cp "$stage/nic.json" "$out/nic.json"
tar -C "$stage" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u+rwX,go+rX \
	-cf - "${parts[@]}" | gzip -n9 >"$out/sys.tar.gz"
echo "$out: $(tar -tzf "$out/sys.tar.gz" | wc -l) files and links, $(jq '.links | length' "$out/nic.json") links"
