#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: attach and detach in the midst of I/O: what was under way ends as if nothing had been, what the filter has wants its verdict
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/death.sh"

BFUSE=$BLKFILTER/bin/bfuse

# burst_begin COUNT: these are under way until the end of the suspension.
burst_begin() {
	check dmsetup suspend --noflush --nolockfs slow
	"$BLKFILTER/bin/burst" "$SLOW" "$1" 5 >burst.out &
	BURST=$!
	wait_until 10 grep -q read_events "/proc/$BURST/wchan"
}

not_yet() {
	if burst_has_ended; then
		fail "$*: requests have completed that could not"
	fi
}

# seen: by the filter of SLOW.
seen() {
	"$BFUSE" stat --json "$SLOW" | sed -nE 's/.*"seen": *"?([0-9]+).*/\1/p'
}

load_module
load_module dm_mod
check dmsetup create slow --table "0 65536 linear $DISK0 0"
check dmsetup create top --table "0 65536 linear /dev/mapper/slow 0"
SLOW=/dev/$(dmsetup info -c --noheadings -o blkdevname top)

# Attach: what is under way is not seen, and ends well.
burst_begin 50
start_filter pass --device "$SLOW"
not_yet attach
check dmsetup resume slow
burst_ends "ok 50 failed 0"
[[ $(seen) == 0 ]] || fail "$(seen) seen that were there before"

# Detach: at once, though 50 are below.  The filter ends when the last of them does.
burst_begin 50
[[ $(seen) == 50 ]] || fail "$(seen) seen, not 50"
check "$BFUSE" detach "$SLOW"
not_yet detach
kill -0 "$FILTER" || fail "the filter has not waited for its requests"
check dmsetup resume slow
burst_ends "ok 50 failed 0"
wait "$FILTER" || fail "filter: status $?"

# Or when the last is done.
start_filter pass --device "$SLOW"
burst_begin 50
"$BFUSE" detach "$SLOW" --wait &
detach=$!
sleep 0.5
kill -0 "$detach" || fail "--wait has not waited"
not_yet detach
check dmsetup resume slow
wait "$detach" || fail "detach: status $?"
burst_ends "ok 50 failed 0"
[[ -z $("$BFUSE" list "$SLOW") ]] || fail "still there: $("$BFUSE" list "$SLOW")"
check dmsetup remove top
check dmsetup remove slow

# Of 100 the filter has 64 and answers half of them; the next 32 get the free tags, and 4 wait, which go on unseen. It
# keeps its promise for those that it has.
hog_begin error answer 6 $((4000 * SLOWNESS))
wait_until 10 grep -q answered hog.out
check "$BFUSE" detach "$DISK0" --altitude 500
"$BFUSE" list "$DISK0" | grep -q leaving || fail "not leaving: $("$BFUSE" list "$DISK0")"
check dd if=/dev/zero of="$DISK0" bs=4k seek=1000 count=1 oflag=direct status=none
start_filter pass --device "$DISK0" --altitude 500
burst_ends "ok 36 failed 64"
hog_end
