#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: layers of one filter see each request once, in order, in one crossing where nobody is in between, whatever they answer
# disks: virtio:32M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/busy.sh"

bfuse=$BLKFILTER/bin/bfuse
blocks=2048

# layers_on ARG...: a filter that knows what it must see.
layers_on() {
	"$BLKFILTER/bin/layers" "$DISK0" "$@" >layers.out 2>layers.err &
	layers=$!
	wait_until 10 grep -q attached layers.err
}

# layers_off: sets $crossings.
layers_off() {
	local status=0
	kill -TERM "$layers"
	wait "$layers" || status=$?
	((status == 0)) || fail "layers: status $status: $(<layers.err)"
	crossings=$(<layers.out)
}

# each_once: each of the first blocks is read once, 16 at a time.
each_once() {
	check fio --name=once --filename="$DISK0" --rw=randread --bs=4k --size=$((blocks * 4))k --direct=1 \
		--ioengine=libaio --iodepth=16 >fio.out
}

# field NAME ALTITUDE: of "bfuse stat".
field() {
	"$bfuse" stat --json "$DISK0" | tr -d ' \n' | tr '{' '\n' | grep "\"altitude\":$2," | grep -o "\"$1\":[0-9]*" |
		grep -o '[0-9]*$'
}

is_unfiltered() {
	[[ -z $("$bfuse" list "$DISK0") ]]
}

load_module

# By themselves: one crossing for all of them, and each has its counts.
layers_on "$blocks" pass 2 32 900 800 700
each_once
for altitude in 900 800 700; do
	[[ $(field delivered "$altitude") == "$blocks" ]] || fail "$altitude: $("$bfuse" stat "$DISK0")"
	[[ $(field inflight "$altitude") == 0 ]] || fail "$altitude: $("$bfuse" stat "$DISK0")"
done
layers_off
((crossings == blocks)) || fail "$crossings crossings for $blocks requests of three layers"

# Below one that may copy before a request comes on its own: its way may have to wait for such a copy.
layers_on "$blocks" copies 2 32 900 800
each_once
layers_off
((crossings == 2 * blocks)) || fail "$crossings crossings for $blocks requests of two layers that copy"

# With somebody else between the second and the third.
start_filter pass --device "$DISK0" --altitude 750
layers_on "$blocks" pass 2 32 900 800 700
each_once
layers_off
((crossings == 2 * blocks)) || fail "$crossings crossings for $blocks requests with somebody in between"

# All kinds of answers, and hardly a tag.
layers_on "$blocks" mixed 2 32 900 800 700 600
each_once
layers_off
layers_on "$blocks" mixed 1 4 900 800 700 600
each_once
layers_off
stop_filter "$FILTER"

# A layer in the middle comes off, and all of them die, under load.
busy_start "$DISK0"
for ((round = 0; round < 6; round++)); do
	layers_on 0 mixed 2 16 900 800 700
	sleep 0.3
	check "$bfuse" detach "$DISK0" --altitude 800 --wait
	sleep 0.2
	kill -KILL "$layers"
	wait "$layers" || true
	wait_until 10 is_unfiltered
done
busy_stop "$DISK0"

unload_module blkfilter
