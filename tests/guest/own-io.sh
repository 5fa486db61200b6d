#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: what a filter's own process reads is seen by the filters above and below it, never by itself; what it writes back for others is
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

# Reading a device first writes back what others have in the page cache. Nobody else does so here.
sysctl -q vm.dirty_writeback_centisecs=360000 vm.dirty_expire_centisecs=360000
mkfifo orders
exec {orders}<>orders
"$BLKFILTER/bin/own-cache" "$DISK0" --queues 1 --device "$DISK0" <orders >own.out 2>own.err &
filter=$!
FILTER_PIDS+=("$filter")
wait_until 20 grep -q attached own.err

# dirty BLOCK: of 4 KiB. The filter has the device open, so dd is not the last to close it.
dirty() {
	check dd if=/dev/urandom of="$DISK0" bs=4k count=1 seek="$1" conv=notrunc status=none
}

dirty 1
echo 4096 >&"$orders"
wait_until 20 grep -qx read own.out
grep -q "^write 8 " own.out || fail "another's write went past the filter: $(<own.out)"
! grep -q "^read 8 " own.out || fail "the filter saw its own read"

# The only thread that serves would wait for itself.
dirty 2
start=$SECONDS
check dd if="$DISK0" of=/dev/null bs=4k count=1 skip=128 iflag=direct status=none
((SECONDS - start < 10 * SLOWNESS)) || fail "it waited for itself: $((SECONDS - start)) s"
! grep -q "^write 16 " own.out || fail "who answered that? $(<own.out)"
kill "$filter"
wait "$filter" || fail "status $?: $(<own.err)"

# Killed while one of its threads waits for what another one would have answered: it dies, and with it what it owes.
"$BLKFILTER/bin/own-cache" "$DISK0" --queues 2 --deadline 300000 --device "$DISK0" <orders >own.out 2>own.err &
filter=$!
FILTER_PIDS+=("$filter")
wait_until 20 grep -q attached own.err
dirty 4
echo 16384 >&"$orders"
wait_until 20 grep -q "^write 32 " own.out
start=$SECONDS
kill -KILL "$filter"
wait "$filter" || true
((SECONDS - start < 20 * SLOWNESS)) || fail "it waited for itself: $((SECONDS - start)) s"
check timeout $((20 * SLOWNESS)) dd if=/dev/zero of="$DISK0" bs=4k count=1 seek=4 oflag=direct status=none
