# SPDX-License-Identifier: GPL-2.0
# What both guests that count instructions share: devices and tools. Sourced by measure.sh and scaling.sh, which have a plan.
# shellcheck shell=bash

RIVALS=$BLKFILTER/rivals
. "$BENCH/jobs.sh"
. "$BENCH/filters.sh"

# dm_create NAME TABLE: prints its path.
dm_create() {
	check dmsetup create "$1" --table "$2"
	readlink -f "/dev/mapper/$1"
}

# many_devices N: sets $many, the options that name so many others. They stay: the guest ends soon, and to remove one waits.
many_devices() {
	local names=() name
	many=()
	for name in $(seq -f many%g "$1"); do
		[[ -e /sys/kernel/config/nullb/$name ]] || names+=("/sys/kernel/config/nullb/$name")
		many+=(--device "/dev/$name")
	done
	((${#names[@]} == 0)) || mkdir "${names[@]}"
	for name in ${names[@]+"${names[@]}"}; do
		echo 1 >"$name/hw_queue_depth"
		echo 64 >"$name/size"
		echo 1 >"$name/power"
	done
	[[ -b /dev/many1 ]] || unnamed_devices
}

# unnamed_devices: on kernels where they are called by numbers.
unnamed_devices() {
	local i
	for ((i = 1; i < ${#many[@]}; i += 2)); do
		many[i]=/dev/nullb$(<"/sys/kernel/config/nullb/${many[i]##*/}/index")
	done
}

# shellcheck disable=SC2086 # a word each
THE_PLAN=$(plan "$BENCH_KERNEL" ${CASES//,/ })

mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing

# How many pieces a buffer of small pages has in memory is a matter of luck.
echo 16 >/proc/sys/vm/nr_hugepages

# Without max_sectors 128 KiB would be split on 6.1, and be something else. It keeps nothing, so it may be large.
NULL=$(null_blk_create bench size=1048576 irqmode=0 max_sectors=2560)
OTHER=$(null_blk_create other size=64 irqmode=0)
device=$NULL

# Nothing is attached where it does not say so, and the module then costs nothing.
load_module
