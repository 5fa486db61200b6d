#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: incremental backups by marks have what zone appends and resets of zones have changed
# timeout: 150
# memory: 768M
# smp: 2
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/backup.sh"

load_module null_blk nr_devices=0
disk=$(null_blk_create zoned size=256 memory_backed=1 zoned=1 zone_size=4)
load_module
backup_start "$disk" replica 16
modprobe btrfs || skip "the kernel has no btrfs"
mkfs.btrfs -q -f -O zoned -d single -m single "$disk" 2>mkfs.err || skip "mkfs.btrfs: $(tail -n 1 mkfs.err)"
mkdir mnt
mount -t btrfs "$disk" mnt || skip "this btrfs does not do zones"
for ((i = 0; i < 10; i++)); do
	dd if=/dev/urandom of="mnt/$i" bs=300k count=1 status=none
done
sync
check umount mnt
check blkzone reset -o $((8192 * 40)) -l 8192 "$disk"
backup_stop "$disk" replica
# Into the same file: memory is scarce here.
backup_start "$disk" replica 16
check blkzone reset "$disk"
backup_stop "$disk" replica 1
