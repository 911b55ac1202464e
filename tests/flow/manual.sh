#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the manual pages show as examples does what they say.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# shown PAGE PATTERN: the literal block of the page that matches, as one would type it.
shown() {
	awk -v want="$2" '
		/^\.Bd -literal/ { block = ""; inside = 1; next }
		/^\.Ed/ { if (inside && block ~ want) printf "%s", block; inside = 0 }
		inside { gsub(/\\e/, "\\"); block = block $0 "\n" }' "$top/docs/$1"
}

command -v jq >/dev/null || skip "there is no jq"

note "vnet-plugin(3): the example is a mode that works"
mkdir "$work/plugins"
cp "$build"/plugins/*.so "$work/plugins"
shown vnet-plugin.3 '#include' >"$work/ready.c"
cc=$(sed -n 's,^/\* \(cc.*\) \*/$,\1,p' "$work/ready.c")
same "how to build it" "cc -fPIC -shared -fvisibility=hidden -o vnet-ready.so ready.c" "$cc"
# shellcheck disable=SC2086 # words
(cd "$work" && ${CC:-gcc} -I"$top/plugins" ${cc#cc})
mv "$work/vnet-ready.so" "$work/plugins"
new_host --pfs 1 --existing-vfs 4 --guests 2
start --plugins "$work/plugins"
expect 0 'ready +loaded +a VF that is on vfio-pci' mode list
expect 4 'vf0 is not on vfio-pci: bind it' attach vm1 --mode ready
expect 0 'vm1/net0: vf' attach vm1 --mode ready,vf
expect 0 'vm1/net0 is detached' detach vm1
new_host --pfs 1 --existing-vfs 4 --bound vfio-pci --guests 2
start --plugins "$work/plugins"
expect 0 'vm1/net0: ready .* vlan 100' attach vm1 --mode ready --vlan 100
expect 0 'vf0' show vm1/net0
expect 0 'vm1/net0 is detached' detach vm1

note "vnetctl(1): lines for scripts"
mkdir "$work/bin"
printf '#!/bin/sh\nexec %q --socket %q "$@"\n' "$build/vnetctl" "$socket" >"$work/bin/vnetctl"
chmod +x "$work/bin/vnetctl"
PATH=$work/bin:$PATH
lines() { # PATTERN: without the prompts
	shown vnetctl.1 "$1" | sed 's/^[#$] //'
}
expect 0 'vm1/net0' attach vm1
expect 0 'vm1/net1' attach vm1
expect 0 'vm2/net0' attach vm2
same "free VFs" 1 "$(eval "$(lines 'holder == null')" | grep -c '^0000:')"
eval "$(lines 'detach vm1 --all' | grep -e --all)" >/dev/null
same "left" "vm2/net0" "$(json '.attachments[] | "\(.guest)/\(.name)"' list)"
