#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a drained start, and the beginning of marks, wait for what a filter that has left still has: from the same altitude, or from before there were none
# disks: virtio:64M virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

# hold_write: a snapshot is killed when the write that this starts waits for a copy to its store.
hold_write() {
	local snapshot
	check dmsetup suspend --noflush --nolockfs store
	rm -f snapshot.err
	"$BLKFILTER/bin/snapshot" "$DISK0" /dev/mapper/store image 2>snapshot.err &
	snapshot=$!
	wait_until 10 grep -q attached snapshot.err
	dd if=/dev/urandom of="$DISK0" bs=4k count=1 seek="$1" oflag=direct status=none &
	WRITER=$!
	wait_until 10 is_with_it
	kill -KILL "$snapshot"
	wait "$snapshot" || true
}

is_with_it() {
	"$BLKFILTER/bin/bfuse" stat "$DISK0" --json | grep -Eq '"inflight": *1'
}

let_go() {
	check dmsetup resume store
	wait "$WRITER" || fail "the write"
}

load_module
load_module dm_mod
check dmsetup create store --table "0 131072 linear $DISK1 0"

hold_write 10000
expect_status 1 timeout 20 "$BLKFILTER/bin/pass" --drain --drain-timeout 2000 --altitude 300 --device "$DISK0" 2>pass.err
grep -q 'did not complete in time' pass.err || fail "$(<pass.err)"
let_go
start_filter pass --drain --altitude 300 --device "$DISK0"
stop_filter

# The change was seen by marks that are gone.
"$BLKFILTER/bin/changes" "$DISK0" >changes.out 2>changes.err &
changes=$!
wait_until 10 grep -q ready changes.out
hold_write 10100
kill -TERM "$changes"
wait "$changes" || fail "$(<changes.err)"
expect_status 1 timeout 20 "$BLKFILTER/bin/changes" --drain-timeout 2000 "$DISK0" >changes.out 2>changes.err
! grep -q ready changes.out || fail "ready before the write was done"
let_go
check dmsetup remove store
