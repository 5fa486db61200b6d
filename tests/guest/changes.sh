#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: the example "changes" prints what was written, by generations; nothing crosses; a successor inherits the marks; partitions, growth, discards
# disks: virtio:64M
# timeout: 90
. "${0%/*}/../vm/lib.sh"

# changes_start ARG...
changes_start() {
	"$BLKFILTER/bin/changes" "$@" >changes.out 2>changes.err &
	CHANGES=$!
	FILTER_PIDS+=("$CHANGES")
	wait_until 10 grep -qE '^(ready|\{"ready":true)' changes.out
}

# generation N LINE...: the next one has just these.
generation() {
	kill -USR1 "$CHANGES"
	wait_until 10 grep -q "^generation $1:" changes.out
	grep "^$1 " changes.out | cut -d ' ' -f 2- >got || true
	printf '%s\n' "${@:2}" | grep . >want || true
	diff want got || fail "generation $1: $(<changes.out)"
}

# put SECTOR SECTORS [DEVICE]
put() {
	check dd if=/dev/urandom of="${3-$DISK0}" bs=512 count="$2" oflag=direct status=none \
		conv=notrunc seek="$1"
}

load_module
changes_start --chunk 64 "$DISK0"
generation 1
put 0 1
put 127 2
put 1000 8
generation 2 "0 256" "896 128"
dd if="$DISK0" of=/dev/null bs=1M count=8 iflag=direct status=none
generation 3
check blkdiscard -o $((4096 * 512)) -l $((1024 * 512)) "$DISK0"
check blkdiscard -z -o $((131071 * 512)) -l 512 "$DISK0"
generation 4 "4096 1024" "130944 128"
"$BLKFILTER/bin/bfuse" explain "$DISK0" >out
grep -q 'marks chunks of 64 KiB' out || fail "$(<out)"
"$BLKFILTER/bin/bfuse" explain "$DISK0" | grep -q ' 0 delivered' || fail "something crossed"

# It dies, and what is written meanwhile is not lost.
put 2048 8
kill -KILL "$CHANGES"
wait "$CHANGES" || true
put 3072 8
changes_start --chunk 64 "$DISK0"
grep -q predecessor changes.out || fail "$(<changes.out)"
# Nor is what was said last, which may not have been read to its end.
generation 5 "2048 128" "3072 128" "4096 1024" "130944 128"
generation 6
kill -TERM "$CHANGES"
wait "$CHANGES" || fail "status $?: $(<changes.err)"
changes_start --chunk 4 --merge "$DISK0"
grep -qx ready changes.out || fail "$(<changes.out)"
put 8 8
generation 1 "8 8"
put 16 1
put 64 8
generation 2 "8 16" "64 8"
kill -TERM "$CHANGES"
wait "$CHANGES" || fail "status $?: $(<changes.err)"

# What could not be told is no success: nowhere to print to, or detached.
expect_status 1 "$BLKFILTER/bin/changes" --interval 0.2 "$DISK0" >/dev/full 2>changes.err
grep -q . changes.err || fail "no word of it"

# A mistake does not cost the marks that are there.
changes_start --chunk 64 "$DISK0"
grep -q predecessor changes.out || fail "an error has cost the marks: $(<changes.out)"
kill -KILL "$CHANGES"
wait "$CHANGES" || true
put 512 8
expect_status 1 "$BLKFILTER/bin/changes" --chunk 128 "$DISK0" >changes.out 2>changes.err
grep -q 'goes on to mark' changes.err || fail "$(<changes.err)"
changes_start --chunk 64 "$DISK0"
grep -q predecessor changes.out || fail "a mistake has cost the marks: $(<changes.out)"
kill -USR1 "$CHANGES"
wait_until 10 grep -q ' 512 128$' changes.out
kill -TERM "$CHANGES"
wait "$CHANGES" || fail "status $?: $(<changes.err)"
changes_start "$DISK0"
check "$BLKFILTER/bin/bfuse" detach "$DISK0"
expect_status 1 wait "$CHANGES"
grep -q 'detached; what has changed since generation 0 is not known' changes.err || fail "$(<changes.err)"

# A partition: by itself, and by the disk.
echo 'start=2048, size=4096' | check sfdisk -q "$DISK0"
changes_start --chunk 4 "${DISK0}1"
put 0 8 "${DISK0}1"
put 2040 8
put 2064 8
put 6136 16
generation 1 "0 8" "16 8" "4088 8"
# It shrinks, what it was is written to, and comes back.
check resizepart "$DISK0" 1 2048
put 5048 8
check resizepart "$DISK0" 1 4096
generation 2 "3000 8"
kill -TERM "$CHANGES"
wait "$CHANGES" || fail "status $?: $(<changes.err)"

# What lies behind the end of the bitmap.
load_module loop
truncate -s 1M file
loop=$(losetup --find --show file)
changes_start --chunk 64 --json "$loop"
grep -qxF '{"ready":true,"inherited":false}' changes.out || fail "$(<changes.out)"
truncate -s 2M file
check losetup -c "$loop"
put 3000 8 "$loop"
kill -USR1 "$CHANGES"
wait_until 10 grep -qF '{"generation":1,"sector":2048,"sectors":null}' changes.out
put 3000 8 "$loop"
truncate -s 3M file
check losetup -c "$loop"
kill -TERM "$CHANGES"
wait "$CHANGES" || fail "status $?: $(<changes.err)"
grep -qF '{"generation":2,"sector":2944,"sectors":128}' changes.out || fail "$(<changes.out)"
grep -qF '{"generation":2,"sector":4096,"sectors":null}' changes.out || fail "what it has grown by: $(<changes.out)"

# It grows within its last chunk.
truncate -s $((3 * 1048576 + 4096)) file
check losetup -c "$loop"
changes_start --chunk 64 --json "$loop"
truncate -s $((3 * 1048576 + 32768)) file
check losetup -c "$loop"
kill -TERM "$CHANGES"
wait "$CHANGES" || fail "status $?: $(<changes.err)"
grep -qF '{"generation":1,"sector":6144,"sectors":128}' changes.out || fail "what it has grown by: $(<changes.out)"
check losetup --detach "$loop"
