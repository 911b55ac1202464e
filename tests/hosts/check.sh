#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What vnetd makes of captured hosts: check.sh [HOST...], default every folder here with
# a sys.tar.gz. The daemon runs unprivileged on the unpacked host; its inventory must
# satisfy docs/inventory.schema.json and be what expect/ says, as JSON and as text.
# UPDATE=1 writes expect/ anew: read the difference before you commit it.
# VNET_BUILD is the build folder (build/O).
set -euo pipefail
export LC_ALL=C.UTF-8 TERM=dumb COLUMNS=160

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${VNET_BUILD:-$top/build/O}
tmp=$(mktemp -d)
pid=
finish() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || :
	wait
	rm -rf "$tmp"
}
trap finish EXIT

for program in vnetd vnetctl; do
	[ -x "$build/$program" ] || {
		echo "check.sh: no $build/$program: run make, or say VNET_BUILD=" >&2
		exit 1
	}
done

# As nobody where we are root and nobody may read the build.
unprivileged=()
if [ "$(id -u)" = 0 ] && setpriv --reuid=65534 --regid=65534 --clear-groups \
	test -x "$build/vnetd" 2>/dev/null; then
	unprivileged=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	chown 65534:65534 "$tmp"
fi

start() { # HOST
	local try
	mkdir -p "$tmp/$1/root" "$tmp/$1/config"
	tar -C "$tmp/$1/root" -xzf "$here/$1/sys.tar.gz"
	cp "$here/$1/nic.json" "$tmp/$1/root/"
	[ ${#unprivileged[@]} = 0 ] || chown 65534:65534 "$tmp/$1"
	"${unprivileged[@]}" "$build/vnetd" --root "$tmp/$1/root" --runtime "$tmp/$1/run" \
		--config "$tmp/$1/config" --socket "$tmp/$1/io" --plugins "$build/plugins" \
		>"$tmp/$1/log" 2>&1 &
	pid=$!
	for ((try = 0; try < 200; try++)); do
		# A socket is there before anybody listens at it.
		! "$build/vnetctl" --socket "$tmp/$1/io" mode list >/dev/null 2>&1 || return 0
		kill -0 $pid 2>/dev/null || break
		sleep 0.05
	done
	echo "$1: vnetd does not listen:" >&2
	cat "$tmp/$1/log" >&2
	return 1
}

stop() {
	kill "$pid"
	wait "$pid" || :
	pid=
}

valid() { # JSON
	/usr/bin/python3 - "$top/docs/inventory.schema.json" "$1" <<'PY'
import json, sys
import jsonschema

schema, document = (json.load(open(name)) for name in sys.argv[1:])
jsonschema.Draft202012Validator.check_schema(schema)
errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(document), key=lambda e: e.json_path)
for e in errors:
    print(f"{e.json_path}: {e.message}")
sys.exit(bool(errors))
PY
}

same() { # HOST FILE
	local expect=$here/$1/expect/$2
	if [ -n "${UPDATE:-}" ]; then
		mkdir -p "${expect%/*}"
		cp "$tmp/$1/$2" "$expect"
	else
		diff -u "$expect" "$tmp/$1/$2"
	fi
}

check() { # HOST
	local bad=0
	start "$1" || return 1
	"$build/vnetctl" --socket "$tmp/$1/io" inventory --json | jq . >"$tmp/$1/inventory.json" &&
		"$build/vnetctl" --socket "$tmp/$1/io" inventory --verbose >"$tmp/$1/inventory.txt" || bad=1
	stop
	if [ $bad = 0 ]; then
		valid "$tmp/$1/inventory.json" || bad=1
		same "$1" inventory.json || bad=1
		same "$1" inventory.txt || bad=1
	fi
	[ $bad = 0 ] || cat "$tmp/$1/log"
	return $bad
}

hosts=("$@")
if [ $# = 0 ]; then
	cd "$here"
	hosts=(*/sys.tar.gz)
	hosts=("${hosts[@]%/*}")
fi
failed=0
for host in "${hosts[@]}"; do
	if check "$host"; then
		echo "ok: $host"
	else
		echo "BAD: $host"
		failed=$((failed + 1))
	fi
done
[ $failed = 0 ]
