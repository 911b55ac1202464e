#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Make a captured host that no machine was needed for: make.sh DIR OPTIONS of mkhost.
# README.md says which host was made how.
set -euo pipefail
out=$1
shift
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
"$(dirname "${BASH_SOURCE[0]}")/../fake/mkhost" "$stage" --captured "$@"
mkdir -p "$out"
mv "$stage/nic.json" "$out/"
parts=(sys)
[ ! -d "$stage/dev" ] || parts+=(dev)
tar -C "$stage" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u+rwX,go+rX \
	-cf - "${parts[@]}" | gzip -n9 >"$out/sys.tar.gz"
