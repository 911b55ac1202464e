#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the flow scripts share: a host of the fake kernel, the daemon on it, and words
# of a test. The daemon is the test build (fault points, fake kernel, fake libvirt),
# vnetctl is the product. Everything lives in a folder of its own, so scripts run side
# by side; no root is needed. VNET_BUILD is the build folder (build/O).
# shellcheck disable=SC2034 # used by those who source it
set -eEuo pipefail
trap 'printf "FAIL: %s:%s: %s\n" "${BASH_SOURCE[0]}" "$LINENO" "$BASH_COMMAND"' ERR
export LC_ALL=C.UTF-8 TERM=dumb COLUMNS=200
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${VNET_BUILD:-$top/build/O}
# Where everything of one daemon is. Short, for a socket's path has 107 characters.
work_in() { # FOLDER
	work=$1 host=$1/host run=$1/run socket=$1/io log=$1/log
	daemon=
}
work_in "$(mktemp -d /tmp/vnet-flow.XXXXXX)"

# ---- words of a test -----------------------------------------------------

note() { printf '# %s\n' "$*"; }
ok() { printf 'ok: %s\n' "$*"; }

fail() {
	printf 'FAIL: %s\n' "$*"
	exit 1
}

# The last line of a skipped script is its reason.
skip() {
	printf '%s\n' "$*"
	exit 77
}

