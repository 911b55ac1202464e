#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every mode that is not vf, from the request to the fake kernel and back.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

note "vhost-net on a bridge: made, given to the guest, taken back"
new_host --pf-up 1 --bridge br0,vlan --mgmtdev vdpasim_net
start
keep fresh
for mode in "vhost-net ethernet" "macvtap ethernet" "vdpa vdpa"; do
	expect 0 "then: virsh attach-device vm1 --live: <interface type='${mode#* }'>" \
		plan attach vm1 --mode "${mode% *}"
done
back_as fresh
expect 0 'vm1/net0: vhost-net vn[0-9a-f]{11} ' attach vm1 --mode vhost-net --pool br0 --vlan 100
vnet show vm1/net0
vnet list
vnet detach vm1
back_as fresh
for mode in tap macvtap vdpa; do
	vnet attach vm1 --mode $mode
	vnet list
	vnet detach vm1
done
back_as fresh
