# SPDX-License-Identifier: GPL-2.0
# Copy on write in chunks of 64 KiB: the first write to a chunk, which copies it to a store, and those that come later. The
# store forgets all, as it does for each of the rivals: what memory costs is not theirs.
# shellcheck shell=bash

# Random writes all over a device as large as this rarely meet a chunk again.
wide() {
	span=1T
	measure "$1"
	span=256M
}

# touch_all: one write to each chunk of what the others write to.
touch_all() {
	fio --name=touch --filename="$device" --direct=1 --rw=write:60k --bs=4k --size=256M --io_size=16M --ioengine=io_uring \
		--iodepth=32 --disk_util=0 --output=touch.log || fail "fio: $(cat touch.log)"
}

measure_all bare-steady
if planned cow-first cow-steady; then
	store=$(null_blk_create store size=1048576 irqmode=0 max_sectors=2560)
	serve "$BLKFILTER/bin/bench-cow" "$NULL" "$store"
	! planned cow-first || wide cow-first
	if planned cow-steady; then
		touch_all
		measure cow-steady
	fi
	serve_no_more
	null_blk_remove store
fi

if planned dm-snapshot-first dm-snapshot-steady; then
	load_module dm_snapshot
	store=$(null_blk_create store size=1048576 irqmode=0 max_sectors=2560)
	sectors=$(blockdev --getsz "$NULL")
	dm_create snapshot "0 $sectors snapshot $NULL $store N 128" >/dev/null
	device=$(dm_create origin "0 $sectors snapshot-origin $NULL")
	! planned dm-snapshot-first || wide dm-snapshot-first
	if planned dm-snapshot-steady; then
		touch_all
		measure dm-snapshot-steady
	fi
	check dmsetup remove origin
	check dmsetup remove snapshot
	null_blk_remove store
	device=$NULL
fi
