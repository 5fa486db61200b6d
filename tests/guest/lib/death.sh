# SPDX-License-Identifier: GPL-2.0
# The middle one of three filters of DISK0 fails in some way while 100 writes are under
# way: 64 are with it, 36 wait for a tag.  Sourced by tests.
# shellcheck shell=bash

BURST_SECONDS=15

# death_begin: the other two filters, and data from before.
death_begin() {
	load_module
	burst_is "ok 100 failed 0" "$DISK0" 100 1
	start_filter pass --device "$DISK0" --altitude 900 --name upper
	start_filter pass --device "$DISK0" --altitude 100 --name lower
}

# burst_is RESULT ARG...
burst_is() {
	local got
	got=$("$BLKFILTER/bin/burst" "${@:2}")
	[[ $got == "$1" ]] || fail "burst ${*:2}: $got, not $1"
}

# hog_begin POLICY ACTION SEED [DEADLINE [HOLD]]: the filter takes 64 of COUNT writes
# of a burst in the background, BURST, and does ACTION, or is killed.
hog_begin() {
	local action=${2/kill/sleep}
	"$BLKFILTER/bin/hog" "$DISK0" 500 "$1" 64 "$action" "${@:4}" >hog.out 2>&1 &
	HOG=$!
	FILTER_PIDS+=("$HOG")
	wait_until 10 grep -q attached hog.out
	"$BLKFILTER/bin/burst" "$DISK0" "${COUNT:-100}" "$3" >burst.out &
	BURST=$!
	wait_until 10 grep -q full hog.out
	[[ $2 != kill ]] || kill -KILL "$HOG"
	echo "$*"
}

# hog_end: whatever is left of it.
hog_end() {
	local child
	child=$(sed -n 's/^child //p' hog.out)
	kill -KILL "$HOG" ${child:+"$child"} 2>/dev/null || true
	wait "$HOG" 2>/dev/null || true
	grep -q '^hog: ' hog.out && fail "$(<hog.out)"
	wait_until 10 is_left
}

# is_left: the module has let go of it, by its policy.
is_left() {
	! "$BLKFILTER/bin/bfuse" list "$DISK0" | grep -w raw | grep -qv orphan
}

burst_has_ended() {
	! kill -0 "$BURST" 2>/dev/null
}

# burst_ends RESULT: in time, and each write once.
burst_ends() {
	wait_until "$BURST_SECONDS" burst_has_ended
	wait "$BURST" || fail "burst: status $?"
	[[ $(<burst.out) == "$1" ]] || fail "burst: $(<burst.out), not $1"
}
