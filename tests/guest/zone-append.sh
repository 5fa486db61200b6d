#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: an append that would have more segments than the device takes, were its data others, fails and harms nobody; all others work
# timeout: 120
# memory: 768M
. "${0%/*}/../vm/lib.sh"

# append ZONE PAGES: in one piece, to a zone that is empty.
append() {
	check insmod "$BLKFILTER/kernel/append.ko" device="$disk" zone=$(($1 * 32768)) pages="$2"
	check rmmod append
}

load_module null_blk nr_devices=0
disk=$(null_blk_create zoned size=64 memory_backed=1 zoned=1 zone_size=16 max_sectors=2048)
segments=$(<"/sys/block/${disk#/dev/}/queue/max_segments")
((segments < 256)) || skip "the device takes $segments segments"

# The device takes it.
append 0 256
load_module
# That the filter has no answer for it the deadline finds.
start_filter involute --blind --slot 0 --deadline 1000 --device "$disk"
append 1 "$segments"
expect_status 1 insmod "$BLKFILTER/kernel/append.ko" device="$disk" zone=$((2 * 32768)) pages=256
append 2 1
[[ $(dd if="$disk" skip=32768 bs=512 count=$((segments * 8)) iflag=direct,fullblock status=none | tr -d z | wc -c) == 0 ]] || fail "other data"
stop_filter
