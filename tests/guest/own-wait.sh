#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter of a busy loop device is attached to the disk under its file and back, and its thread never waits for itself
# disks: virtio:128M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/busy.sh"

bfuse=$BLKFILTER/bin/bfuse

load_module
load_module loop
check mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$DISK0"
mkdir under
check mount "$DISK0" under
check fallocate -l 64M under/file
loop=$(losetup -f --show --direct-io=on under/file)

# So few requests of the loop device that whoever submits to it waits for one, which comes back when the disk below has
# been served; and waiting for oneself fails after the deadline.
echo 4 >"/sys/block/${loop#/dev/}/queue/nr_requests"
start_filter pass --device "$loop" --attachable --queues 1 --policy error --deadline 5000
busy_start "$loop"
for ((round = 0; round < 6; round++)); do
	check "$bfuse" attach "$DISK0" --filter pass
	sleep 0.5
	check "$bfuse" detach "$DISK0" --wait
	sleep 0.2
done
busy_stop "$loop"
stop_filter "$FILTER"
[[ $("$bfuse" events --past) != *timeout* ]] || fail "a deadline has passed: $("$bfuse" events --past)"
check losetup -d "$loop"
check umount under
check fsck.ext4 -fn "$DISK0"
