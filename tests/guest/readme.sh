#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: the filter in the README, compiled as it stands there, refuses discards and nothing else, also when it has died
# disks: virtio:64M
# timeout: 60
. "${0%/*}/../vm/lib.sh"

discard_is_refused() {
	local start=$SECONDS
	! blkdiscard -o 0 -l 1048576 "$DISK0" 2>/dev/null || fail "a discard went through"
	((SECONDS - start < 10 * SLOWNESS)) || fail "it was refused by the deadline only"
}

load_module
check blkdiscard -o 0 -l 1048576 "$DISK0"
start_filter readme --device "$DISK0"
discard_is_refused
check dd if=/dev/zero of="$DISK0" bs=64k count=16 oflag=direct status=none
kill -KILL "$FILTER"
wait "$FILTER" || true
discard_is_refused
check dd if="$DISK0" of=/dev/null bs=64k count=16 iflag=direct status=none
check "$BLKFILTER/bin/bfuse" detach "$DISK0" --altitude 500 --wait
check blkdiscard -o 0 -l 1048576 "$DISK0"
