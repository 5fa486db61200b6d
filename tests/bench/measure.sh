#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: instructions per I/O with nothing, dm-linear and blkfilter in the way
# icount: yes
# smp: 1
# memory: 512M
# timeout: 1500
#
# The guest's part of tests/bench/run.  One instruction is one nanosecond here,
# so time is work.  Results go to $OUT/samples, a line for each measurement:
#
#	case op block depth instructions
. "${0%/*}/../vm/lib.sh"

OPS=(read write)
BLOCKS=(4096 131072)
DEPTHS=(1 32)
ROUNDS=2

# I/Os before the measured ones: whatever is done once is done in these.
WARM_UP=500

# measured_ios BLOCK: large ones cost more and need fewer.
measured_ios() {
	echo $(($1 == 4096 ? 10000 : 2000))
}

# busy OP BLOCK DEPTH COUNT: prints the nanoseconds that COUNT I/Os took, and a
# constant.  fio's own figure is in milliseconds, so the shell that it starts
# before and after the job reads the clock.
busy() {
	local batch=$(($3 < 2 ? 1 : $3 / 2)) before after
	# shellcheck disable=SC2016 # for fio's shell
	fio --name=job --filename="$device" --direct=1 --rw="rand$1" --bs="$2" \
		--ioengine=io_uring --iodepth="$3" --iodepth_batch="$batch" \
		--iodepth_batch_complete_min="$batch" \
		--size=256M --number_ios="$4" --io_size=100G --disk_util=0 \
		--exec_prerun='printf %s $EPOCHREALTIME' \
		--exec_postrun='printf %s $EPOCHREALTIME' \
		--output=fio.log >fio.out 2>&1 || fail "fio: $(cat fio.out fio.log)"
	before=$(<job.prerun.txt)
	after=$(<job.postrun.txt)
	echo $(((${after/./} - ${before/./}) * 1000))
}

# sample CASE OP BLOCK DEPTH: one line of $OUT/samples.  What two runs of
# different length have in common is not the price of an I/O.
sample() {
	local count few many
	count=$(measured_ios "$3")
	few=$(busy "${@:2}" "$WARM_UP")
	many=$(busy "${@:2}" "$((WARM_UP + count))")
	echo "$* $(((many - few) / count))" >>"$OUT/samples"
	echo "$* $(((many - few) / count))"
}

# measure CASE: all combinations, on $device.
measure() {
	local round op block depth
	for ((round = 0; round < ROUNDS; round++)); do
		for op in "${OPS[@]}"; do
			for block in "${BLOCKS[@]}"; do
				for depth in "${DEPTHS[@]}"; do
					sample "$1" "$op" "$block" "$depth"
				done
			done
		done
	done
}

# filtered CASE DEVICE MODE: measures while a filter is on DEVICE.
filtered() {
	local filter
	: >filter.out
	"$BLKFILTER/bench/filter" "$2" "$3" >filter.out &
	filter=$!
	wait_until 10 grep -q attached filter.out
	measure "$1"
	kill "$filter" || fail "$1: the filter has gone"
	wait "$filter" || true
}

null=$(null_blk_create bench size=1024 irqmode=0)
other=$(null_blk_create other size=64 irqmode=0)

device=$null
measure bare

load_module dm_mod
check dmsetup create linear --table "0 $(blockdev --getsz "$null") linear $null 0"
device=/dev/mapper/linear
[[ -b $device ]] || device=/dev/dm-0
measure dm-linear
check dmsetup remove linear

load_module
device=$null
filtered unattached "$other" pass
filtered no-interest "$null" none
filtered pass "$null" pass
filtered pass-copy "$null" copy
unload_module