same() { # WHAT WANTED GOT
	[ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
	ok "$1: $3"
}

says() { # PATTERN TEXT
	grep -qE -- "$1" <<<"$2" || fail "nothing like /$1/ in: $2"
}

# Until the command succeeds: wait_for SECONDS COMMAND...
wait_for() {
	local end=$((SECONDS + $1 + 1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.02
	done
}

# ---- the daemon ----------------------------------------------------------

# Workers may still write when vnetd is gone.
raze_host() {
	wait_for 20 no_workers || :
	rm -rf "$host" "$run"
}

# A fresh host, and nothing known of it. The daemon is ended first, if one runs.
new_host() { # OPTIONS OF MKHOST...
	[ -z "$daemon" ] || stop
	raze_host
	local made="$work/host of $*"
	[ -d "$made" ] || "$top/tests/fake/mkhost" "$made" "$@"
	cp -a "$made" "$host"
}

# Its own process, so that its end can be waited for. $wrapper comes before it.
wrapper=()
launch() { # MORE OPTIONS OF VNETD...
	mkdir -p "$work/config"
	rm -f "$socket"
	"${wrapper[@]}" "$build/test/vnetd" --debug --root "$host" --runtime "$run" \
		--config "$work/config" --socket "$socket" --plugins "$build/plugins" "$@" \
		2>>"$log" </dev/null >/dev/null &
	daemon=$!
}

listens() { vnet mode list || ! alive; }
alive() { [ -n "$daemon" ] && kill -0 "$daemon" 2>/dev/null; }

start() {
	launch "$@"
	wait_for 10 listens || fail "vnetd does not listen"
	alive || fail "vnetd ended at its start"
}

# As systemd does it: it must end by itself, soon, and well.
# As after a reboot. A worker may outlive its vnetd, and its lock is there.
forget_runtime() {
	wait_for 20 no_workers || fail "workers are left: $(workers)"
	rm -rf "$run"
}

stop() {
	local rc=0
	end_daemon || rc=$?
	[ $rc = 0 ] || fail "vnetd was told to end, and ended with status $rc"
}

end_daemon() {
	local pid=$daemon rc=0
	daemon=
	kill "$pid" 2>/dev/null || :
	wait_for 10 dead "$pid" || kill -9 "$pid"
	wait "$pid" || rc=$?
	return $rc
}

# Wait for an end that a fault point or kill -9 brings.
died() {
	local pid=$daemon rc=0
	daemon=
	{ # without the shell's own words about it
		wait_for 20 dead "$pid" || fail "vnetd lives, though it should have been killed"
		wait "$pid" || rc=$?
	} 2>/dev/null
	[ $rc = 137 ] || fail "vnetd was to be killed, but ended with status $rc"
}

dead() { # a zombie, until it is waited for
	local state
	state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) || return 0
	[ "$state" = Z ]
}

crash() {
	kill -9 "$daemon"
	died
}

restart() {
	stop
	start
}

workers() { pgrep -f -- "--worker --root $host " || :; }
no_workers() { [ -z "$(workers)" ]; }

# A fault point of the daemon: daemon/fault.h.
fault() { # POINT ACTION
	echo "$1 $2" >"$run/fault"
}

# Faults of the fake kernel: tests/fake/kernel.h. Put there whole.
kernel_fails() { # LINE...
	printf '%s\n' "$@" >"$host/.fail"
	mv "$host/.fail" "$host/fail"
}

kernel_well() { rm -f "$host/fail"; }

# ---- vnetctl -------------------------------------------------------------

vnet() { "$build/vnetctl" --socket "$socket" "$@"; }

# expect CODE PATTERN ARGS...: vnetctl ends with CODE and says PATTERN. What it said
# is in $out and $err afterwards.
expect() {
	local code=$1 pattern=$2 rc=0
	shift 2
	vnet "$@" >"$work/out" 2>"$work/err" || rc=$?
	out=$(<"$work/out") err=$(<"$work/err")
	cat "$work/err" >>"$work/cli.log"
	[ $rc = "$code" ] || fail "vnetctl $*: exit $rc instead of $code: $out$err"
	grep -qE -- "$pattern" "$work/out" "$work/err" ||
		fail "vnetctl $*: says nothing like /$pattern/: $out$err"
	ok "vnetctl $* (exit $code): $(awk 'n++ < 2 { print substr($0, 1, 300) }' "$work/out" "$work/err")"
}

# In the background, for several at once: NAME.rc, NAME.out, NAME.err in $work.
begin() { # NAME ARGS...
	local name=$1
	shift
	rm -f "$work/$name.rc"
	{
		local rc=0
		vnet "$@" >"$work/$name.out" 2>"$work/$name.err" || rc=$?
		cat "$work/$name.err" >>"$work/cli.log"
		echo $rc >"$work/$name.rc"
	} &
}

# One that was begun must have ended: with CODE, saying PATTERN.
ended() { # SECONDS NAME CODE PATTERN
	wait_for "$1" test -s "$work/$2.rc" || fail "$2 did not end within $1 s"
	out=$(<"$work/$2.out") err=$(<"$work/$2.err")
	# shellcheck disable=SC2053 # a pattern
	[[ $(<"$work/$2.rc") == $3 ]] || fail "$2: exit $(<"$work/$2.rc") instead of $3: $out$err"
	says "$4" "$out$err"
	ok "$2 (exit $3): $(head -n 2 <<<"$out$err" | cut -c 1-300)"
}

json() { # FILTER ARGS...
	local filter=$1
	shift
	vnet --json "$@" | jq -r "$filter"
}

state_of() { # GUEST/NAME -> its state or "none"
	vnet list | awk -v id="$1" '$1 == id { s = $2 } END { print s ? s : "none" }'
}

is_state() { [ "$(state_of "$1")" = "$2" ]; }

becomes() { # GUEST/NAME STATE
	wait_for 20 is_state "$1" "$2" || fail "$1 does not become $2, but is $(state_of "$1")"
	ok "$1 becomes $2"
}

# ---- the host ------------------------------------------------------------

fake() { jq -r "$@" "$host/fake.json"; }

change_fake() { # FILTER OF JQ
	# shellcheck disable=SC2016 # for the inner shell
	FILTER=$1 HOST=$host flock "$host/fake.lock" sh -c \
		'jq "$FILTER" "$HOST/fake.json" >"$HOST/.fake" && mv "$HOST/.fake" "$HOST/fake.json"'
}

numvfs() { cat "$host/sys/bus/pci/devices/$1/sriov_numvfs"; } # PF

writes() { [ ! -e "$host/writes.log" ] || wc -l <"$host/writes.log"; }

guest_has() { # GUEST NAME: our device in its XML
	grep -q "ua-vnetd-$2['\"]" "$host/guests/$1.xml"
}

# ---- libvirt's part of a guest's life --------------------------------------

hook() { # GUEST OPERATION [EXTRA] <XML: as libvirt runs its hook
	VNETD_SOCKET=$socket "$build/vnetd-hook" "$1" "$2" begin "${3:--}"
}

shut_off() { # GUEST: a persistent one that does not run
	: >"$host/guests/$1.off"
}

# `virsh start`: the hook is asked with the XML of the guest to be; then it runs with it.
# What the hook said is in $work/hook.
virsh_start() { # GUEST
	local guests=$host/guests
	sed 's/<domain /<domain id="7" /' "$guests/$1.xml" |
		hook "$1" prepare >"$work/hook.out" 2>"$work/hook" || {
		hook "$1" release failed <"$guests/$1.xml"
		return 1
	}
	cp "$guests/$1.xml" "$guests/$1.config"
	rm "$guests/$1.off"
}

# It ended: the hook is told when all is over, libvirt's own event comes with it.
virsh_destroy() { # GUEST
	local guests=$host/guests
	: >"$guests/$1.off"
	[ ! -e "$guests/$1.config" ] || mv "$guests/$1.config" "$guests/$1.xml"
	hook "$1" release destroyed <"$guests/$1.xml" >"$work/hook.out" 2>"$work/hook"
}

unplug() { # GUEST NAME: as it is when virsh, or the guest, has done it
	local file=$host/guests/$1.xml
	python3 - "$file" "ua-vnetd-$2" >"$host/guests/.$1.new" <<-'PY'
	import re, sys
	inner = r'(?:(?!</interface>).)*'
	text = open(sys.argv[1]).read()
	sys.stdout.write(re.sub('<interface' + inner + sys.argv[2] + inner + '</interface>', '', text, flags=re.S))
	PY
	mv "$host/guests/.$1.new" "$file"
}

# Everything that vnetd may touch, one fact a line. An interface that was away and
# came back has another index, and igbvf gives it another MAC; the number of a node
# (macvtap, VFIO, vDPA) is another each time.
dump() {
	{
		cd "$host"
		find sys dev -printf '%p %y %l\n'
		grep -rs '' sys --exclude=ifindex || :
		grep -s '' dev/vfio/[0-9]* || :
		# shellcheck disable=SC2016 # jq's
		jq -r '(.links[] | "link \(.name) \(.up) \(.master) \(.addresses)"),
			(.links[] | select(.kind == "tun" or .kind == "macvtap" or .kind == "bridge") |
				"\(.kind) \(.name) \(.mac) \(.mtu) \(.lower) \(.tapPersistent)"),
			(.netdevs // {} | to_entries[] | select(.value != {}) |
				"netdev \(.key) \(.value | tojson)"),
			(.vdpas // {} | to_entries[] | "vdpa \(.key) \(.value | tojson)"),
			(.vfs[][] | to_entries | sort_by(.key) | from_entries | tojson),
			(.holders[] | "holder \(.address // .interface // .node) \(.pid)")' fake.json
		grep -h vnetd guests/*.xml || :
		[ ! -d "$run/vdpa" ] || find "$run/vdpa" -mindepth 1 -printf 'runtime %P %y %l\n'
	} | sed -E 's,(vhost-vdpa-|dev/tap|vfio-dev/vfio)[0-9]+,\1N,g' | sort
}

keep() { dump >"$work/was.$1"; } # NAME

back_as() { # NAME [WITHOUT: a pattern of lines that may differ]
	dump >"$work/is"
	diff -u <(grep -vE "${2:-^$}" "$work/was.$1") <(grep -vE "${2:-^$}" "$work/is") ||
		fail "the host is not as it was ($1)"
	left=$(find "$run/attachments" "$run/journal" -type f 2>/dev/null) || :
	[ -z "$left" ] || fail "files are left: $left"
	ok "the host is as it was ($1)"
}

# What nothing refused may change: all that vnetd may touch, its own files, the guests' XML,
# and which process it is.
all_of_it() {
	echo "daemon $daemon"
	alive || echo "is dead"
	dump
	(cd "$run" && find . ! -name fault ! -name workers.lock -printf '%p %y\n' | sort
		grep -rs '' . --exclude=fault | sort || :)
	python3 - "$host"/guests/* <<-'PY'
	import re, sys
	from xml.etree.ElementTree import canonicalize, ParseError
	for name in sys.argv[1:]: # however it is spelled
	    text = open(name, encoding="utf-8", errors="replace").read()
	    try:
	        text = re.sub("<metadata></metadata>", "", canonicalize(text, strip_text=True))
	    except ParseError:
	        pass
	    print(name, text)
	PY
}

remember() { all_of_it >"$work/was.all"; }

unchanged() { # WHAT
	all_of_it >"$work/is.all"
	diff -u "$work/was.all" "$work/is.all" || fail "something has changed: $1"
	ok "nothing has changed: $1"
}

# ---- the end -------------------------------------------------------------

# Functions that run at the same time, each with a host and a daemon of its own.
side_by_side() { # FUNCTION...
	local f rc=0
	for f; do
		(
			mkdir "$work/$f"
			work_in "$work/$f"
			trap finish EXIT
			"$f"
		) >"$work/$f.said" 2>&1 &
		echo $! >"$work/$f.pid"
	done
	for f; do
		wait "$(<"$work/$f.pid")" || rc=1
		cat "$work/$f.said"
	done
	[ $rc = 0 ] || fail "one of these: $*"
}

san_found='ERROR: AddressSanitizer|runtime error:|LeakSanitizer|WARNING: ThreadSanitizer'

# Processes of the script's own, in place of guests: they end with it.
running=()

# From a trap that does something before it: with the exit code that it began with.
finish() { # [CODE]
	local rc=${1:-$?} pid
	trap - EXIT
	[ ${#running[@]} = 0 ] || kill -9 "${running[@]}" 2>/dev/null || :
	[ ! -d "$host" ] || kernel_well
	for pid in $(workers); do
		kill -CONT "$pid" 2>/dev/null || :
	done
	if [ "$rc" = 0 ] && [ -n "$daemon" ]; then
		end_daemon || rc=1
	elif [ -n "$daemon" ]; then
		kill -9 "$daemon" 2>/dev/null || :
		wait "$daemon" 2>/dev/null || :
	fi
	wait_for 5 no_workers || workers | xargs -r kill -9 2>/dev/null || :
	wait 2>/dev/null || :
	if grep -qsE "$san_found" "$log" "$work/cli.log"; then
		echo "FAIL: a sanitizer found something:"
		grep -hsE -A 30 "$san_found" "$log" "$work/cli.log" | head -n 80
		rc=1
	elif [ "$rc" != 0 ] && [ "$rc" != 77 ] && [ -e "$log" ]; then
		echo "---- what vnetd said last"
		tail -n "${VNET_LOG_LINES:-30}" "$log"
	fi
	if [ -n "${VNET_KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
	exit "$rc"
}
trap finish EXIT

if ! [ -x "$build/test/vnetd" ] || ! [ -x "$build/vnetctl" ]; then
	fail "no $build/test/vnetd: run make build-tests, or say VNET_BUILD="
fi
