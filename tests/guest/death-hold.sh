#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: whatever a filter with policy hold does to itself, its writes wait for a successor, which loses none
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/death.sh"

# succeed: a filter of the same name and altitude.
succeed() {
	start_filter pass --device "$DISK0" --altitude 500 --name raw --policy hold
}

death_begin
seed=2
for action in exit kill close fork; do
	hog_begin hold "$action" "$seed" 600000 60000
	sleep 0.5
	if burst_has_ended; then
		fail "$action: the writes did not wait: $(<burst.out)"
	fi
	burst_is "ok 100 failed 0" --verify "$DISK0" 100 "$((seed - 1))"
	succeed
	burst_ends "ok 100 failed 0"
	burst_is "ok 100 failed 0" --verify "$DISK0" 100 "$seed"
	grep -q 'took over 100 requests' "filter.$FILTERS.err" || fail "$action: $(<"filter.$FILTERS.err")"
	stop_filter "$FILTER"
	hog_end
	seed=$((seed + 1))
done

# One that comes back within the hold has only been late.
COUNT=64 hog_begin hold stop "$seed" 500 60000
sleep 1.5
if burst_has_ended; then
	fail "stop: the writes did not wait: $(<burst.out)"
fi
kill -CONT "$HOG"
burst_ends "ok 64 failed 0"
burst_is "ok 64 failed 0" --verify "$DISK0" 64 "$seed"
hog_end
succeed
stop_filter "$FILTER"

# Nobody comes: the fallback, which is error, ends the wait for dead and for late filters.
for action in exit sleep; do
	hog_begin hold "$action" 99 1000 1000
	burst_ends "ok 0 failed 100"
	burst_is "ok 64 failed 0" --verify "$DISK0" 64 "$seed"
	hog_end
	check "$BLKFILTER/bin/bfuse" detach "$DISK0" --altitude 500 --wait
done
dmesg | grep -q 'no successor for "raw" at altitude 500' || fail "no word about the end of the hold"
