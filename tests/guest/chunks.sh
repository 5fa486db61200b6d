#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: the chunk bitmap says what is presented; CLEAR loses no first write to a chunk; it follows the device's size; 16 TiB work, misuse is refused
# disks: virtio:16M
# smp: 2
# timeout: 150
. "${0%/*}/../vm/lib.sh"

load_module
check "$BLKFILTER/bin/chunks" refuse "$DISK0"
check "$BLKFILTER/bin/chunks" model "$DISK0" 12 200
check "$BLKFILTER/bin/chunks" model "$DISK0" 16 200
for shift in 12 16; do
	check "$BLKFILTER/bin/chunks" cow "$DISK0" $shift
done
check "$BLKFILTER/bin/chunks" hostile "$DISK0" 2000

load_module loop
truncate -s 16M file
loop=$(losetup --find --show --direct-io=off file)
check "$BLKFILTER/bin/chunks" grow "$loop" file
check losetup --detach "$loop"

load_module dm_mod
load_module dm_zero
check dmsetup create sparse --table "0 34359738368 zero"
sparse=/dev/mapper/sparse
[[ -b $sparse ]] || sparse=/dev/dm-0
check "$BLKFILTER/bin/chunks" model "$sparse" 16 200 >out
grep -qx '268435456 chunks, 33554432 bytes' out || fail "$(<out)"
check dmsetup remove sparse
