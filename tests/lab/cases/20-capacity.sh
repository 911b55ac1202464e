#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# All VFs of a PF taken; and twenty at once on seven.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

ip link set "$pool0" up
guest_define vm2
guest_start vm2
guest_ready vm2

note "twenty at once on seven VFs"
start=$(now)
for i in $(seq 1 20); do
	(
		rc=0
		vnetctl attach vm2 --live --mode vf --pool "$pool0" --name "nic$i" >"$state_dir/many.$i" 2>&1 || rc=$?
		echo $rc >"$state_dir/many.$i.rc"
	) &
done
wait
printf 'time: 20 attaches at once: %s s\n' "$(since "$start")"
won=$(grep -lx 0 "$state_dir"/many.*.rc | wc -l)
lost=$(grep -lx 4 "$state_dir"/many.*.rc | wc -l)
same "attached" 7 "$won"
same "refused as nothing can serve" 13 "$lost"
vnet list
same "different VFs" 7 "$(vnetctl --json list | jq -r '.attachments[].vf' | sort -u | wc -l)"
same "different MACs" 7 "$(vnetctl --json list | jq -r '.attachments[].mac' | sort -u | wc -l)"

note "the next one is refused with the reason, and changes nothing"
keep full
vnet_exit 4 'attachment vm2/nic[0-9]+ has it' attach vm2 --mode vf --pool "$pool0" --name more
vnet_exit 0 'attachment vm2/nic[0-9]+ has it' why vm2 --mode vf --pool "$pool0"
back_as full

note "one detached: the next attach takes it"
# A guest that still greets seven new NICs has no ear for an unplug.
for mac in $(vnetctl --json list | jq -r '.attachments[].mac'); do
	guest_nic_wait vm2 "$mac" 120
done
one=$(vnetctl --json list | jq -r '.attachments[3].name')
vf=$(vnetctl --json list | jq -r '.attachments[3].vf')
vnet detach vm2 "$one"
vnet attach vm2 --live --mode vf --pool "$pool0" --name again
same "the VF" "$vf" "$(vnetctl --json show vm2/again | jq -r .attachment.vf)"

note "the guest's end takes all back"
virsh -q destroy vm2
wait_for 60 all_given_back ||
	fail "attachments stay after the guest's end: $(vnetctl list)"
for vf in "/sys/bus/pci/devices/$pf0"/virtfn*; do
	same "$(basename "$vf")" none "$(pci_driver "$(basename "$(readlink "$vf")")")"
done
if ip link show "$pool0" | grep -E 'vf [0-9]' | grep -v '00:00:00:00:00:00'; then
	fail "a VF keeps its MAC"
fi
virsh -q undefine vm2
