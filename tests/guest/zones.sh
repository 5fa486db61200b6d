#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: operations on zones, and zone appends of btrfs, which want their sector back, go through two filters
# timeout: 120
# memory: 768M
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"
. "${0%/*}/lib/zoned-btrfs.sh"

load_module null_blk nr_devices=0
disk=$(null_blk_create zoned size=512 memory_backed=1 zoned=1 zone_size=16)
zone=32768

load_module
start_trace --device "$disk" --altitude 900
start_filter pass --device "$disk" --altitude 100
check blkzone open -o 0 -l $zone "$disk"
check dd if=/dev/urandom of="$disk" bs=64k count=1 oflag=direct status=none
check blkzone close -o 0 -l $zone "$disk"
check blkzone finish -o 0 -l $zone "$disk"
expect_status 1 dd if=/dev/zero of="$disk" bs=64k count=1 oflag=direct status=none
check blkzone reset -o 0 -l $zone "$disk"
check blkzone reset "$disk"
seen "$TRACE" lines 1,2,4
for line in "zone-open 0 0" "write 0 0" "zone-close 0 0" "zone-finish 0 0" "write 0 -5" "zone-reset 0 0"; do
	grep -qx "$line" lines || fail "no '$line' among: $(<lines)"
done
grep -q '^zone-reset' <(tail -n 3 lines) || fail "no reset of all zones among: $(<lines)"

# Written to wherever there is room, and found again.
start_trace --device "$disk" --altitude 900
zoned_btrfs "$disk"
check btrfs check "$disk" >/dev/null 2>&1
