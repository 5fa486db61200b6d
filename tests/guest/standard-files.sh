#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a file that a filter opens is never taken for a standard one that was closed, nor for --ready-fd
# disks: virtio:16M virtio:32M
# timeout: 90
. "${0%/*}/../vm/lib.sh"

# is_there: the filter, or it has ended.
is_there() {
	[[ $("$BLKFILTER/bin/bfuse" list) ]] || ! kill -0 "$FILTER" 2>/dev/null
}

load_module

# What it says goes neither to the other process nor into what it writes.
"$BLKFILTER/bin/pass" --device "$DISK0" --policy error --confine <&- >&- 2>&- &
FILTER=$!
FILTER_PIDS+=("$FILTER")
wait_until 10 is_there
sleep 1
check dd if="$DISK0" of=/dev/null bs=4k count=1 iflag=direct status=none
stop_filter
check dd if=/dev/urandom of="$DISK0" bs=1M count=16 oflag=direct status=none
check cp "$DISK0" before
"$BLKFILTER/bin/snapshot" "$DISK0" "$DISK1" image <&- >&- 2>&- &
FILTER=$!
FILTER_PIDS+=("$FILTER")
wait_until 10 is_there
while kill -0 "$FILTER" 2>/dev/null; do
	check dd if=/dev/zero of="$DISK0" bs=4k count=256 seek=$((RANDOM % 3840)) oflag=direct status=none
done
check wait "$FILTER"
check cmp before image
! head -c 4096 "$DISK1" | grep -qa 'snapshot: attached' || fail "it wrote what it says into its store"

# Before anything is filtered.
expect_status 2 "$BLKFILTER/bin/pass" --device "$DISK0" --ready-fd 4 2>pass.err
grep -q 'ready-fd 4: Bad file descriptor' pass.err || fail "$(<pass.err)"

# What it is told to leave is left: standard output serves on.
"$BLKFILTER/bin/trace" --device "$DISK0" --ready-fd 1 >trace.out 2>trace.err &
FILTER=$!
FILTER_PIDS+=("$FILTER")
wait_until 10 test -s trace.out
check dd if="$DISK0" of=/dev/null bs=4k count=1 iflag=direct status=none
stop_filter
grep -q '^read: [1-9][0-9]* requests' trace.out || fail "$(<trace.out)"
