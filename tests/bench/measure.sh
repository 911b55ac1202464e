#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is counted of the product as it is built, for tests/bench/run, which prints it,
# and tests/flow/cost.sh, which holds it to its bounds. Sourced after tests/flow/lib.sh.
# shellcheck disable=SC2154,SC2034 # from lib.sh: build, work, run, socket, log, top; and for
# those who source it

traces=$work/traces

# The product on a root. $wrapper comes before it.
product() { # ROOT OPTIONS OF VNETD...
	local root=$1
	shift
	rm -rf "$run" "$socket"
	"${wrapper[@]}" "$build/vnetd" --root "$root" --runtime "$run" --socket "$socket" \
		--plugins "$build/plugins" "$@" 2>>"$log" </dev/null >/dev/null &
	daemon=$!
	wait_for 10 listens || fail "vnetd does not listen"
	alive || fail "vnetd ended at its start: $(tail -n 3 "$log")"
}

# The same, with each system call of each of its threads and workers in a file. The
# tracer is a child of vnetd (-D), so that $daemon is vnetd itself.
product_traced() { # ROOT OPTIONS OF VNETD...
	rm -rf "$traces"
	mkdir "$traces"
	wrapper=(${before[@]+"${before[@]}"} strace -D -ff -qq -o "$traces/t")
	product "$@"
	wrapper=()
}

# Host with COUNT VFs, each bound to vfio-pci, 256 a PF at most, each PF up: DIR.
many_vfs() { # COUNT
	local pfs=$((($1 + 255) / 256)) i up=()
	made=$work/vfs-$1
	[ ! -d "$made" ] || return 0
	for ((i = 0; i < pfs; i++)); do up+=(--pf-up "$i"); done
	"$top/tests/fake/mkhost" "$made" --captured --domains --pfs "$pfs" --vfs-total 256 \
		--existing-vfs $(($1 / pfs)) --bound vfio-pci "${up[@]}"
}

# Of each worker, what it did for its first request: from its receipt to the answer.
worker_calls() {
	local file
	for file in "$traces"/t.*; do
		[ "$file" = "$traces/t.$daemon" ] ||
			awk '/^recvmsg\(3/ { go = 1 } go { n++ } /^sendmsg\(3/ && go { exit } END { print n + 0 }' "$file"
	done | awk '{ n += $1 } END { print n + 0 }'
}

# Of the daemon: from when it listens on.
daemon_calls() { awk '/^listen\(/ { go = 1 } go { n++ } END { print n + 0 }' "$traces/t.$daemon"; }

# A cold inventory is what a start looks at first: all PFs have answered then.
cold_is_done() { # PFS
	local n
	n=$(grep -l '^sendmsg(3' "$traces"/t.* | wc -l)
	[ "$n" -gt "$1" ]
}

# Calls of workers and daemon for one cold inventory of COUNT VFs, in $in_workers and
# $in_daemon.
cold_calls() { # COUNT
	many_vfs "$1"
	product_traced "$made"
	wait_for 60 cold_is_done $((($1 + 255) / 256)) || fail "no scan"
	sleep 1
	in_workers=$(worker_calls) in_daemon=$(daemon_calls)
	stop
}

rss_anon() { awk '/^RssAnon:/ { print $2 }' "/proc/$daemon/status"; } # KiB
rss_peak() { awk '/^VmHWM:/ { print $2 }' "/proc/$daemon/status"; }

# All that was traced so far, and what came since.
mark() { lines_then=$(cat "$traces"/t.* | wc -l); }
calls_since() { echo $(($(cat "$traces"/t.* | wc -l) - lines_then)); }
mark_files() {
	local file
	rm -rf "$work/marked"
	mkdir "$work/marked"
	for file in "$traces"/t.*; do wc -l <"$file" >"$work/marked/${file##*/}"; done
}
since_mark() { # every line that came since mark_files
	local file was
	for file in "$traces"/t.*; do
		was=$(cat "$work/marked/${file##*/}" 2>/dev/null || echo 0)
		tail -n "+$((was + 1))" "$file"
	done
}

# Opens and looks below /sys, however it is named: the worker has the root open.
sysfs_calls() {
	since_mark | grep -cE '^(open|openat|readlink|readlinkat|newfstatat|statx|faccessat2?|getdents64)\([^"]*"/?sys/' || :
}

# A real root with a network of its own, so that this machine's changes nothing. False:
# this machine does not allow it.
own_network() {
	if [ "$(id -u)" = 0 ]; then before=(unshare -n); else before=(unshare -Urn); fi
	"${before[@]}" strace -D -qq -o /dev/null true 2>/dev/null
}

in_network() { nsenter -t "$daemon" ${own_user[@]+"${own_user[@]}"} -n "$@"; }
