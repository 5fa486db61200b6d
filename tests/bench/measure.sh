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
. "$BENCH/guest.sh"

for case in "$BENCH"/cases/*.sh; do
	. "$case"
done

# shellcheck disable=SC2119
unload_module
