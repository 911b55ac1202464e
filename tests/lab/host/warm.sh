#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Run once by prepare: takes out of a first boot what every later one would
# otherwise wait for, libvirt's probe of QEMU and a guest that has booted.
# shellcheck source=/dev/null
. "${LAB_DIR:?run me by tests/lab/prepare}/lib.sh"

mkdir -p "$LAB_OUT/warm"
virsh version
cp -r /var/cache/libvirt "$LAB_OUT/warm/cache"
for vcpus in 1 2; do
	GUEST_VCPUS=$vcpus guest_define labwarm
	start=$(now)
	guest_start labwarm
	guest_ready labwarm
	printf 'time: a guest with %s CPUs is ready: %s s\n' "$vcpus" "$(since "$start")"
	sleep 2
	timed "save" virsh -q save labwarm /run/lab/guest.save
	cp /run/lab/guest.save "$LAB_OUT/warm/guest$vcpus.save"
	virsh -q undefine labwarm
done
