#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: below a loop device on a file each bio that reaches the filtered disk is seen once; with the loop filtered too, each at both
# disks: virtio:128M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"
. "${0%/*}/lib/stack.sh"

load_module
load_module loop
check mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$DISK0"
mkdir mnt
check mount "$DISK0" mnt
check fallocate -l 64M mnt/file
loop=$(losetup -f --show mnt/file)

watch Q "$DISK0"
load "$loop"
sync
compare "$DISK0"

# Both levels, by one process and by two, and without the page cache between.
check losetup --direct-io=on "$loop"
watch Q "$loop" "$DISK0"
start_filter pass --device "$loop" --device "$DISK0" --altitude 100 --depth 4
load "$loop"
sync
compare "$loop" "$DISK0"
stop_filter "$FILTER"
check losetup -d "$loop"
check umount mnt
check fsck.ext4 -fn "$DISK0"
