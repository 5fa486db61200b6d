#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: marks begin when all that was under way has completed, so that a full backup from then on has it; without that it would be in no backup
# disks: virtio:16M virtio:16M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/backup.sh"

CGROUP=/sys/fs/cgroup
grep -qw io "$CGROUP/cgroup.controllers" || skip "no io controller in this kernel"
echo +io >"$CGROUP/cgroup.subtree_control"
mkdir "$CGROUP/slow"
number=$(lsblk -dno MAJ:MIN "$DISK0" | tr -d ' ')

# limit WRITES: of the cgroup, in a second.
limit() {
	echo "$number wiops=$1" >"$CGROUP/slow/io.max" || skip "no throttle in this kernel"
}

# write_slowly SEED: 80 blocks, most of them parked in blk-throttle for some seconds.
write_slowly() {
	(echo "$BASHPID" >"$CGROUP/slow/cgroup.procs" && exec "$BLKFILTER/bin/burst" "$DISK0" 80 "$1") >burst.out &
	WRITER=$!
	sleep 0.5
}

written() {
	wait "$WRITER"
	grep -qx "ok 80 failed 0" burst.out || fail "burst: $(<burst.out)"
}

load_module
limit 50

# The test can fail.
write_slowly 1
backup_start "$DISK0" "$DISK1" 12 undrained
written
kill -TERM "$BACKUP"
wait "$BACKUP" || fail "the backup: status $?: $(<backup.err)"
! cmp -s -n "$(blockdev --getsize64 "$DISK0")" "$DISK0" "$DISK1" || fail "all was in the backup without waiting"

write_slowly 2
backup_start "$DISK0" "$DISK1" 12
written
backup_stop "$DISK0" "$DISK1" 1

# It waits for others who are at it, and who need not stop.
write_slowly 3
fio --name=others --filename="$DISK0" --rw=randwrite --bs=4k --direct=1 --offset=8m --size=8m --time_based --runtime=100 \
	--rate_iops=200 --ioengine=libaio --iodepth=8 >fio.out 2>&1 &
others=$!
backup_start "$DISK0" "$DISK1" 12
written
kill -INT "$others"
wait "$others" || true
backup_stop "$DISK0" "$DISK1" 1

# Nothing is left of what took too long.
limit 2
write_slowly 4
expect_status 1 "$BLKFILTER/bin/changes" --drain-timeout 2000 "$DISK0" >changes.out 2>changes.err
grep -q 'did not complete in time' changes.err || fail "$(<changes.err)"
grep -q 'not drained in time.*blk-throttle' < <(dmesg) || fail "the log does not say why"
[[ -z $("$BLKFILTER/bin/bfuse" list "$DISK0") ]] || fail "an attachment is left"

# Nor does that take away what another thread has begun meanwhile.
check "$BLKFILTER/bin/mark-turns" "$DISK0" >turns.out
printf '%s\n' "first: Connection timed out" "second: Success" >expected
cmp -s expected turns.out || fail "the marks: $(<turns.out)"
limit 1000
written
