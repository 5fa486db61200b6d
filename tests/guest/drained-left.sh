#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a drained start, and the beginning of marks, wait for what a filter that has left still has: from the same altitude, or from before there were none
# disks: virtio:64M virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

# hold_write SEEK DEVICE: a snapshot is killed when the write that this starts waits for a copy to its store.
hold_write() {
	local snapshot
	check dmsetup suspend --noflush --nolockfs store
	rm -f snapshot.err
	"$BLKFILTER/bin/snapshot" "$2" /dev/mapper/store image 2>snapshot.err &
	snapshot=$!
	wait_until 10 grep -q attached snapshot.err
	dd if=/dev/urandom of="$2" bs=4k count=1 seek="$1" oflag=direct status=none &
	WRITER=$!
	wait_until 10 is_with_it "$2"
	kill -KILL "$snapshot"
	wait "$snapshot" || true
}

is_with_it() {
	"$BLKFILTER/bin/bfuse" stat "$1" --json | grep -Eq '"inflight": *1'
}

let_go() {
	check dmsetup resume store
	wait "$WRITER" || fail "the write"
}

load_module
load_module dm_mod
check dmsetup create store --table "0 131072 linear $DISK1 0"

hold_write 10000 "$DISK0"
expect_status 1 timeout 20 "$BLKFILTER/bin/pass" --drain --drain-timeout 2000 --altitude 300 --device "$DISK0" 2>pass.err
grep -q 'did not complete in time' pass.err || fail "$(<pass.err)"
let_go
start_filter pass --drain --altitude 300 --device "$DISK0"
stop_filter

# marks_wait DEVICE: the change to it was seen by marks that are gone.
marks_wait() {
	local changes
	"$BLKFILTER/bin/changes" "$DISK0" >changes.out 2>changes.err &
	changes=$!
	wait_until 10 grep -q ready changes.out
	hold_write 1000 "$1"
	kill -TERM "$changes"
	wait "$changes" || fail "$(<changes.err)"
	expect_status 1 timeout 20 "$BLKFILTER/bin/changes" --drain-timeout 2000 "$DISK0" >changes.out 2>changes.err
	! grep -q ready changes.out || fail "ready before the write was done"
	let_go
}

marks_wait "$DISK0"
echo 'start=2048, size=65536' | check sfdisk -q "$DISK0"
wait_until 10 test -b "${DISK0}1"
marks_wait "${DISK0}1"
check dmsetup remove store
