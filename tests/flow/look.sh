#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# show and list say what a guest's NIC runs on, as QEMU's descriptors tell at that moment.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

edit_host() { # FILTER
	# shellcheck disable=SC2016 # for the shell inside
	flock "$host/fake.lock" sh -c 'jq "$1" fake.json >.new && mv .new fake.json' x "$1"
}
edit() { (cd "$host" && edit_host "$1"); }
vhost_of() { # GUEST/NAME, of both replies
	local shown
	shown=$(json '.attachment | "\(.vhost) \(.vhostQueues) \(.vhostWhy)"' show "$1")
	same "list says the same" "$shown" "$(json '.attachments[] | select("\(.guest)/\(.name)" == "'"$1"'") |
		"\(.vhost) \(.vhostQueues) \(.vhostWhy)"' list)" >&2
	echo "$shown"
}
line() { vnet show "$1" | sed -n 's/^  vhost  *//p'; }

new_host --pf-up 1 --guests 3 --bridge br0,vlan --mgmtdev vdpasim_net
sed -i "s/<vcpu>1</<vcpu>4</" "$host/guests/vm1.xml"
# The second guest is not KVM's.
sed -i "s/<domain type='kvm'>/<domain type='qemu'>/" "$host/guests/vm2.xml"
start

note "a KVM guest: by the kernel, on all its queues; a tap beside it is none"
vnet attach vm1 --mode vhost-net --pool br0 -o queues=2
vnet attach vm1 --mode tap --pool br0
same "vhost-net" 'on 2 null' "$(vhost_of vm1/net0)"
same "vhost-net" 'yes, 2 queues' "$(line vm1/net0)"
same "tap" 'off 1 mode tap' "$(vhost_of vm1/net1)"
same "tap" 'no, mode tap' "$(line vm1/net1)"

note "libvirt opens none for a guest that is not KVM's"
vnet attach vm2 --mode vhost-net --pool br0
same "vm2" 'off 1 guest is not KVM' "$(vhost_of vm2/net0)"
same "vm2" 'no, guest is not KVM' "$(line vm2/net0)"

note "what is seen counts, not what was asked for"
edit '(.holders[] | select(.guest == "vm1" and .vhost == 2)).vhost = 1'
says '^null 2 process [0-9]+ has 1 vhost-net open for 2 queues$' "$(vhost_of vm1/net0)"
edit '(.holders[] | select(.guest == "vm1")).vhost = 0'
says '^off 2 process [0-9]+ has no /dev/vhost-net open$' "$(vhost_of vm1/net0)"
tap=$(json .attachment.device show vm1/net0)
edit "(.holders[] | select(.interface == \"$tap\")).interface = \"other\""
same "nobody has it" "null null no process has a queue of $tap open" "$(vhost_of vm1/net0)"
same "nobody has it" "not known: no process has a queue of $tap open" "$(line vm1/net0)"
edit '(.holders[] | select(.interface == "other")).interface = "'"$tap"'"'

note "a look that fails or hangs keeps nobody waiting for the rest"
kernel_fails "queue_users EIO"
says '^null null .*Input/output error' "$(vhost_of vm1/net0)"
kernel_fails "hang queue_users"
expect 0 'not known: ' show vm1/net0
expect 0 'vm1/net1' list
kernel_well

note "what has no queues has nothing to say, nor what is not in use"
vnet attach vm3 --mode vf
same "a VF" 'null null null' "$(vhost_of vm3/net0)"
same "a VF" '' "$(line vm3/net0)"
for nic in vm1/net0 vm1/net1 vm2/net0 vm3/net0; do
	vnet detach "${nic%/*}" "${nic#*/}"
done
