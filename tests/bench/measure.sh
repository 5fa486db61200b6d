#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: instructions, system calls and context switches per I/O with nothing, dm-linear and blkfilter in the way
# icount: yes
# smp: 1
# memory: 512M
# timeout: 3600
# append: sysctl.kernel.hung_task_timeout_secs=0
#
# The guest's part of tests/bench/run.  One instruction is one nanosecond here,
# so time is work.  Results go to $OUT/samples, a line for each measurement:
#
#	case op block depth instructions
#
# and to $OUT/counts, of a round of their own, as counting them costs some:
#
#	case op block depth system-calls context-switches
#
# While the guest waits for the host its clock runs ahead, on a busy machine by
# minutes.  So nothing here has a time limit but the harness's generous one.
. "${0%/*}/../vm/lib.sh"

OPS=(read write)
BLOCKS=(4096 131072)
DEPTHS=(1 32)
ROUNDS=3

# I/Os before the measured ones: whatever is done once is done in these.
WARM_UP=500

# measured_ios BLOCK: large ones cost more and need fewer.
measured_ios() {
	echo $(($1 == 4096 ? 10000 : 3000))
}

# nanoseconds JOB: from before the first of its I/Os until after the last, and a
# constant.  fio's own figure is in milliseconds, so the shell that it starts
# before and after a job reads the clock.
nanoseconds() {
	local before after
	before=$(<"$1.prerun.txt")
	after=$(<"$1.postrun.txt")
	echo $(((${after/./} - ${before/./}) * 1000))
}

# add_jobs OP BLOCK DEPTH: two jobs of different length, added to $jobs.  What
# they have in common is not the price of an I/O.
add_jobs() {
	local batch=$(($3 < 2 ? 1 : $3 / 2)) job
	# shellcheck disable=SC2016 # for fio's shell
	job=(
		--rw="rand$1" --bs="$2" --iodepth="$3" --ioengine=io_uring
		--iodepth_batch="$batch" --iodepth_batch_complete_min="$batch"
		--iomem="$([[ $2 == 4096 ]] && echo malloc || echo shmhuge)"
		--filename="$device" --direct=1 --size=256M --io_size=100G
		--disk_util=0 --stonewall
		--exec_prerun="$ask" --exec_postrun="$ask"
	)
	jobs+=(
		--name="few-$1-$2-$3" "${job[@]}" --number_ios="$WARM_UP"
		--name="many-$1-$2-$3" "${job[@]}"
		--number_ios="$((WARM_UP + $(measured_ios "$2")))"
	)
}

# What the shell that fio starts before and after a job says.
# shellcheck disable=SC2016 # for that shell
CLOCK='printf %s $EPOCHREALTIME'
CALLS=/sys/kernel/tracing/events/raw_syscalls/sys_enter
COUNTS="awk '\$1 == \"ctxt\" || \$1 == \"Hits:\" { print \$2 }' /proc/stat $CALLS/hist"
ask=$CLOCK

# per_io JOB LINE BLOCK: of what COUNTS says, in that line, with two decimals.
per_io() {
	local few=few-$1 many=many-$1 side job values=()
	for job in "$many" "$few"; do
		for side in postrun prerun; do
			values+=("$(sed -n "$2p" "$job.$side.txt")")
		done
	done
	awk -v ios="$(measured_ios "$3")" -v more="$((values[0] - values[1] - values[2] + values[3]))" \
		'BEGIN { printf "%.2f", more / ios }'
}

# note_counts CASE OP BLOCK DEPTH: one line of $OUT/counts.
note_counts() {
	local name="$2-$3-$4"
	echo "$* $(per_io "$name" 2 "$3") $(per_io "$name" 1 "$3")" >>"$OUT/counts"
}

# count CASE OP...: the jobs once more, for what can't be had without disturbing the clock.
count() {
	local jobs=() ask=$COUNTS
	each add_jobs -- "${@:2}"
	echo 'hist:keys=common_pid' >"$CALLS/trigger"
	fio --output=fio.log "${jobs[@]}" >fio.out 2>&1 || fail "fio: $(cat fio.out fio.log)"
	echo '!hist:keys=common_pid' >"$CALLS/trigger"
	each note_counts "$1" -- "${@:2}"
}

