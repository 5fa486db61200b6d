#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: new versions of a running filter take over under load, 100 times: no error, and no request passes unseen or twice
# disks: virtio:64M
# timeout: 180
. "${0%/*}/../vm/lib.sh"

# new_version [ARG...]: the one that was there ends by itself.
new_version() {
	local old=$FILTER
	start_filter count --device "$DISK0" --altitude 500 --replace "$@"
	wait "$old" || fail "the replaced filter: status $?"
}

load_module
expect_status 9 "$BLKFILTER/bin/count" --device "$DISK0" --altitude 500 --replace >out 2>err
grep -q 'no filter called "count" to be replaced' err || fail "$(<err)"

start_filter count --device "$DISK0" --altitude 100 --name below
below=$FILTER
start_filter count --device "$DISK0" --altitude 500
expect_status 9 "$BLKFILTER/bin/count" --device "$DISK0" --altitude 500 --name other --replace >out 2>err

(until [[ -e enough ]]; do
	fio --name=verify --filename="$DISK0" --bsrange=4k-128k --rw=randrw --size=32m --verify=crc32c --verify_fatal=1 \
		--ioengine=libaio --iodepth=16 --direct=1 --output=fio.out || exit 1
done) &
load=$!
for ((round = 0; round < 100; round++)); do
	new_version --depth $((1 << round % 8)) --queues $((1 + round % 3))
	kill -0 "$load" || fail "fio: $(tail -n 5 fio.out)"
done
touch enough
wait "$load" || fail "fio: status $?: $(tail -n 5 fio.out)"

# In its last moments a predecessor may be killed, too.
stop_filter "$FILTER"
stop_filter "$below"
seen=0
for ((n = 2; n <= FILTERS; n++)); do
	[[ -s filter.$n.out ]] || continue
	read -r count redelivered <"filter.$n.out"
	((redelivered == 0)) || fail "version $n: $redelivered requests were delivered again"
	seen=$((seen + count))
done
read -r total _ <filter.1.out
((total > 1000)) || fail "only $total requests"
((seen == total)) || fail "the versions saw $seen requests, the filter below $total"
echo "$total requests in 101 versions"
