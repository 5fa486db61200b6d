#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: incremental backups by marks lose no change while generations are switched under load, also with writers that are throttled or preempted
# disks: virtio:32M virtio:32M
# smp: 2
# timeout: 200
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/backup.sh"

CGROUP=/sys/fs/cgroup

# writers SIZE WORDS...: each block once, so that nobody makes good what was lost.
writers() {
	fio --name=writers --filename="$DISK0" --rw=randwrite --bs=4k --direct=1 --size="$1" --randrepeat=0 \
		--ioengine=libaio --iodepth=32 --group_reporting "${@:2}" >fio.out 2>&1 || fail "fio: $(<fio.out)"
}

load_module
backup_start "$DISK0" "$DISK1" 12
writers 16m --numjobs=2 --offset_increment=16m
backup_stop "$DISK0" "$DISK1"

# Runnable but for the processors: it takes a while from the hook to the device.
backup_start "$DISK0" "$DISK1" 12
hogs=()
for ((i = 0; i < 3; i++)); do
	while :; do :; done &
	hogs+=($!)
done
writers 2m --numjobs=4 --offset_increment=8m --nice=19 --ioengine=psync
kill "${hogs[@]}"
wait "${hogs[@]}" || true
backup_stop "$DISK0" "$DISK1"

# In blk-throttle the bios of one generation wait for many of the next.
grep -qw io "$CGROUP/cgroup.controllers" || skip "no io controller in this kernel; without limits nothing is lost"
echo +io >"$CGROUP/cgroup.subtree_control"
mkdir "$CGROUP/test"
echo "$(lsblk -dno MAJ:MIN "$DISK0" | tr -d ' ') wiops=100" >"$CGROUP/test/io.max"
backup_start "$DISK0" "$DISK1" 12
(echo "$BASHPID" >"$CGROUP/test/cgroup.procs" && writers 2m --offset=4m) &
throttled=$!
writers 2m --offset=12m
wait "$throttled" || fail "the throttled writer"
backup_stop "$DISK0" "$DISK1" 10
