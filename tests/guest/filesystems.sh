#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: XFS and btrfs work on a disk with two filters as without, with their discards
# disks: virtio:512M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

# file_system NAME: fio verifies, and the file system's own check agrees.
file_system() {
	check mount -t "$1" -o discard "$DISK0" mnt
	check fio --name="$1" --directory=mnt --bsrange=4k-1m --rw=randrw --size=8m --verify=crc32c --verify_fatal=1 \
		--fsync=16 --ioengine=libaio --iodepth=8 --direct=1 --unlink=1 --output=fio.out
	check fstrim mnt
	check umount mnt
}

load_module
start_filter pass --device "$DISK0" --altitude 900 --depth 8
start_filter pass --device "$DISK0" --altitude 100
mkdir mnt
if modprobe xfs; then
	check mkfs.xfs -q -f "$DISK0"
	file_system xfs
	check xfs_repair -n "$DISK0" >repair.out 2>&1
fi
if modprobe btrfs; then
	check mkfs.btrfs -q -f "$DISK0"
	file_system btrfs
	check btrfs check "$DISK0" >check.out 2>&1
fi
discards=$("$BLKFILTER/bin/bfuse" stat --json "$DISK0" | sed -nE 's/.*"discard": *"?([0-9]+).*/\1/p' | head -n 1)
((discards > 2)) || fail "only ${discards:-no} discards seen"
