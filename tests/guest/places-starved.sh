#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: copies, mirrors and redirected writes get on when nobody gets memory without waiting for it
# disks: virtio:48M virtio:48M nvme:48M
# timeout: 120
# kernels: debug
# kmsg: FAULT_INJECTION|name fail
. "${0%/*}/../vm/lib.sh"

# starve PERCENT: of allocations that may not wait.
starve() {
	local fault
	for fault in failslab fail_page_alloc; do
		echo 0 >"/sys/kernel/debug/$fault/verbose"
		echo -1 >"/sys/kernel/debug/$fault/times"
		echo 1 >"/sys/kernel/debug/$fault/interval"
		echo Y >"/sys/kernel/debug/$fault/ignore-gfp-wait"
		[[ $fault == failslab ]] || echo 0 >"/sys/kernel/debug/$fault/min-order"
		echo "$1" >"/sys/kernel/debug/$fault/probability"
	done
}

load_module
[[ -d /sys/kernel/debug/failslab ]] || skip "no fault injection here"
start_filter places --device "$DISK0" --copy "$DISK1" --mirror "$DISK2"
starve 95
check fio --name=load --filename="$DISK0" --rw=randwrite --bs=16k --direct=1 --ioengine=libaio --iodepth=32 \
	--size=48m --number_ios=1500 --verify=crc32c --output=load.out
starve 0
stop_filter "$FILTER"
grep -qx 'failed copies 0 mirrors 0' "filter.$FILTERS.out" || fail "$(<"filter.$FILTERS.out")"
check cmp "$DISK0" "$DISK2"
