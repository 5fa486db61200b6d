#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: writes to a zone, many in flight and submitted from changing CPUs, reach it in order through filters with two queues, which may see some parts of it only
# timeout: 120
# memory: 768M
. "${0%/*}/../vm/lib.sh"

load_module null_blk nr_devices=0
disk=$(null_blk_create zoned size=64 memory_backed=1 zoned=1 zone_size=16)

# write_zones ROUNDS COUNT [KIB]
write_zones() {
	local round
	for ((round = 0; round < $1; round++)); do
		check "$BLKFILTER/bin/zonewrite" "$disk" "${@:2}"
		check blkzone reset -o 0 -l 32768 "$disk"
	done
}

write_zones 3 256
load_module
start_filter pass --device "$disk" --altitude 900 --queues 2
start_filter pass --device "$disk" --altitude 100 --queues 2 --depth 4
write_zones 20 256

# And while the data of one are being copied for a filter that has too few tags for them all.
start_filter bench-filter --payload --ops write --slot 262144 --device "$disk" --altitude 500 --queues 2 --depth 2
write_zones 10 64 256
stop_filter

# And when it wants to see every other block.
start_filter bench-filter --every 16 --ops write --device "$disk" --altitude 500 --queues 2
write_zones 10 256
