#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: "bfuse events" follows attach, upgrade, deadline, death, adoption, detach, arrivals and removals live, and says what it lost
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

BFUSE=$BLKFILTER/bin/bfuse

# told EVENT [COUNT]: so often by now.
told() {
	(($(grep -c "\"event\":\"$1\"" events || true) == ${2:-1}))
}

told_soon() {
	wait_until 10 told "$@"
}

# matching N: so many filters wait for devices.
matching() {
	(($("$BFUSE" list | grep -c ' matching ' || true) == $1))
}

read_disk() {
	dd if="$DISK0" of=/dev/null bs=4k count=1 iflag=direct status=none
}

load_module
"$BFUSE" events --json >events &
follower=$!
"$BFUSE" events >lines &
reader=$!
sleep 1

start_filter count --device "$DISK0" --altitude 500 --policy hold --deadline 300 --hold 300 --fallback pass
told_soon attached
old=$FILTER
start_filter count --device "$DISK0" --altitude 500 --policy hold --deadline 300 --hold 300 --fallback pass --replace
wait "$old"
told_soon attached 2
told_soon adopted
told_soon detached

# Stopped it lets its deadline pass.
kill -STOP "$FILTER"
check read_disk
told_soon timeout
told_soon stalled
kill -CONT "$FILTER"
check read_disk
told_soon back
[[ $(grep -oE 'timeout|stalled|back' events | tr '\n' ' ') == 'timeout stalled back ' ]] || fail "not in order: $(<events)"
kill -KILL "$FILTER"
wait "$FILTER" || true
told_soon died
told_soon abandoned
told_soon detached 2

# A death with a successor in time.
start_filter count --device "$DISK0" --altitude 500 --policy hold
kill -KILL "$FILTER"
wait "$FILTER" || true
start_filter count --device "$DISK0" --altitude 500 --policy hold
told_soon died 2
told_soon adopted 2
stop_filter "$FILTER"
told_soon detached 4

# A disk comes, is taken by one filter and not by the other, and goes.
load_module null_blk nr_devices=0
start_filter count --match 'nullb*' --altitude 400
taker=$FILTER
start_filter station --match 'nullb*' --altitude 600 --accept nothing
wait_until 10 matching 2
disk=$(null_blk_create nullb0 size=16)
told_soon offered 2
told_soon declined
told_soon attached 5
null_blk_remove nullb0
told_soon detached 5
stop_filter "$taker"
stop_filter "$FILTER"
[[ $(grep "\"device\":\"${disk##*/}\"" events | sed -E 's/.*"event":"([^"]*)".*"altitude":([0-9]*).*/\2 \1/' | tr '\n' ' ') == \
	'400 offered 400 attached 600 offered 600 declined 400 leaving 400 detached ' ]] || fail "not in order: $(<events)"

kill -INT "$reader" "$follower"
wait "$reader" || fail "bfuse events: status $? after SIGINT"
wait "$follower" || fail "bfuse events --json: status $? after SIGINT"
(($(wc -l <lines) == $(wc -l <events))) || fail "other lines than objects: $(<lines)"
grep -q "${DISK0##*/}  500  count  detached: a successor has taken over" lines || fail "$(<lines)"
sed -nE 's/.*"seq":([0-9]+).*/\1/p' events | sort -nuc || fail "numbers are not in order"

# The log keeps 256; who asks for all gets those, who follows and is stopped is told of the loss.
"$BFUSE" events >slow &
slow=$!
sleep 0.5
kill -STOP "$slow"
(until [[ -e enough ]]; do dd if="$DISK0" of=/dev/null bs=4k iflag=direct status=none; done) &
load=$!
"$BLKFILTER/bin/flicker" "$DISK0" 100 130 detach
touch enough
wait "$load"
past=$("$BFUSE" events --past | wc -l)
((past == 256)) || fail "$past events are kept, not 256"
kill -CONT "$slow"
wait_until 10 grep -q 'events were lost' slow
kill -TERM "$slow"
wait "$slow" || fail "bfuse events: status $? after SIGTERM"
