#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: the disks of the head arrive in order, in size and in kind
# disks: virtio:256M nvme:128M scsi:64M virtio:32M,logical_block_size=4096,physical_block_size=4096
. "${0%/*}/../vm/lib.sh"

# expect_size DISK MIB
expect_size() {
	local bytes
	bytes=$(blockdev --getsize64 "$1")
	((bytes == $2 << 20)) || fail "$1 has $bytes bytes, not $2 MiB"
}

[[ $DISK0 == /dev/vd? && $DISK1 == /dev/nvme* && $DISK2 == /dev/sd? ]] ||
	fail "kinds: $DISK0 $DISK1 $DISK2"
expect_size "$DISK0" 256
expect_size "$DISK1" 128
expect_size "$DISK2" 64
[[ $(blockdev --getss "$DISK3") == 4096 ]] || fail "$DISK3: a property was lost"

# They hold what is written to them.
for disk in "$DISK0" "$DISK1" "$DISK2" "$DISK3"; do
	check fio --name="${disk##*/}" --filename="$disk" --rw=write --bs=64k \
		--size=8M --direct=1 --verify=crc32c --output="$OUT/fio.${disk##*/}"
done

null=$(null_blk_create harness size=64 memory_backed=1)
expect_size "$null" 64
null_blk_remove harness

expect_status 1 false
wait_until 10 test -b "$DISK0"
