#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: throughput with two processors, the bare device and others in turns
# smp: 2
# memory: 512M
# timeout: 1200
#
# Two jobs of fio, 4 KiB random reads at depth 32 each. Results go to $OUT/throughput: case and I/Os per second, a line for each
# round. Rounds of the cases alternate, so that all have the same share of what else the machine does.
. "${0%/*}/../vm/lib.sh"
. "$BLKFILTER/bench/filters.sh"

ROUNDS=5 SECONDS_EACH=3

# rate: on $NULL.
rate() {
	fio --name=rate --filename="$NULL" --direct=1 --rw=randread --bs=4k --iodepth=32 --iodepth_batch=16 \
		--iodepth_batch_complete_min=16 --ioengine=io_uring --numjobs=2 --group_reporting --norandommap --size=1G \
		--time_based --runtime="$SECONDS_EACH" --disk_util=0 --output-format=terse --output=rate.log || fail "fio: $(cat rate.log)"
	awk -F ';' 'NF > 8 { print $8 }' rate.log
}

# once CASE
once() {
	echo "$1 $(rate)" | tee -a "$OUT/throughput"
}

# behind CASE OPTION...: a filter, with as many queues as there are processors.
behind() {
	serve "$BLKFILTER/bin/bench-filter" --ready-fd 1 --device "$NULL" "${@:2}"
	once "$1"
	serve_no_more
}

NULL=$(null_blk_create bench size=4096 irqmode=0 submit_queues=2 max_sectors=2560)
load_module
for ((round = 0; round < ROUNDS; round++)); do
	once bare
	behind no-interest --ops none
	behind pass
	behind pass-spin --spin 50
	behind pass-copy --payload --slot 4096 --notify
done

# shellcheck disable=SC2119
unload_module
