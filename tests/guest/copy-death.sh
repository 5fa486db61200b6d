#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: kills, detaches and lost targets while copies are under way: each write ends once, and well where it can, and nothing stays behind
# disks: virtio:48M scsi:48M nvme:48M
# timeout: 150
. "${0%/*}/../vm/lib.sh"

# load RUNTIME [OPTION...]
load() {
	fio --thread --name=load --filename="$DISK0" --rw=randwrite --bs=16k --direct=1 --ioengine=libaio \
		--iodepth=32 --time_based --runtime="$1" --size=48m --output=load.out "${@:2}"
}

load_module
load_module dm_mod
check dmsetup create slow --table "0 98304 linear $DISK1 0"
truncate -s 48M file

# Killed at random moments: what has its verdict goes on, the rest passes.
load $((9 * SLOWNESS)) &
load=$!
for i in {1..9}; do
	case $((i % 3)) in
	0) store=$DISK1 ;;
	1) store=/dev/mapper/slow ;;
	2) store="file" ;;
	esac
	start_filter places --device "$DISK0" --copy "$store" --mirror "$DISK2" --policy pass
	sleep "0.$((RANDOM % 5))"
	kill -KILL "$FILTER"
	wait "$FILTER" || true
done
wait "$load" || fail "fio: $(<load.out)"

is_idle() {
	[[ -z $("$BLKFILTER/bin/bfuse" list) ]]
}

# writes_hang: 40 with a copy to the suspended store.
writes_hang() {
	check dmsetup suspend --noflush --nolockfs slow
	"$BLKFILTER/bin/burst" "$DISK0" 40 5 >burst.out &
	BURST=$!
	wait_until 10 grep -q read_events "/proc/$BURST/wchan"
	sleep 0.5
	[[ ! -s burst.out ]] || fail "writes have ended before their copies: $(<burst.out)"
}

# Killed, or detached, when all hang: they end when the store is back.
start_filter places --device "$DISK0" --copy /dev/mapper/slow --policy error
writes_hang
kill -KILL "$FILTER"
wait "$FILTER" || true
check "$BLKFILTER/bin/bfuse" detach "$DISK0"
check dmsetup resume slow
wait "$BURST" || true
grep -qx 'ok 40 failed 0' burst.out || fail "killed: $(<burst.out)"
wait_until 10 is_idle

start_filter places --device "$DISK0" --copy /dev/mapper/slow
writes_hang
check "$BLKFILTER/bin/bfuse" detach "$DISK0"
check dmsetup resume slow
wait "$BURST" || true
grep -qx 'ok 40 failed 0' burst.out || fail "detached: $(<burst.out)"
wait "$FILTER" || fail "filter: $?"
wait_until 10 is_idle
wait_until 10 dmsetup remove slow 2>dmsetup.err

# has_written COUNT: requests that the filter has passed.
has_written() {
	(($("$BLKFILTER/bin/bfuse" stat "$DISK0" | awk 'NR == 2 { print $8 }') >= $1))
}

# tear DISK: out of the machine, while chunks are copied to it.
tear() {
	load $((8 * SLOWNESS)) --rate_iops=100 "${@:2}" &
	local load=$! status=0
	wait_until 20 has_written 20
	if [[ $1 == *nvme* ]]; then
		echo 1 >"/sys/block/${1##*/}/device/device/remove"
	else
		echo 1 >"/sys/block/${1##*/}/device/delete"
	fi
	wait "$load" || status=$?
	stop_filter "$FILTER"
	grep -q 'failed copies [1-9]' "filter.$FILTERS.out" ||
		fail "torn out: $(<"filter.$FILTERS.out") $(<load.out)"
	return "$status"
}

# The writes fail, or if it is lenient they don't.
start_filter places --device "$DISK0" --copy "$DISK1"
tear "$DISK1" --continue_on_error=write || true
grep -q 'err= *[1-9]' load.out || fail "no write failed: $(<load.out)"
start_filter places --device "$DISK0" --copy "$DISK2" --lenient
tear "$DISK2" || fail "lenient: $(<load.out)"
