# SPDX-License-Identifier: GPL-2.0
# What is looked at when a test has ended, in a guest and on a host alike: does
# the module still go away, and did it leave memory behind.  Sourced.
# shellcheck shell=bash

# At once, as the kernel counts it: grace periods take longer with a debug kernel, and on a busy host.
UNLOAD_SECONDS=$((10 * ${SLOWNESS:-1}))
[[ ! -e /sys/kernel/debug/kmemleak ]] || UNLOAD_SECONDS=$((UNLOAD_SECONDS * 3))

# aftermath STATUS: the status the test ends with, after this has had its say.
aftermath() {
	(($1 == 0 || $1 == 77)) || return "$1"
	unload || return 1
	no_leaks || return 1
	return "$1"
}

# unload: a module that is loaded must go, and at once: nobody uses it now.
unload() {
	[[ -e /sys/module/blkfilter ]] || return 0
	timeout -k 1 "$UNLOAD_SECONDS" rmmod blkfilter && return
	echo "rmmod blkfilter failed or took over $UNLOAD_SECONDS s after the test" |
		tee "$REASON"
	return 1
}

# no_leaks: an object is reported when two scans found nobody who points to it
# and the second began 5 s after it was made.  Without an out-of-tree module
# ever loaded, which the kernel remembers, there is nobody here to leak.
no_leaks() {
	local kmemleak=/sys/kernel/debug/kmemleak start=$SECONDS leaks
	(($(</proc/sys/kernel/tainted) & 1 << 12)) || return 0
	{ echo scan >"$kmemleak"; } 2>/dev/null || return 0
	sleep "$((SECONDS < start + 5 ? start + 6 - SECONDS : 0))"
	echo scan >"$kmemleak"
	leaks=$(<"$kmemleak")
	[[ -n $leaks ]] || return 0
	echo "$leaks"
	echo "kmemleak found memory that nobody points to" >"$REASON"
	return 1
}

# look_at_disks: requests that a driver has count as in flight; what waits for a driver is only in debugfs.
look_at_disks() {
	grep -v '^ *0 *0$' /sys/block/*/inflight || true
	grep -s . /sys/kernel/debug/block/*/{requeue_list,hctx*/{state,dispatch,busy}} || true
}

# read_disks: by each processor, so in each queue. When a device or who emulates it has forgotten to tell of a completion, or was not told
# of a request, this is stuck as well, or it is what makes the others go on. Not waited for:
# what is stuck in a disk can't be killed.
read_disks() {
	local disk cpu read reads=()
	for disk in /sys/block/*/device; do
		disk=/dev/$(basename "$(dirname "$disk")")
		for ((cpu = 0; cpu < $(nproc); cpu++)); do
			(taskset -c "$cpu" dd if="$disk" of=/dev/null bs=4k count=1 iflag=direct status=none) &
			reads[$!]="$disk, read by processor $cpu"
		done
	done
	sleep 5
	for read in "${!reads[@]}"; do
		[[ ! -e /proc/$read ]] || echo "${reads[$read]}: not within 5 s"
	done
}

# explain_hang: what everybody is waiting for, and what is in whose hands.
explain_hang() {
	local file
	echo '--- threads'
	ps -e -L -o pid,tid,ppid,stat,time,wchan:32,args
	for file in $(ps --deselect --ppid 2 -L -o pid=,tid= | awk '$1 > 1 { print "/proc/" $1 "/task/" $2 "/stack" }'); do
		echo "$file" && cat "$file"
	done 2>/dev/null
	echo '--- requests'
	look_at_disks
	echo '--- the filters'
	cat /sys/module/blkfilter/refcnt || true
	timeout 5 "$BLKFILTER/bin/bfuse" list || true
	timeout 5 "$BLKFILTER/bin/bfuse" stat --json || true
	timeout 5 "$BLKFILTER/bin/bfuse" events --past | tail -n 20 || true
	echo '--- blocked tasks'
	echo w >/proc/sysrq-trigger
	dmesg | sed -n '/Show Blocked State/,$p'
	echo '--- after a read of each disk'
	read_disks
	look_at_disks
}
