#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: filters of all policies are killed at random moments under fio verify: nothing is lost, doubled, corrupted or left behind
# disks: virtio:64M virtio:64M
# timeout: 180
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/mortal.sh"
. "${0%/*}/lib/objects.sh"

# APPEND=KILLS=1000 TIMEOUT=5000 make check T=kill-mix is a long run.
KILLS=${KILLS:-40}
ROUND=0
VERIFIED=	# the disk of fio

verify_forever() {
	until [[ -e enough ]]; do
		fio --name=verify --filename="$VERIFIED" --offset=16m --size=16m --bsrange=4k-128k --rw=randrw --io_size=6m \
			--verify=crc32c --verify_fatal=1 --ioengine=libaio --iodepth=16 --direct=1 --randrepeat=0 \
			--output=fio.out || exit 1
	done
}

# An orphan with policy error fails what comes, and nothing that failed reaches the disk. No seed comes again in a later round,
# whose writes would be found there.
error_orphans() {
	local kills=$1 seed burst
	mortal_begin error
	for ((seed = ROUND << 12 | 1; (seed & 0xfff) <= kills; seed++)); do
		launch pass --device "$DISK1" --altitude 500 --policy error
		ready
		"$BLKFILTER/bin/burst" "$DISK1" 500 "$seed" >burst.out &
		burst=$!
		moment $((ATTACH_MS * 2))
		slay "$PID"
		wait "$burst" || fail "burst: status $?"
		check "$BLKFILTER/bin/bfuse" detach "$DISK1" --altitude 500 --wait
		"$BLKFILTER/bin/burst" --verify "$DISK1" 500 "$seed" >verify.out
		cmp burst.out verify.out || fail "writes: $(<burst.out), but on the disk: $(<verify.out)"
		cat burst.out >>bursts
	done
	echo "$KILLED" >error.killed
}

# These write in front of what fio verifies, or to another disk.
injectors() {
	local kills=$1
	mortal_begin inject
	while ((KILLED < kills)); do
		"$BLKFILTER/bin/inject" "$DISK0" 300 kill >>"$PIPE.out" 2>>"$PIPE.err" &
		PID=$!
		moment 2000
		slay "$PID"
	done
	echo "$KILLED" >inject.killed
}

# killers KILLS: all at once.
killers() {
	local some=$(($1 / 8)) hold=(--policy hold --hold 3600000) pids=() pid
	mortals cipher $((2 * some)) "attaching serving stopped replaced" \
		involute --device "$VERIFIED" --altitude 900 --name cipher --depth 16 "${hold[@]}" &
	pids+=($!)
	mortals held $((3 * some)) "attaching serving stopped replaced" \
		count --device "$VERIFIED" --altitude 500 --name held --depth 4 "${hold[@]}" &
	pids+=($!)
	mortals observer "$some" "attaching serving stopped" pass --device "$VERIFIED" --altitude 700 &
	pids+=($!)
	injectors "$some" &
	pids+=($!)
	error_orphans $(($1 - 7 * some)) &
	pids+=($!)
	for pid in "${pids[@]}"; do
		wait "$pid" || fail "killer $pid: status $?"
	done
}

# round DISK KILLS: the cipher is the topmost, for a successor may repeat what was on its way up. Below it what is seen above all that
# are killed is seen below them, once.
round() {
	local above below load seen
	VERIFIED=$1
	ROUND=$((ROUND + 1))
	rm -f enough ./*.pipe* ./*.killed ./*.alive bursts
	start_filter involute --device "$VERIFIED" --altitude 900 --name cipher --policy hold --hold 3600000
	kill -KILL "$FILTER"
	wait "$FILTER" || true
	start_filter count --device "$VERIFIED" --altitude 850 --name above
	above=$FILTER seen=filter.$FILTERS.out
	start_filter count --device "$VERIFIED" --altitude 100 --name below
	below=$FILTER
	verify_forever &
	load=$!
	killers "$2"
	touch enough
	wait "$load" || fail "fio: status $?: $(tail -n 5 fio.out)"
	rest cipher held observer
	stop_filter "$below"
	stop_filter "$above"
	head -n 1 "$seen" >above
	head -n 1 "filter.$FILTERS.out" >below
	cmp above below || fail "above: $(<above), below: $(<below)"
	echo "$SECONDS s: $(awk '{ n += $1 } END { print n }' ./*.killed) kills, $(<above) requests, $(sort bursts | uniq -c | tr '\n' ';')"
}

load_module
# The first ones where who reads copies for the cipher what it is to decrypt, as he ends his reads himself.
in_a_process=$(null_blk_create in-a-process size=64 memory_backed=1 irqmode=0)
round "$in_a_process" 8
objects before
round "$DISK0" "$KILLS"
objects after
no_growth before after "$KILLS"
