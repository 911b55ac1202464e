#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The lab itself, without vnetd, for the modes other than vf: each device made by hand and
# handed to a QEMU without libvirt, as fds where it takes them, all in one guest.
# shellcheck disable=SC1091,SC2034,SC2054 # commas are QEMU's
. "${LAB_DIR:?run me by tests/lab/run}/modes.sh"

mac() { echo "52:54:00:a5:00:$1"; }
pf=$(lab_pf 0) link=$(pci_netdev "$(lab_pf 1)")

modprobe -a vhost_vdpa vdpa_sim_net vfio-pci vp_vdpa openvswitch
systemctl start openvswitch-switch
net_reset
world_up
ip link set "$link" up
ip link set "$(pci_netdev "$pf")" up
net_state >/run/lab/before
bridge_up br0
ovs_up ovs0

note "taps for virtio with two queues, e1000, vmxnet3, and virtio on Open vSwitch"
ip tuntap add tmq mode tap vnet_hdr multi_queue
for tap in te1000 tvmx tovs; do
	ip tuntap add $tap mode tap vnet_hdr
done
for tap in tmq te1000 tvmx tovs; do
	ip link set $tap up
done
for tap in tmq te1000 tvmx; do
	ip link set $tap master br0
done
bridge vlan del vid 1 dev te1000
bridge vlan add vid 200 pvid untagged dev te1000
ovs add-port ovs0 tovs tag=100

note "macvtap on $link, vDPA over $LAB_VPVDPA and simulated, a VF, the NIC $LAB_OTHER whole"
ip link add link "$link" name mv0 address "$(mac 05)" type macvtap mode bridge
ip link set mv0 up
pci_bind "$LAB_VPVDPA" vp-vdpa
vdpa mgmtdev show
vdpa dev add name vd0 mgmtdev "pci/$LAB_VPVDPA"
vdpa dev add name vs0 mgmtdev vdpasim_net mac "$(mac 09)" mtu 1400
vdpa dev show
node() { echo "/dev/$(basename "/sys/bus/vdpa/devices/$1"/vhost-vdpa-*)"; }
vfs_create "$pf" 1
vf=$(vf_address "$pf" 0)
ip link set "$(pci_netdev "$pf")" vf 0 mac "$(mac 07)"
pci_bind "$vf" vfio-pci
pci_bind "$LAB_OTHER" vfio-pci
other_mac=52:54:00:99:02:01
vdpa_mac=52:54:00:99:03:01
vdpa_state

PLAIN_PREFIX=("$LAB_DIR/host/with-fds" n1.tap=tap:tmq,2 n1.vhost=vhost:2 n5.tap=macvtap:mv0 n5.vhost=vhost:1
	"n6.vdpa=vdpa:$(node vd0)" h0.iommufd=iommufd: "h0.vfio=vfio:$vf" --)
note "testpmd on a vhost-user socket"
timed "testpmd starts" testpmd_up /run/lab/vu.sock server
start=$(now)
PLAIN_SMP=2 PLAIN_SHARED=yes plain_start p1 \
	-netdev tap,id=n1,fds=@n1.tap,vhostfds=@n1.vhost -device "virtio-net-pci,netdev=n1,mac=$(mac 01),mq=on,vectors=6,romfile=" \
	-netdev tap,id=n2,ifname=te1000,script=no,downscript=no -device "e1000,netdev=n2,mac=$(mac 02),romfile=" \
	-netdev tap,id=n3,ifname=tvmx,script=no,downscript=no -device "vmxnet3,netdev=n3,mac=$(mac 03),romfile=" \
	-netdev tap,id=n4,ifname=tovs,script=no,downscript=no -device "virtio-net-pci,netdev=n4,mac=$(mac 04),romfile=" \
	-netdev tap,id=n5,fds=@n5.tap,vhostfds=@n5.vhost -device "virtio-net-pci,netdev=n5,mac=$(mac 05),romfile=" \
	-netdev vhost-vdpa,id=n6,vhostfd=@n6.vdpa -device "virtio-net-pci,netdev=n6,mac=$vdpa_mac,romfile=" \
	-object iommufd,id=i0,fd=@h0.iommufd -device vfio-pci,id=h0,iommufd=i0,fd=@h0.vfio,rombar=0 \
	-chardev socket,id=c8,path=/run/lab/vu.sock -netdev vhost-user,id=n8,chardev=c8 \
	-device "virtio-net-pci,netdev=n8,mac=$(mac 08),romfile=" \
	-device "vfio-pci,id=h1,host=$LAB_OTHER,rombar=0"
guest_wait p1 '^guest: ready' 500
printf 'time: guest with two CPUs and nine NICs is ready: %s s\n' "$(since "$start")"
for i in 01:world 02:world200 03:world 04:world100 05:world 07:world 08:world; do
	guest_ping_wait p1 "$(mac "${i%:*}")" "${i#*:}"
done
guest_ping_wait p1 $vdpa_mac
guest_ping_wait p1 $other_mac
printf 'time: all have pinged: %s s\n' "$(since "$start")"
guest_queues_wait p1 "$(mac 01)" 2
only_peer p1 "$(mac 02)" world200
only_peer p1 "$(mac 04)" world100
pid=$(qemu_pid p1)
same "device fds" "iommu:1 net/tun:5 tap:1 vfio/devices:1 vfio/group:1 vfio/vfio:1 vhost-net:3 vhost-vdpa:1" \
	"$(device_fds "$pid")"
same "threads of vhost-net" 3 "$(vhost_threads "$pid")"
plain_stop p1
testpmd_down

note "everything away again"
vdpa dev del vd0
vdpa dev del vs0
for address in "$LAB_VPVDPA" "$LAB_OTHER"; do
	pci_home "$address"
done
echo 0 >"/sys/bus/pci/devices/$pf/sriov_numvfs"
echo 1 >"/sys/bus/pci/devices/$pf/sriov_drivers_autoprobe"
for tap in tmq te1000 tvmx tovs mv0; do
	ip link del $tap
done
bridge_down br0
ovs_down ovs0
net_state >/run/lab/after
diff -u /run/lab/before /run/lab/after || fail "the host is not as it was"
ok "the lab works for all modes"
