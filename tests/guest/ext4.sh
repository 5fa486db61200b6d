#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: ext4 on a disk with filters at two altitudes works as without: fio verifies all sizes, direct, buffered, fsync, discard
# disks: virtio:512M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

load_module
start_filter pass --device "$DISK0" --altitude 900 --name upper
start_filter pass --device "$DISK0" --altitude 100 --name lower
check mkfs.ext4 -q "$DISK0"
mkdir mnt
check mount -o discard "$DISK0" mnt

mixed=(--directory=mnt --bsrange=512-2m --blockalign=512 --rw=randrw --verify=crc32c --verify_fatal=1 --do_verify=1
	--fsync=32 --size=24m --io_size=24m --randrepeat=0 --output-format=terse)
check fio --name=direct --direct=1 --ioengine=libaio --iodepth=16 "${mixed[@]}" >/dev/null
check fio --name=buffered --ioengine=psync "${mixed[@]}" >/dev/null
rm mnt/direct*
check fstrim mnt
check umount mnt
check fsck.ext4 -fn "$DISK0"
