#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: zoned devices below filters that change the data: writes to a zone stay in order, a zone append brings back its sector through all of them
# timeout: 150
# memory: 768M
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"
. "${0%/*}/lib/zoned-btrfs.sh"

load_module null_blk nr_devices=0
load_module

disk=$(null_blk_create order size=64 memory_backed=1 zoned=1 zone_size=16)
start_filter involute --blind --key 1 --device "$disk" --altitude 900 --queues 2
upper=$FILTER
start_filter involute --blind --key 2 --device "$disk" --altitude 100 --queues 2 --depth 4 --slot 0
for ((round = 0; round < 5; round++)); do
	check "$BLKFILTER/bin/zonewrite" "$disk" 256
	[[ $(dd if="$disk" bs=1M count=1 iflag=direct status=none | tr -d z | wc -c) == 0 ]] || fail "other data"
	check blkzone reset -o 0 -l 32768 "$disk"
done
stop_filter
stop_filter "$upper"

# What a file system appends it finds again by the sectors that came back; and without the filters it finds nothing.
disk=$(null_blk_create fs size=512 memory_backed=1 zoned=1 zone_size=16)
start_filter involute --blind --key 1 --device "$disk" --altitude 900
upper=$FILTER
start_trace --device "$disk" --altitude 500
start_filter involute --blind --key 2 --device "$disk" --altitude 100
lower=$FILTER
zoned_btrfs "$disk"
stop_filter "$upper"
stop_filter "$lower"
expect_status 32 mount -t btrfs "$disk" mnt 2>/dev/null
