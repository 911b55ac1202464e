#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the scripts of a lab run share. Source it first:
#   . "${LAB_DIR:?run me by tests/lab/run}/lib.sh"
# It needs nothing of vnetd. Names of guests, PFs and so on are README.md's.
# shellcheck disable=SC2034 # used by those who source it
# At a console (make lab-shell) a word that fails must not end the shell.
case $- in
*i*) set -uo pipefail ;;
*) set -euo pipefail ;;
esac

lab_guests=/run/lab/guests # consoles: NAME.console
lab_images=/run/lab        # what guests boot from
lab_peer=10.99.0.254       # answered by world, or by world100 inside VLAN 100

export LC_ALL=C LIBVIRT_DEFAULT_URI=qemu:///system

# ---- words of a test -----------------------------------------------------

note() { printf '# %s\n' "$*"; }

fail() {
	printf 'FAIL: %s\n' "$*"
	case $- in *i*) return 1 ;; esac
	exit 1
}

# The last line of a skipped script is its reason.
skip() {
	printf '%s\n' "$*"
	exit 77
}

# ok TEXT: a fact that was just proved.
ok() { printf 'ok: %s\n' "$*"; }

same() { # WHAT WANTED GOT
	[ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
	ok "$1: $3"
}

# Must fail, and say something that matches: refused PATTERN COMMAND...
refused() {
	local pattern=$1 text
	shift
	if text=$("$@" 2>&1); then
		fail "should have failed: $*: $text"
	fi
	grep -qE -- "$pattern" <<<"$text" || fail "$*: failed without /$pattern/: $text"
	ok "refused: $*: $text"
}

# Seconds since boot, with two decimals; and a command with its time printed.
now() { cut -d' ' -f1 /proc/uptime; }

since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }

timed() { # WHAT COMMAND...
	local what=$1 start rc=0
	shift
	start=$(now)
	"$@" || rc=$?
	printf 'time: %s: %s s\n' "$what" "$(since "$start")"
	return $rc
}

# Until the command succeeds: wait_for SECONDS COMMAND...
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

# The host goes down without a warning, as by a power cut, and the script runs again from
# its start, with LAB_BOOT one higher.
lab_reboot() {
	note "the host reboots"
	: >"$LAB_OUT/.reboot"
	exit 0
}

# ---- the network of the lab ----------------------------------------------

# The host's name of a PCI function's network device.
pci_netdev() { # ADDRESS
	local dir
	# virtio has a device in between.
	for dir in "/sys/bus/pci/devices/$1"/{,virtio*/}net/*; do
		[ -e "$dir" ] || continue
		echo "${dir##*/}"
		return
	done
	return 1
}

# The other end of the wire: netns world has the peer's address untagged, netns
# world100 has the same address inside VLAN 100. Which one answered shows in the
# guest's "peer" word. Idempotent.
world_up() {
	local dev
	[ ! -e /run/netns/world ] || return 0
	dev=$(pci_netdev "$LAB_WORLD") || fail "no network device at $LAB_WORLD"
	ip netns add world
	ip netns add world100
	ip link add link "$dev" name world100 address 52:54:00:99:01:fe type vlan id 100
	ip link set world100 netns world100
	ip link set "$dev" netns world name world0
	ip -n world link set world0 up
	ip -n world addr add $lab_peer/24 dev world0
	ip -n world100 link set world100 up
	ip -n world100 addr add $lab_peer/24 dev world100
}

# ---- SR-IOV by hand --------------------------------------------------------

