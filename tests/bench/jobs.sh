# SPDX-License-Identifier: GPL-2.0
# fio, and what it takes to know the price of one I/O. Sourced by tests/bench/measure.sh, in the guest.
# shellcheck shell=bash

ROUNDS=3

# I/Os before the measured ones: whatever is done once is done in these.
WARM_UP=160

# What is counted is the same in each of few.
COUNTED=400
most=$((1 << 30))

# Each job goes to other places than all before it: what is done once for a place is done again.
seed=0

# Where the I/Os go: $device, and how much of it from its start.
device='' span=256M

# What the shell that fio starts before and after a job says.
# shellcheck disable=SC2016 # for that shell
CLOCK='printf %s $EPOCHREALTIME'
CALLS=/sys/kernel/tracing/events/raw_syscalls/sys_enter
COUNTS="awk '\$1 == \"ctxt\" || \$1 == \"Hits:\" { print \$2 }' /proc/stat $CALLS/hist"
ask=$CLOCK

# nanoseconds JOB: from before the first of its I/Os until after the last, and a constant. fio's own figure is in milliseconds,
# so the shell that it starts before and after a job reads the clock.
nanoseconds() {
	local before after
	before=$(<"$1.prerun.txt")
	after=$(<"$1.postrun.txt")
	echo $(((${after/./} - ${before/./}) * 1000))
}

# add_jobs CASE OP BLOCK DEPTH IOS: two jobs of different length, added to $jobs. What they have in common is not the price of
# an I/O.
add_jobs() {
	local batch=$(($4 < 2 ? 1 : $4 / 2)) warm_up=$(($4 > 64 ? 2 * $4 : WARM_UP)) job
	job=(
		--rw="rand$2" --bs="$3" --iodepth="$4" --ioengine=io_uring
		--iodepth_batch="$batch" --iodepth_batch_complete_min="$batch"
		--iomem="$([[ $3 == 4096 ]] && echo malloc || echo shmhuge)"
		--filename="$device" --direct=1 --size="$span" --io_size=100G --norandommap --randrepeat=0
		--disk_util=0 --stonewall --scramble_buffers=0
		--exec_prerun="$ask" --exec_postrun="$ask"
	)
	jobs+=(
		--name="few-$2-$3-$4" "${job[@]}" --randseed="$((++seed))" --number_ios="$warm_up"
		--name="many-$2-$3-$4" "${job[@]}" --randseed="$((++seed))" --number_ios="$((warm_up + ($5 < most ? $5 : most)))"
	)
}

# per_io JOB LINE IOS: of what COUNTS says, in that line, with two decimals.
per_io() {
	local few=few-$1 many=many-$1 side job values=()
	for job in "$many" "$few"; do
		for side in postrun prerun; do
			values+=("$(sed -n "$2p" "$job.$side.txt")")
		done
	done
	awk -v ios="$(($3 < most ? $3 : most))" -v more="$((values[0] - values[1] - values[2] + values[3]))" 'BEGIN { printf "%.2f", more / ios }'
}

# note_counts CASE OP BLOCK DEPTH IOS: one line of $OUT/counts.
note_counts() {
	local name="$2-$3-$4"
	echo "$1 $2 $3 $4 $(per_io "$name" 2 "$5") $(per_io "$name" 1 "$5")" >>"$OUT/counts"
}

# note CASE OP BLOCK DEPTH IOS: one line of $OUT/samples.
note() {
	local few many name="$2-$3-$4"
	few=$(nanoseconds "few-$name")
	many=$(nanoseconds "many-$name")
	echo "$1 $2 $3 $4 $(((many - few) / $5))" | tee -a "$OUT/samples"
}

# each FUNCTION CASE [OP]: with each line of the plan for it.
each() {
	local line
	while read -ra line; do
		[[ ${line[0]} != "$2" || ${3:-${line[1]}} != "${line[1]}" ]] || "$1" "${line[@]}"
	done <<<"$THE_PLAN"
}

run_fio() {
	fio --output=fio.log "${jobs[@]}" >fio.out 2>&1 || fail "fio: $(cat fio.out fio.log)"
}

# measure_all CASE...: those that are planned, one after the other on what is there now.
measure_all() {
	local case
	for case; do
		! planned "$case" || measure "$case"
	done
}

# count CASE [OP]: fewer of them once more, for what can't be had without disturbing the clock.
count() {
	local jobs=() ask=$COUNTS most=$COUNTED
	each add_jobs "$@"
	echo 'hist:keys=common_pid' >"$CALLS/trigger"
	run_fio
	echo '!hist:keys=common_pid' >"$CALLS/trigger"
	each note_counts "$@"
}

# measure CASE [OP]: all that is planned of it, on $device, in one fio, which takes longer to start than to measure.
measure() {
	local round jobs
	for ((round = 0; round < ROUNDS; round++)); do
		jobs=()
		each add_jobs "$@"
		run_fio
		each note "$@"
	done
	count "$@"
}

# planned CASE...: is any of them to be measured in this run?
planned() {
	local case
	for case; do
		[[ $'\n'$THE_PLAN != *$'\n'"$case "* ]] || return 0
	done
	return 1
}
