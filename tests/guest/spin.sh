#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter that spins serves with fewer than one system call in 100 requests, sleeps when idle, and stops, dies and is wrong like others
# smp: 3
# timeout: 180
. "${0%/*}/../vm/lib.sh"

bfuse=$BLKFILTER/bin/bfuse
events=/sys/kernel/tracing/events/raw_syscalls/sys_enter

# spinners: how many of the kernel's threads there are.
spinners() {
	cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^bfuse-[0-9]*/' || true
}

has_no_spinner() {
	(($(spinners) == 0))
}

# calls: system calls of the filter since the last "hist".
calls() {
	awk -v pids=" $(cd "/proc/$FILTER/task" && echo *) " '
		$1 == "{" && index(pids, " " $3 " ") { sum += $NF }
		END { print sum + 0 }
	' "$events/hist"
}

# requests: delivered to it.
requests() {
	"$bfuse" stat --json "$disk" | grep -o '"delivered": *[0-9]*' | grep -o '[0-9]*$'
}

# job NAME=VALUE...: a fio on the disk.
job() {
	check fio --name=job --filename="$disk" --direct=1 --ioengine=io_uring --bs=4k --size=64M "$@" >fio.out
}

mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
load_module
disk=$(null_blk_create spin size=64 irqmode=0 memory_backed=1)

start_filter bench-filter --device "$disk" --queues 1 --spin 200000
(($(spinners) == 1)) || fail "$(spinners) threads of the kernel for one queue"
job --rw=randwrite --iodepth=32 --verify=crc32c --verify_fatal=1
before=$(requests)
counting=$([[ ! -e $events/hist ]] || echo yes)
[[ ! $counting ]] || echo 'hist:keys=common_pid' >"$events/trigger"
job --rw=randread --iodepth=32 --number_ios=15000
calls=0
if [[ $counting ]]; then
	calls=$(calls)
	echo '!hist:keys=common_pid' >"$events/trigger"
fi
served=$(($(requests) - before))
echo "$calls system calls for $served requests"
((served >= 15000)) || fail "only $served requests were seen"
((calls * 100 < served)) || fail "$calls system calls for $served requests"

# Nothing to do: filter and kernel sleep.
sleep 1
before=$(awk '{ print $14 + $15 }' "/proc/$FILTER/stat")
sleep 1
after=$(awk '{ print $14 + $15 }' "/proc/$FILTER/stat")
((after - before < 20)) || fail "an idle filter took $((after - before)) of 100 ticks"
stop_filter "$FILTER"
wait_until 10 has_no_spinner

# Killed under load, it is dead at once, and the disk works without it.
for ((round = 0; round < 5; round++)); do
	start_filter bench-filter --device "$disk" --queues 2 --spin 100000 --notify
	job --rw=randrw --iodepth=32 --verify=crc32c --verify_fatal=1 --io_size=8M &
	job=$!
	sleep 0.3
	kill -KILL "$FILTER"
	wait "$job" || fail "fio: status $?"
done
wait_until 10 has_no_spinner
unload_module blkfilter