# note CASE OP BLOCK DEPTH: one line of $OUT/samples.
note() {
	local few many name="$2-$3-$4"
	few=$(nanoseconds "few-$name")
	many=$(nanoseconds "many-$name")
	echo "$* $(((many - few) / $(measured_ios "$3")))" | tee -a "$OUT/samples"
}

# each COMMAND... -- OP...: COMMAND with each op, block and depth.
each() {
	local command=() op block depth
	while [[ $1 != -- ]]; do
		command+=("$1")
		shift
	done
	for op in "${@:2}"; do
		for block in "${BLOCKS[@]}"; do
			for depth in "${DEPTHS[@]}"; do
				"${command[@]}" "$op" "$block" "$depth"
			done
		done
	done
}

# measure CASE OP...: all combinations, on $device, in one fio, which takes
# longer to start than to measure.
measure() {
	local round jobs=()
	each add_jobs -- "${@:2}"
	for ((round = 0; round < ROUNDS; round++)); do
		fio --output=fio.log "${jobs[@]}" >fio.out 2>&1 ||
			fail "fio: $(cat fio.out fio.log)"
		each note "$1" -- "${@:2}"
	done
	count "$@"
}

# filter_on DEVICE OPTION...: sets $filter, a process that does nothing else.
filter_on() {
	local ready
	exec {ready}< <(exec "$BLKFILTER/bin/bench-filter" --queues 1 --ready-fd 1 \
		--device "$@" 2>filter.log)
	filter=$!
	read -r -u "$ready" || fail "the filter: $(cat filter.log)"
	exec {ready}<&-
}

# interest_on WHAT DEVICE: sets $filter, one that is never crossed to.
interest_on() {
	local ready
	exec {ready}< <(exec "$BLKFILTER/bin/bench-interest" "$@" 2>filter.log)
	filter=$!
	read -r -u "$ready" || fail "the filter: $(cat filter.log)"
	exec {ready}<&-
}

# filter_off: it must still be there.
filter_off() {
	local status=0
	kill "$filter" || status=$?
	wait "$filter" || status=$?
	((status == 0)) || fail "the filter: status $status, $(cat filter.log)"
}

mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing

# How many pieces a buffer of small pages has in memory is a matter of luck.
echo 16 >/proc/sys/vm/nr_hugepages

# Without max_sectors 128 KiB would be split on 6.1, and be something else.
null=$(null_blk_create bench size=1024 irqmode=0 max_sectors=2560)
other=$(null_blk_create other size=64 irqmode=0)

device=$null
measure bare "${OPS[@]}"

load_module dm_mod
check dmsetup create linear --table "0 $(blockdev --getsz "$null") linear $null 0"
device=/dev/mapper/linear
[[ -b $device ]] || device=/dev/dm-0
measure dm-linear "${OPS[@]}"
check dmsetup remove linear

load_module
device=$null

filter_on "$other"
measure unattached "${OPS[@]}"
filter_off

filter_on "$null" --ops none
measure no-interest "${OPS[@]}"
filter_off

interest_on chunks "$null"
measure bitmap-no "${OPS[@]}"
filter_off

interest_on ranges "$null"
measure range-no "${OPS[@]}"
filter_off

interest_on mark "$null"
measure mark "${OPS[@]}"
filter_off

filter_on "$null"
measure pass "${OPS[@]}"
filter_off

filter_on "$null" --realtime
measure pass-realtime "${OPS[@]}"
filter_off

filter_on "$null" --notify
measure pass-notify "${OPS[@]}"
filter_off

# So many filters one below the other, in one process.
for layers in 2 8; do
	filter_on "$null" --layers "$layers"
	measure "layers-$layers" "${OPS[@]}"
	filter_off
done

# The data of a write come with the request, those of a read when it is done.
filter_on "$null" --payload --slot 131072 --notify --ops read
measure pass-copy read
filter_off
filter_on "$null" --payload --slot 131072 --ops write
measure pass-copy write
filter_off

# shellcheck disable=SC2119
unload_module
