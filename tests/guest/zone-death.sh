#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: of a filter that dies with many writes to a zone in hand, a successor gets them in order, again and again, also parts of one
# timeout: 120
# memory: 768M
. "${0%/*}/../vm/lib.sh"

load_module null_blk nr_devices=0
disk=$(null_blk_create zoned size=64 memory_backed=1 zoned=1 zone_size=16)

start() {
	start_filter pass --device "$disk" --policy hold --hold 60000 --queues 2 --depth 64
}

die() {
	kill -KILL "$FILTER"
	wait "$FILTER" || true
}

has_plenty() {
	"$BLKFILTER/bin/bfuse" stat --json "$disk" | tr -d ' ",' | awk -F : '$1 == "waiting" { n = $2 } END { exit !(n > 100) }'
}

# are_split N M: one filter has N requests in hand, and another M.
are_split() {
	"$BLKFILTER/bin/bfuse" stat --json "$disk" | tr -d ' ",' | awk -F : -v n="$1" -v m="$2" '
		$1 == "inflight" { seen[$2] = 1 } END { exit !(n in seen && m in seen) }'
}

load_module
# Tags come to be used in no order.
start
check fio --name=mess --filename="$disk" --rw=randread --size=64m --io_size=2m --bs=4k --direct=1 --ioengine=libaio --iodepth=64 \
	--output=fio.out
for ((round = 0; round < 6; round++)); do
	kill -STOP "$FILTER"
	"$BLKFILTER/bin/zonewrite" "$disk" 256 &
	writer=$!
	wait_until 10 has_plenty
	die
	start
	kill -STOP "$FILTER"
	die
	start
	wait "$writer" || fail "round $round: the writes did not come in order"
	check blkzone reset -o 0 -l 32768 "$disk"
done
stop_filter "$FILTER"

# What a filter above has split in parts comes from one request, at one time.
[[ -e /sys/kernel/mm/transparent_hugepage ]] || exit 0
start_filter involute --blind --slot 0 --device "$disk" --altitude 900
start
for ((round = 0; round < 6; round++)); do
	kill -STOP "$FILTER"
	"$BLKFILTER/bin/zonewrite" "$disk" 6 2048 &
	writer=$!
	wait_until 10 are_split 6 12
	die
	start
	wait "$writer" || fail "round $round: the parts did not come in order"
	check blkzone reset -o 0 -l 32768 "$disk"
done
