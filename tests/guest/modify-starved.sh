#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: two filters that both change data, one above the other, get on with what each has in reserve when there is no memory at all
# disks: virtio:64M
# timeout: 240
# kernels: debug
# kmsg: FAULT_INJECTION|name fail|Failed to create a worker
. "${0%/*}/../vm/lib.sh"

MANY=100000000

# has_starved: there were such who got none.
has_starved() {
	local fault
	for fault in failslab fail_page_alloc; do
		(($(<"/sys/kernel/debug/$fault/times") < MANY)) || fail "$fault: nobody was refused memory"
	done
}

# starve 1|0: the kernel's threads, those that it makes meanwhile, and the filters get no memory, even where they wait for it.
starve() {
	local fault task
	for task in $(pgrep -w -P 2) 2 $(pgrep -w involute); do
		echo "$1" >"/proc/$task/make-it-fail" || true
	done 2>/dev/null
	for fault in failslab fail_page_alloc; do
		echo 0 >"/sys/kernel/debug/$fault/verbose"
		echo $MANY >"/sys/kernel/debug/$fault/times"
		echo 1 >"/sys/kernel/debug/$fault/interval"
		echo Y >"/sys/kernel/debug/$fault/task-filter"
		echo N >"/sys/kernel/debug/$fault/ignore-gfp-wait"
		[[ $fault == failslab ]] || echo 0 >"/sys/kernel/debug/$fault/min-order"
		echo $(($1 * 100)) >"/sys/kernel/debug/$fault/probability"
	done
}

# write_all SEED COUNT: more at a time than all reserves hold.
write_all() {
	check timeout 100 fio --name=load --filename="$DISK0" --rw=randwrite --bs=256k --direct=1 --ioengine=libaio --iodepth=16 --size=64m \
		--number_ios="$2" --randseed="$1" --verify=crc32c --do_verify=0 --output=load.out
}

load_module
[[ -d /sys/kernel/debug/failslab ]] || skip "no fault injection here"
start_filter involute --device "$DISK0" --altitude 500 --slot 262144
low=$FILTER
start_filter involute --device "$DISK0" --altitude 900 --key 0x3c --slot 262144
high=$FILTER
# Whatever is touched for the first time is touched here.
write_all 1 256
starve 1
write_all 2 64
has_starved
starve 0
check fio --name=load --filename="$DISK0" --rw=randwrite --bs=256k --direct=1 --ioengine=libaio --iodepth=16 --size=64m \
	--number_ios=64 --randseed=2 --verify=crc32c --verify_only --output=verify.out
stop_filter "$high"
stop_filter "$low"
