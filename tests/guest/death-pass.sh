#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: whatever a filter with policy pass does to itself, all its writes go on, each once
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/death.sh"

death_begin
seed=2

# A death is noticed at once, long before the deadline.
for action in exit kill close fork; do
	hog_begin pass "$action" "$seed" 600000
	burst_ends "ok 100 failed 0"
	burst_is "ok 100 failed 0" --verify "$DISK0" 100 "$seed"
	seed=$((seed + 1))
	hog_end
done

# One that is late is passed over, and for a while what comes after, too.
for action in sleep unmap stop; do
	hog_begin pass "$action" "$seed" 1000
	burst_ends "ok 100 failed 0"
	burst_is "ok 100 failed 0" --verify "$DISK0" 100 "$seed"
	burst_is "ok 100 failed 0" "$DISK0" 100 "$((seed + 1))"
	seed=$((seed + 2))
	# Its late answers do no harm.
	if [[ $action == stop ]]; then
		kill -CONT "$HOG"
		wait_until 10 grep -q answered hog.out
	fi
	hog_end
done

burst_is "ok 100 failed 0" --verify "$DISK0" 100 "$((seed - 1))"
