#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: instructions, system calls and context switches per I/O with nothing, blkfilter and its rivals in the way
# icount: yes
# smp: 1
# memory: 768M
# timeout: 3600
# append: sysctl.kernel.hung_task_timeout_secs=0
#
# The guest's part of tests/bench/run. One instruction is one nanosecond here, so time is work. Results go to $OUT/samples, a
# line for each measurement:
#
#	case op block depth instructions
#
# and to $OUT/counts, of a round of their own, as counting them costs some:
#
#	case op block depth system-calls context-switches
#
# In the environment, by tests/bench/run: BENCH_KERNEL, as the plan calls it, and CASES, which are measured, by commas; none
# means all.
#
# While the guest waits for the host its clock runs ahead, on a busy machine by minutes. So nothing here has a time limit but
# the harness's generous one.
. "${0%/*}/../vm/lib.sh"
BENCH=$BLKFILTER/bench
. "$BENCH/plan.sh"
. "$BENCH/jobs.sh"
. "$BENCH/filters.sh"

# dm_create NAME TABLE: prints its path.
dm_create() {
	check dmsetup create "$1" --table "$2"
	readlink -f "/dev/mapper/$1"
}

# shellcheck disable=SC2086 # a word each
THE_PLAN=$(plan "$BENCH_KERNEL" ${CASES//,/ })

mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing

# How many pieces a buffer of small pages has in memory is a matter of luck.
echo 16 >/proc/sys/vm/nr_hugepages

# Without max_sectors 128 KiB would be split on 6.1, and be something else. It keeps nothing, so it may be large.
null=$(null_blk_create bench size=1048576 irqmode=0 max_sectors=2560)
other=$(null_blk_create other size=64 irqmode=0)
device=$null

# Nothing is attached where it does not say so, and the module then costs nothing.
load_module
for case in "$BENCH"/cases/*.sh; do
	. "$case"
done

# shellcheck disable=SC2119
unload_module
