#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: what a filter's own process reads is seen by the filters above and below it, never by itself
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"

load_module
start_trace --device "$DISK0" --altitude 900
above=$TRACE
start_trace --device "$DISK0" --altitude 100
below=$TRACE
check "$BLKFILTER/bin/own-io" "$DISK0" 500

for ((i = 0; i < 10; i++)); do
	echo "read $((i * 16)) 4096 0"
done >expected
seen "$above" seen.above 1-4
seen "$below" seen.below 1-4
same "the filter above" expected seen.above
same "the filter below" expected seen.below
