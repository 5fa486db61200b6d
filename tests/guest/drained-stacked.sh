#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a drained start waits for a submitter that sleeps for another disk of a stack, with a bio for this one in its hands
# timeout: 120
# memory: 768M
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/drained.sh"

load_module null_blk nr_devices=0
load_module dm_mod
# One request at a time, and each takes four seconds.
slow=$(null_blk_create slow size=16 memory_backed=1 discard=1 irqmode=2 completion_nsec=4000000000 hw_queue_depth=1 submit_queues=1)
quick=$(null_blk_create quick size=16 memory_backed=1 discard=1)
check dmsetup create pair --table "0 65536 striped 2 2048 $slow 0 $quick 0"

# hold_discard: one of the pair, whose half for the slow disk waits for the request that this has; the other half waits
# for that.
hold_discard() {
	dd if=/dev/urandom of="$quick" bs=1M oflag=direct status=none 2>/dev/null || true
	dd if=/dev/zero of="$slow" bs=4k count=1 oflag=direct status=none &
	wait_until 10 grep -q '[1-9]' "/sys/block/${slow##*/}/inflight"
	blkdiscard -f /dev/mapper/pair &
	DISCARD=$!
	wait_until 10 grep -q tag "/proc/$DISCARD/wchan"
}

load_module
# On a machine that is very busy the attach may come too late for the four seconds.
for ((try = 0, UNSEEN = 0; !UNSEEN && try < 4; try++)); do
	hold_discard
	start_drained "$quick"
	wait "$DISCARD" || fail "blkdiscard"
	end_drained
done
((UNSEEN > 0)) || fail "nothing is unseen without a drain"

hold_discard
start_drained --drain 30000 "$quick"
[[ $GUARANTEE == 1 ]] || fail "guarantee $GUARANTEE, error $FAILED"
wait "$DISCARD" || fail "blkdiscard"
end_drained
((UNSEEN == 0)) || fail "$UNSEEN blocks changed unseen"
check dmsetup remove pair
