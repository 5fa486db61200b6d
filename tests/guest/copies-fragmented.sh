#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: the memory of copies has its limit also where there are only single pages
# disks: virtio:32M virtio:32M
# timeout: 120
# kernels: debug
# kmsg: FAULT_INJECTION|name fail
. "${0%/*}/../vm/lib.sh"

# fragmented PERCENT: of 64 KiB or more at once, for who may not wait.
fragmented() {
	local fault=/sys/kernel/debug/fail_page_alloc

	echo 0 >"$fault/verbose"
	echo -1 >"$fault/times"
	echo 1 >"$fault/interval"
	echo Y >"$fault/ignore-gfp-wait"
	echo 4 >"$fault/min-order"
	echo "$1" >"$fault/probability"
}

sectors_read() {
	awk '{ print $3 }' "/sys/block/${DISK0##*/}/stat"
}

# has_read: a good deal of what there is to copy.
has_read() {
	(($(sectors_read) - sectors >= 64 * 128))
}

load_module
load_module dm_mod
[[ -d /sys/kernel/debug/fail_page_alloc ]] || skip "no fault injection here"
check dmsetup create store --table "0 65536 linear $DISK1 0"
head -c 32M /dev/urandom >before
check dd if=before of="$DISK0" bs=1M oflag=direct status=none

# 512 writes to as many chunks, while nothing gets into the store.
start_filter places --device "$DISK0" --copy /dev/mapper/store --depth 512
check dmsetup suspend --noflush --nolockfs store
fragmented 100
sectors=$(sectors_read)
fio --name=bounded --filename="$DISK0" --rw=write:60k --bs=4k --size=32m --number_ios=512 --direct=1 --ioengine=libaio \
	--iodepth=512 --iodepth_batch=64 --output=bounded.out &
fio=$!
wait_until 30 has_read
sleep 3
(($(sectors_read) - sectors <= 160 * 128)) || fail "$(($(sectors_read) - sectors)) sectors wait in memory"
check dmsetup resume store
wait "$fio" || fail "fio: $(<bounded.out)"
fragmented 0
stop_filter "$FILTER"
check dmsetup remove store
check cmp before "$DISK1"
grep -qx 'failed copies 0 mirrors 0' "filter.$FILTERS.out" || fail "$(<"filter.$FILTERS.out")"
