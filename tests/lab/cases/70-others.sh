#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is not ours: another kind of NIC, a PF that the host uses, an NVMe controller.
. "${LAB_DIR:?run me by tests/lab/run}/vnet.sh"

ip link set "$pool0" up
ip link set "$pool1" up
guest_define vm1
guest_start vm1
vnetctl --json inventory >$state_dir/all.json

note "the inventory keeps its contract"
/usr/bin/python3 - "$state_dir/all.json" <<-'PY'
	import json, sys, jsonschema
	schema = json.load(open("/usr/share/vnetd/inventory.schema.json"))
	jsonschema.Draft202012Validator.check_schema(schema)
	jsonschema.Draft202012Validator(schema).validate(json.load(open(sys.argv[1])))
PY
ok "the inventory is valid by its schema"

pools=$(jq -r '.pools[].name' $state_dir/all.json | sort | tr '\n' ' ')
note "pools: $pools"
for pf in $LAB_PFS; do
	grep -qw "$(pci_netdev "$pf")" <<<"$pools" || fail "PF $pf is no pool"
done
# every SR-IOV network function is a pool of its kind, nothing else is
same "pools" "$(jq -r '[.nics[] | select(.kind == "pf" and (.class | startswith("0x02")))] | length' $state_dir/all.json)" \
	"$(jq -r '[.pools[] | select(any(.uplinks[]; .kind == "pf"))] | length' $state_dir/all.json)"
[ "$(jq -r '[.nics[] | select(.kind == "plain")] | length' $state_dir/all.json)" -ge 1 ] ||
	fail "no NIC of another kind is shown"

if [ -n "${LAB_NVME:-}" ]; then
	note "an NVMe controller with SR-IOV: shown, left alone"
	jq -e --arg a "$LAB_NVME" '.nics[] | select(.address == $a) | .class | startswith("0x01")' \
		$state_dir/all.json >/dev/null || fail "the NVMe controller is not shown"
	before=$(cat "/sys/bus/pci/devices/$LAB_NVME/sriov_numvfs") # another case may have made some
	vnet_exit 1 'no pool' attach vm1 --mode vf --pool "$LAB_NVME"
	same "NVMe VFs" "$before" "$(cat "/sys/bus/pci/devices/$LAB_NVME/sriov_numvfs")"
fi

guest_ready vm1
note "a PF that carries the host's addresses is never chosen by itself"
ip addr add 192.0.2.1/24 dev "$pool0"
ip link add br-test type bridge
ip link set "$pool1" master br-test
vnet_exit 4 "host itself uses $pool0 .*host itself uses $pool1|host itself uses $pool1" attach vm1 --mode vf
same "VFs of $pool0" 0 "$(cat "/sys/bus/pci/devices/$pf0/sriov_numvfs")"
same "VFs of $pool1" 0 "$(cat "/sys/bus/pci/devices/$pf1/sriov_numvfs")"
note "named, it serves, and plan says what that does"
vnet_exit 0 'interrupts the link.*192.0.2.1|interrupts the link.*address' \
	plan attach vm1 --mode vf --pool "$pool0"
vnet attach vm1 --mode vf --pool "$pool0"
vnet detach vm1
ip addr del 192.0.2.1/24 dev "$pool0"
ip link del br-test
vfs_remove "$pf0"

note "bad input changes nothing and is said clearly"
host_state >$state_dir/bad.host
vnet_exit 1 'no guest nobody' attach nobody --mode vf
vnet_exit 1 'no mode warp' attach vm1 --mode warp
vnet_exit 1 'no pool nowhere' attach vm1 --mode vf --pool nowhere
vnet_exit 2 'multicast' attach vm1 --mode vf --mac 01:00:5e:00:00:01
vnet_exit 2 '00:00:00:00:00:00|zero' attach vm1 --mode vf --mac 00:00:00:00:00:00
vnet_exit 2 'VLAN|vlan' attach vm1 --mode vf --vlan 4095
vnet_exit 2 'name' attach vm1 --mode vf --name Net0
host_state | diff -u $state_dir/bad.host - || fail "bad input changed the host"

note "who may: looking needs group vnet, changing vnet-admin"
useradd -M -G vnet looker
useradd -M stranger
runuser -u looker -- vnetctl list >/dev/null || fail "group vnet may not look"
if runuser -u looker -- vnetctl attach vm1 --mode vf 2>$state_dir/denied; then
	fail "group vnet may change"
fi
grep -q vnet-admin $state_dir/denied || fail "no word about vnet-admin: $(cat $state_dir/denied)"
if runuser -u stranger -- vnetctl list 2>$state_dir/denied; then
	fail "a stranger may look"
fi
ok "strangers are told: $(cat $state_dir/denied)"
guest_destroy vm1
