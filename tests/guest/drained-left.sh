#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: what a filter that has left still has: a drained start at the same altitude waits for it, and marks that begin meanwhile have it
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

# marks_know DEVICE SECTOR: of a change that marks had seen which are gone. It is made when there are others.
marks_know() {
	local changes
	"$BLKFILTER/bin/changes" --chunk 64 "$DISK0" >changes.out 2>changes.err &
	changes=$!
	wait_until 10 grep -q ready changes.out
	hold_write 1000 "$1"
	stop_changes "$changes"
	"$BLKFILTER/bin/changes" --chunk 64 "$DISK0" >changes.out 2>changes.err &
	changes=$!
	wait_until 10 grep -q ready changes.out
	let_go
	stop_changes "$changes"
	grep -q " $2 128\$" changes.out || fail "the write is not marked: $(<changes.out)"
}

stop_changes() {
	kill -TERM "$1"
	wait "$1" || fail "$(<changes.err)"
}

marks_know "$DISK0" 7936
echo 'start=2048, size=65536' | check sfdisk -q "$DISK0"
wait_until 10 test -b "${DISK0}1"
marks_know "${DISK0}1" 9984
check dmsetup remove store