# shellcheck disable=SC2086 # a list, by intent
lab_pf() { # NUMBER -> PCI address
	local -a list
	read -ra list <<<"$LAB_PFS"
	[ "$1" -lt ${#list[@]} ] || return 1
	echo "${list[$1]}"
}

vfs_create() { # PF-ADDRESS COUNT
	local pf=/sys/bus/pci/devices/$1
	echo 0 >"$pf/sriov_numvfs"
	echo 0 >"$pf/sriov_drivers_autoprobe"
	echo "$2" >"$pf/sriov_numvfs"
}

vf_address() { # PF-ADDRESS INDEX
	basename "$(readlink "/sys/bus/pci/devices/$1/virtfn$2")"
}

pci_driver() { # ADDRESS -> name, or none
	local link
	link=$(readlink "/sys/bus/pci/devices/$1/driver") || {
		echo none
		return
	}
	basename "$link"
}

pci_bind() { # ADDRESS DRIVER
	local dev=/sys/bus/pci/devices/$1
	modprobe "$2"
	echo "$2" >"$dev/driver_override"
	[ ! -e "$dev/driver" ] || echo "$1" >"$dev/driver/unbind"
	echo "$1" >/sys/bus/pci/drivers_probe
	[ "$(pci_driver "$1")" = "$2" ] || fail "$1 did not bind to $2"
}

iommu_group() { # ADDRESS -> number, or none
	local link
	link=$(readlink "/sys/bus/pci/devices/$1/iommu_group") || {
		echo none
		return
	}
	basename "$link"
}

# Members of a function's IOMMU group, in one line.
iommu_group_members() { # ADDRESS
	local -a list=("/sys/bus/pci/devices/$1/iommu_group/devices"/*)
	echo "${list[@]##*/}"
}

# <interface type='hostdev'> for a VF, as libvirt wants it.
hostdev_xml() { # ADDRESS MAC [ALIAS]
	local domain bus slot function
	IFS=:. read -r domain bus slot function <<<"$1"
	cat <<-EOF
		<interface type='hostdev' managed='no'>
		  <mac address='$2'/>
		  <source><address type='pci' domain='0x$domain' bus='0x$bus' slot='0x$slot' function='0x$function'/></source>
		  <alias name='ua-${3:-net0}'/>
		  <rom enabled='no'/>
		</interface>
	EOF
}

# ---- nested guests -------------------------------------------------------

lab_guest_memory=64 # MiB; 40 still boots
declare -A lab_mark # from which byte of a console to look

lab_guest_cmdline="console=ttyS0 quiet panic=-1 reboot=t tsc=reliable no_timer_check"

# In memory: QEMU reads them faster than over the share, and libvirt may chown.
guest_images() {
	mkdir -p "$lab_images" "$lab_guests"
	if [ ! -e "$lab_images/vmlinux" ]; then
		cp "$LAB_DIR/guest/vmlinux" "$LAB_DIR/guest/initramfs.cpio" "$lab_images/"
	fi
}

# guest_define NAME [MEMORY-MIB [FLAG...]]
# Device XML for a cold boot in GUEST_DEVICES; GUEST_ON_REBOOT=restart; GUEST_PORTS root ports (8);
# GUEST_VCPUS (1). Flags: nounplug (the guest's ACPI answers neither plug nor unplug), shared
# (memory that another process may map: vhost-user).
guest_define() {
	local name=$1 memory=${2:-$lab_guest_memory} flag cmdline ports i backing='' vcpus=${GUEST_VCPUS:-1}
	shift $(($# < 2 ? $# : 2))
	cmdline=$lab_guest_cmdline
	for flag; do
		case $flag in
		nounplug) cmdline+=" acpiphp.disable=1" ;;
		shared) backing="<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>" ;;
		*) fail "guest_define: unknown flag $flag" ;;
		esac
	done
	guest_images
	ports=$(for ((i = 0; i < ${GUEST_PORTS:-8}; i++)); do echo "<controller type='pci' model='pcie-root-port'/>"; done)
	rm -f "$lab_guests/$name.plain"
	if [ $# = 0 ] && [ "$memory" = "$lab_guest_memory" ] && [ -z "${GUEST_DEVICES:-}${GUEST_CMDLINE:-}${GUEST_PORTS:-}" ]; then
		echo "$vcpus" >"$lab_guests/$name.plain"
	fi
	virsh -q define /dev/stdin <<-EOF
		<domain type='qemu'>
		  <name>$name</name>
		  <memory unit='MiB'>$memory</memory>
		  <vcpu>$vcpus</vcpu>
		  $backing
		  <os>
		    <type arch='x86_64' machine='q35'>hvm</type>
		    <kernel>$lab_images/vmlinux</kernel>
		    <initrd>$lab_images/initramfs.cpio</initrd>
		    <cmdline>$cmdline${GUEST_CMDLINE:+ $GUEST_CMDLINE}</cmdline>
		  </os>
		  <features><acpi/></features>
		  <cpu mode='custom' match='exact'><model>qemu64</model></cpu>
		  <on_reboot>${GUEST_ON_REBOOT:-destroy}</on_reboot>
		  <on_crash>destroy</on_crash>
		  <devices>
		    <controller type='usb' model='none'/>
		    <controller type='pci' index='0' model='pcie-root'/>
		    $ports
		    <serial type='file'><source path='$lab_guests/$name.console'/><target type='isa-serial' port='0'/></serial>
		    <memballoon model='none'/>
		    <audio id='1' type='none'/>
		    ${GUEST_DEVICES:-}
		  </devices>
		</domain>
	EOF
}

# A plain guest (default memory, no flag, no device, one or two CPUs) does not boot but goes on
# from a saved state in which it had said "guest: ready": 10 s instead of 40. GUEST_COLD=1
# boots it all the same.
guest_start() { # NAME
	rm -f "$lab_guests/$1.console" "$lab_guests/$1.restored"
	lab_mark[$1]=1
	local vcpus saved
	vcpus=$(cat "$lab_guests/$1.plain" 2>/dev/null || echo none)
	saved=$LAB_DIR/warm/guest$vcpus.save
	if [ -e "$saved" ] && [ -z "${GUEST_COLD:-}" ]; then
		guest_restore "$1" "$saved"
	else
		virsh -q start "$1"
	fi
}

guest_restore() { # NAME SAVED
	local image=/run/lab/$1.save
	"$LAB_DIR/host/rename-save" "$2" "$image" labwarm "$1" \
		"$(virsh domuuid "$1" | head -n 1)"
	virsh -q restore "$image" --running
	rm -f "$image"
	: >"$lab_guests/$1.restored"
}

# What the guest said since its start, or since guest_mark.
guest_said() { # NAME
	tail -c "+${lab_mark[$1]:-1}" "$lab_guests/$1.console" 2>/dev/null | tr -d '\r'
}

# Look only at what comes from now on.
guest_mark() { # NAME
	lab_mark[$1]=$(($(stat -c %s "$lab_guests/$1.console" 2>/dev/null || echo 0) + 1))
}

# Until the guest says a line that matches (ERE); prints it. It sleeps in inotify:
# looking again and again takes the CPU from the guest.
guest_wait() { # NAME PATTERN [SECONDS]
	local seconds=${3:-180} console=$lab_guests/$1.console pattern=${2%\$} line pid
	# Lines end in \r\n there.
	[ "$pattern" = "$2" ] || pattern+=$'\r?$'
	# A QEMU of ours that has died says no more.
	pid=$(cat "$lab_guests/$1.pid" 2>/dev/null || :)
	# shellcheck disable=SC2016 # for the inner bash
	line=$(timeout "$seconds" bash -c '
		coproc tail -s 0.5 -c "+$1" -F ${4:+"--pid=$4"} "$2" 2>/dev/null
		trap "kill $COPROC_PID 2>/dev/null" EXIT
		grep --line-buffered -m 1 -E -- "$3" <&"${COPROC[0]}"
	' - "${lab_mark[$1]:-1}" "$console" "$pattern" "$pid" | tr -d '\r') || :
	if [ -z "$line" ]; then
		note "last of $1's console:"
		tail -n 8 "$console" "$lab_guests/$1.qemu" 2>/dev/null || :
		fail "guest $1 did not say /$2/ within $seconds s ($(virsh domstate "$1" 2>&1 | head -n 1))"
	fi
	printf '%s: %s\n' "$1" "$line"
}

guest_ready() { # NAME [SECONDS]
	if [ -e "$lab_guests/$1.restored" ]; then
		printf '%s: guest: ready (restored)\n' "$1"
		return
	fi
	guest_wait "$1" '^guest: ready' "${2:-240}"
}

guest_nic_wait() { # NAME MAC [SECONDS]
	guest_wait "$1" "^guest: nic .*$2 .* up" "${3:-120}"
}

guest_nic_gone() { # NAME MAC [SECONDS]
	guest_wait "$1" "^guest: nic $2 gone" "${3:-120}"
}

# A ping that began after this call: call guest_mark first when it matters.
guest_ping_wait() { # NAME MAC [PEER [SECONDS]]
	guest_wait "$1" "^guest: ping $2 .* ok peer ${3:-world}\$" "${4:-120}"
}

guest_destroy() { # NAME
	virsh -q destroy "$1" 2>/dev/null || :
	virsh -q undefine "$1" 2>/dev/null || :
}
