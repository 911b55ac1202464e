#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Which plugins the daemon loads: those that came with it, those that were built against
# any header that was ever given out, and newer ones. What it refuses it names, with the
# reason, and all the others are there.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

plugins=$work/plugins
mkdir "$plugins"

# build NAME HEADER-FOLDER <SOURCE: vnet-NAME.so
build() {
	${CC:-gcc} -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -I"$2" \
		-o "$plugins/vnet-$1.so" -x c -
}

# What a plugin needs, and a plugin of it: plugin NAME [FIELDS] [HEADER-FOLDER].
parts='#include <vnet-plugin.h>
static inline int probe(const struct vnet_plugin_host *h, const struct vnet_plugin_nic *n,
	const struct vnet_plugin_request *r, struct vnet_plugin_verdict *v)
{ (void)n, (void)r; h->verdict(v, 0, "not I"); return 0; }
static inline int plan(const struct vnet_plugin_host *h, const struct vnet_plugin_nic *n,
	const struct vnet_plugin_request *r, struct vnet_plugin_plan *p)
{ (void)h, (void)n, (void)r, (void)p; return 0; }
static inline int deliver(const struct vnet_plugin_host *h, const struct vnet_plugin_nic *n,
	const struct vnet_plugin_request *r, struct vnet_plugin_delivery *d)
{ (void)r; return h->deliver(d, VNET_DELIVERY_LINK, n->claim, ""); }
static inline int refuse(void) { return 1; }
'
usual='.summary = "s", .candidates = VNET_CANDIDATE_VF, .probe = probe, .plan = plan, .deliver = deliver'
plugin() {
	build "$1" "${3:-$top/plugins}" <<<"$parts
VNET_PLUGIN(${2:-.name = \"$1\", $usual});"
}

# shellcheck disable=SC2016 # for jq
state() { # FILE: "loaded" or why it is not
	json --arg f "vnet-$1.so" \
		'.modes[] | select(.file == $f) | if .loaded then "loaded" else .error end' mode list
}

json() { # ARGUMENTS OF JQ... VERB...
	local args=("${@:1:$#-2}")
	vnet --json "${@: -2}" | jq -r "${args[@]}"
}

refused() { # NAME PATTERN
	says "$2" "$(state "$1")"
	grep -q "plugin $plugins/vnet-$1.so not loaded" "$log" || fail "the journal has nothing of $1"
	ok "refused: vnet-$1.so $(state "$1" | cut -c 1-120)"
}

command -v jq >/dev/null || skip "there is no jq"
new_host --pfs 1 --existing-vfs 2 --guests 1

note "what comes with vnetd"
start
for mode in macvtap passthrough tap vdpa vf vhost-net vhost-user; do
	same "$mode" loaded "$(state "$mode")"
done
expect 0 'queues' mode list
expect 4 'mode vf has no option forward; it has none at all' attach vm1 --mode vf -o forward=vepa
expect 0 'mode macvtap has no option trunk; it has: forward mtu queues' \
	why vm1 --mode macvtap --pool enp1s0 --trunk 10
stop

note "built against the header of each ABI, as it was then"
for folder in "$top"/tests/abi/v*; do
	build "example-${folder##*/}" "$folder" <"$top/plugins/example.c"
	start --plugins "$plugins"
	same "${folder##*/}" loaded "$(state "example-${folder##*/}")"
	expect 0 'is no Linux bridge' why vm1 --mode example --pool enp1s0
	stop
	rm "$plugins"/*
done

note "built against a header that is to come"
mkdir "$work/newer" "$work/other" "$work/older"
sed 's,^struct vnet_plugin {,&,; /struct vnet_plugin_fds \*ret);/s,$,\n\tint (*later)(void);,' \
	"$top/plugins/vnet-plugin.h" >"$work/newer/vnet-plugin.h"
grep -q later "$work/newer/vnet-plugin.h" || fail "the newer header has nothing new"
sed 's/define VNET_PLUGIN_ABI .*/define VNET_PLUGIN_ABI 2/' \
	"$top/plugins/vnet-plugin.h" >"$work/other/vnet-plugin.h"
sed 's/define VNET_PLUGIN_ABI .*/define VNET_PLUGIN_ABI 0/' \
	"$top/plugins/vnet-plugin.h" >"$work/older/vnet-plugin.h"
plugin newer ".name = \"newer\", $usual, .later = refuse" "$work/newer"

note "what is refused, and the rest all the same"
plugin abi2 "" "$work/other"
plugin abi0 "" "$work/older"
build small "$top/plugins" <<<"$parts
const struct vnet_plugin vnet_plugin = { .struct_size = 24, .abi = VNET_PLUGIN_ABI, .name = \"small\",
	$usual };"
build nothing "$top/plugins" <<<'int x;'
echo 'no program' >"$plugins/vnet-text.so"
mkdir "$plugins/vnet-folder.so"
plugin noname "$usual"
plugin badname ".name = \"Bad\", $usual"
plugin longname ".name = \"a23456789012345678901234\", $usual"
plugin nosummary ".name = \"nosummary\", ${usual#*, }"
plugin noprobe ".name = \"noprobe\", ${usual/.probe = probe, /}"
plugin noplan ".name = \"noplan\", ${usual/.plan = plan, /}"
plugin nodeliver ".name = \"nodeliver\", ${usual/, .deliver = deliver/}"
plugin nocandidates ".name = \"nocandidates\", ${usual/.candidates = VNET_CANDIDATE_VF, /}"
plugin badoption ".name = \"badoption\", $usual, .options = (const struct vnet_plugin_option[]){
	{ \"Queues\", \"1\", \"s\" }, { 0, 0, 0 } }"
plugin halfoption ".name = \"halfoption\", $usual, .options = (const struct vnet_plugin_option[]){
	{ \"queues\", 0, \"s\" }, { 0, 0, 0 } }"
plugin unwilling ".name = \"unwilling\", $usual, .load = refuse"
plugin writable
chmod g+w "$plugins/vnet-writable.so"
plugin first ".name = \"twice\", $usual"
plugin second ".name = \"twice\", $usual"
[ "$(id -u)" != 0 ] || { plugin owned && chown 12345 "$plugins/vnet-owned.so"; }
cp "$build"/plugins/vnet-*.so "$plugins"

start --plugins "$plugins"
same "a newer one" loaded "$(state newer)"
refused abi2 'is of ABI 2, this vnetd takes ABI 1: build it'
refused abi0 'is of ABI 0, this vnetd takes ABI 1'
refused small 'has 24 bytes, but ABI 1 has [0-9]+ at least'
refused nothing 'undefined symbol: vnet_plugin'
refused text 'file too short|invalid ELF header'
refused folder 'is no regular file'
refused noname 'has no name that a mode can have'
refused badname 'has no name that a mode can have'
refused longname 'has no name that a mode can have'
refused nosummary 'mode nosummary lacks a summary'
refused noprobe 'mode noprobe lacks probe'
refused noplan 'mode noplan lacks plan'
refused nodeliver 'mode nodeliver lacks deliver'
refused nocandidates 'mode nocandidates lacks candidates'
refused badoption "mode badoption: option 'Queues'"
refused halfoption "mode halfoption: option 'queues'"
refused unwilling 'its load\(\) refused'
refused writable 'can be written by others: chmod go-w it'
same "the first of two" loaded "$(state first)"
refused second 'mode twice is there already, of vnet-first.so'
[ "$(id -u)" != 0 ] || refused owned 'belongs to user 12345: chown it to root'
for mode in macvtap passthrough tap vdpa vf vhost-net vhost-user; do
	same "$mode" loaded "$(state "$mode")"
done
expect 1 'there is no mode unwilling' attach vm1 --mode unwilling
expect 0 'vm1/net0: vf' attach vm1 --mode vf
expect 0 'vm1/net0 is detached' detach vm1
