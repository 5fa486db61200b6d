#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: whatever a filter with policy error does to itself, its writes fail, none reaches the device, until it is detached
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/death.sh"

death_begin

for action in exit kill close fork; do
	hog_begin error "$action" 2 600000
	burst_ends "ok 0 failed 100"
	hog_end
	# The orphan goes on failing what the filter asked for, writes, and nothing else.
	burst_is "ok 0 failed 100" "$DISK0" 100 3
	burst_is "ok 100 failed 0" --verify "$DISK0" 100 1
	"$BLKFILTER/bin/bfuse" list "$DISK0" | grep -q orphan || fail "$action: no orphan in the list"
	check "$BLKFILTER/bin/bfuse" detach "$DISK0" --altitude 500 --wait
done

for action in sleep unmap stop; do
	hog_begin error "$action" 2 1000
	burst_ends "ok 0 failed 100"
	burst_is "ok 0 failed 100" "$DISK0" 100 3
	burst_is "ok 100 failed 0" --verify "$DISK0" 100 1
	if [[ $action == stop ]]; then
		kill -CONT "$HOG"
		wait_until 10 grep -q answered hog.out
	fi
	hog_end
	check "$BLKFILTER/bin/bfuse" detach "$DISK0" --altitude 500 --wait
done

burst_is "ok 100 failed 0" "$DISK0" 100 4
burst_is "ok 100 failed 0" --verify "$DISK0" 100 4
