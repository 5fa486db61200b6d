#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: how the instructions per I/O grow with devices, filters, ranges, queue depth and the device's size
# icount: yes
# smp: 1
# memory: 1024M
# timeout: 3600
# append: sysctl.kernel.hung_task_timeout_secs=0
#
# The guest's part of tests/bench/run for series.sh. Results as those of measure.sh.
. "${0%/*}/../vm/lib.sh"
BENCH=$BLKFILTER/bench
. "$BENCH/plan.sh"
. "$BENCH/series.sh"
. "$BENCH/guest.sh"

# grown CASE COMMAND...: with a server that COMMAND starts.
grown() {
	planned "$1" || return 0
	"${@:2}"
	measure "$1"
	serve_no_more
}

# processes N: so many filter processes, one below the other. The first is $server, the others are $servers.
processes() {
	local i
	servers=()
	for ((i = 1; i < $1; i++)); do
		filter_on "$NULL" --altitude "$((i * 20))"
		servers+=("$server")
	done
	filter_on "$NULL" --altitude 900
}

# layers N OPTION...: so many in one process, or in two if one may not have so many.
layers() {
	servers=()
	if (($1 > 8)); then
		filter_on "$NULL" --altitude 100 --layers "$(($1 - 8))" "${@:2}"
		servers+=("$server")
	fi
	filter_on "$NULL" --altitude 900 --layers "$(($1 > 8 ? 8 : $1))" "${@:2}"
}

# stacked CASE COMMAND...: as grown, with several servers.
stacked() {
	planned "$1" || return 0
	"${@:2}"
	measure "$1"
	serve_no_more
	for server in ${servers[@]+"${servers[@]}"}; do
		serve_no_more
	done
}

# among N OPTION...: the device and so many others, less one. A device that may have others below it, as these by their looks, has
# a tag of its own.
among() {
	many_devices "$(($1 - 1))"
	filter_on "$NULL" ${many[@]+"${many[@]}"} --depth 2048 "${@:2}"
}

measure bare

for number in $(numbers depth); do
	measure_all "depth-bare-$number"
	grown "depth-no-interest-$number" filter_on "$NULL" --ops none
	grown "depth-pass-$number" filter_on "$NULL" --depth 1024
done

for number in $(numbers ranges); do
	grown "ranges-range-no-$number" interest_on ranges "$NULL" "$number"
done

for number in $(numbers filters); do
	stacked "filters-no-interest-$number" layers "$number" --ops none
	stacked "filters-pass-$number" layers "$number"
	stacked "filters-processes-$number" processes "$number"
done

for number in $(numbers size); do
	planned "size-bitmap-no-$number" || continue
	device=$(null_blk_create "sized$number" size=$((number * 1024)) irqmode=0 max_sectors=2560)
	span=${number}G
	grown "size-bitmap-no-$number" interest_on chunks "$device"
	grown "size-mark-$number" interest_on mark "$device"
done
device=$NULL
span=256M

for number in $(numbers devices); do
	! planned "devices-pass-$number" || {
		grown "devices-no-interest-$number" among "$number" --ops none
		grown "devices-pass-$number" among "$number"
	}
done

# shellcheck disable=SC2119
unload_module
