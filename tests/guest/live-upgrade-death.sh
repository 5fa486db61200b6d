#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter that is killed at the moment it is replaced loses nothing, whatever its policy: its requests are the successor's
# disks: virtio:64M
# timeout: 180
. "${0%/*}/../vm/lib.sh"

# redelivered: how many requests were, to the filter that is there.
redelivered() {
	"$BLKFILTER/bin/bfuse" stat --json "$DISK0" | sed -nE 's/.*"redelivered": *"?([0-9]+).*/\1/p' | awk '{ n += $1 } END { print +n }'
}

load_module
again=0
start_filter count --device "$DISK0" --altitude 500 --policy hold
(until [[ -e enough ]]; do
	fio --name=verify --filename="$DISK0" --bsrange=4k-128k --rw=randrw --size=32m --verify=crc32c --verify_fatal=1 \
		--ioengine=libaio --iodepth=32 --direct=1 --output=fio.out || exit 1
done) &
load=$!
for ((round = 0; round < 20; round++)); do
	again=$((again + $(redelivered)))
	old=$FILTER
	# Stopped, it has requests in hand when it is replaced; then it dies.
	kill -STOP "$old"
	start_filter count --device "$DISK0" --altitude 500 --policy hold --replace
	sleep "0.0$((RANDOM % 10))"
	kill -KILL "$old"
	wait "$old" || true
	kill -0 "$load" || fail "fio: $(tail -n 5 fio.out)"
done
touch enough
wait "$load" || fail "fio: status $?: $(tail -n 5 fio.out)"
again=$((again + $(redelivered)))
stop_filter "$FILTER"
echo "$again delivered again"
((again > 0)) || fail "nothing was delivered again"
