#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Who may do what: closed to everybody but root and the two groups. As root only, for it
# takes other users to try; the groups are made in a mount namespace of the daemon's own.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ "$(id -u)" = 0 ] || skip "only root can be somebody else"
command -v setpriv >/dev/null || skip "there is no setpriv"

nobody=65534 look=64001 change=64002
new_host --pf-up 0
cp "$build/vnetctl" "$work/vnetctl"
chmod 755 "$work" "$work/vnetctl"

as() { # GROUPS ARGS OF VNETCTL...: as nobody with these groups
	local groups=--clear-groups
	[ -z "$1" ] || groups=--groups=$1
	shift
	setpriv --reuid=$nobody --regid=$nobody "$groups" "$work/vnetctl" --socket "$socket" "$@"
}

# expect_as GROUPS CODE PATTERN ARGS...
expect_as() {
	local groups=$1 code=$2 pattern=$3 rc=0
	shift 3
	as "$groups" "$@" >"$work/out" 2>"$work/err" || rc=$?
	out=$(<"$work/out") err=$(<"$work/err")
	[ $rc = "$code" ] || fail "as $nobody ($groups): vnetctl $*: exit $rc instead of $code: $out$err"
	says "$pattern" "$out$err"
	ok "as $nobody (${groups:-no groups}): vnetctl $* (exit $code): $(head -n 1 <<<"$out$err" | cut -c 1-250)"
}

as "" --version >/dev/null 2>&1 || skip "nobody cannot run programs here"

keep before
start

note "nobody: nothing at all, and is told why"
for verb in "list" "inventory" "why vm1" "plan attach vm1" "mode list" "show vm1/net0"; do
	# shellcheck disable=SC2086 # words
	expect_as "" 1 "uid $nobody \(pid [0-9]+\) may not look: be root or a member of group vnet or vnet-admin" $verb
done
expect_as "" 1 'may not change anything: be root or a member of group vnet-admin \(usermod -aG vnet-admin' attach vm1
expect_as "" 1 'may not change anything' detach vm1
# What is wrong with the rest of it is not for them to find out.
expect_as "" 1 'may not change anything' attach nosuch --mac nonsense
rc=0
text=$(as "" --json attach vm1 2>/dev/null) || rc=$?
same "error" "1 Denied 13" "$rc $(jq -r '.error | "\(.name) \(.errno)"' <<<"$text")"
back_as before

note "a group of root's does not help, nor does its number"
expect_as 0 1 'may not look' list
expect_as 1,2,3 1 'may not look' list

note "files of the daemon are its own"
for file in attachments journal pools; do
	same "$file" "700" "$(stat -c %a "$run/$file")"
done
same "the socket is open to all, each call is judged" 666 "$(stat -c %a "$socket")"
expect 0 '^vm1/net0: ' attach vm1
same "state file" 600 "$(find "$run/attachments" -name '*.json' -printf %m)"
same "journal" 600 "$(find "$run/journal" -type f -printf %m)"
expect 0 'is detached' detach vm1

keep made
stop
{
	grep -vE '^(vnet|vnet-admin):' /etc/group
	echo "vnet:x:$look:"
	echo "vnet-admin:x:$change:"
} >"$work/group"
chmod 644 "$work/group"
if ! unshare -m mount --bind "$work/group" /etc/group 2>/dev/null; then
	note "the two groups cannot be made here: left out"
	exit 0
fi
# shellcheck disable=SC2016 # its own arguments
wrapper=(unshare -m sh -c 'mount --bind "$0" /etc/group && exec "$@"' "$work/group")
start

note "group vnet looks"
expect_as $look 0 'no attachments' list
expect_as $look 0 enp1s0 inventory
expect_as 5,$look,7 0 enp1s0 why vm1
expect_as $look 0 'vfio-pci' plan attach vm1
expect_as $look 0 '^vf' mode list
expect_as $look 1 "may not change anything" attach vm1
expect_as $look 1 "may not change anything" detach vm1
back_as made

note "group vnet-admin changes"
expect_as $change 0 '^vm1/net0: ' attach vm1
expect_as $change 0 'in-use' list
expect_as $look 0 'GOES BACK' show vm1/net0
expect_as "" 1 'may not look' show vm1/net0
says "io.vnetd.Attach vm1, asked for by uid $nobody" "$(<"$log")"
expect_as $change 0 'is detached' detach vm1
setpriv --reuid=$nobody --regid=$change --clear-groups "$work/vnetctl" --socket "$socket" attach vm1 >/dev/null ||
	fail "the main group does not count"
