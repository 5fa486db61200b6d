#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter completes requests with each status that the ABI allows; submitters get it, the device nothing
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

load_module
# Opening the disk for the first time reads it.
check blockdev --getsize64 "$DISK0"
# Completed reads, writes, discards and flushes.
counters() {
	awk '{ print $1, $5, $12, $16 }' "/sys/block/${DISK0##*/}/stat"
}
before=$(counters)
check "$BLKFILTER/bin/complete" "$DISK0"
after=$(counters)
[[ $before == "$after" ]] || fail "requests have reached the device: $before, $after"
