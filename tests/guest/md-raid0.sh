#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: below md raid0 each bio that reaches the filtered disks is seen once; with md filtered too, each at both levels
# disks: virtio:64M nvme:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"
. "${0%/*}/lib/stack.sh"

load_module
load_module raid0
watch D "$DISK0" "$DISK1"
check mdadm --create /dev/md0 --run --level=0 --raid-devices=2 --chunk=32 "$DISK0" "$DISK1" 2>mdadm.err
wait_until 10 test -b /dev/md0
load /dev/md0
compare "$DISK0" "$DISK1"

# Both levels, by one process and by two.  Here md sends bios on in place.
[[ ! -w /sys/block/md0/queue/iostats ]] || echo 0 >/sys/block/md0/queue/iostats
watch D "$DISK0" "$DISK1"
watch Q /dev/md0
start_filter pass --device /dev/md0 --device "$DISK0" --device "$DISK1" --altitude 100 --depth 4
load /dev/md0
compare /dev/md0 "$DISK0" "$DISK1"
stop_filter "$FILTER"
check mdadm --stop /dev/md0 2>mdadm.err
