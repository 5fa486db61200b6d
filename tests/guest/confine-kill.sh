#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a confined filter that opens, attaches, detaches, lists or runs anything is killed for it, and an unconfined one is not
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

# read_once: a direct read of the disk; policy pass lets it go on when the filter is killed.
read_once() {
	check dd if="$DISK0" of=/dev/null bs=4k count=1 iflag=direct status=none
}

# forbidden ACTION
forbidden() {
	start_filter confined --device "$DISK0" --confine --do "$1"
	read_once
	expect_status 1 wait "$FILTER"
	grep -q 'was killed: Bad system call' "filter.$FILTERS.err" || fail "$1: $(<"filter.$FILTERS.err")"
	grep '^did' "filter.$FILTERS.out" && fail "$1: it lived"
	[[ -z $("$BLKFILTER/bin/bfuse" list) ]] || fail "$1: something is left"
}

# possible RESULT ACTION ARG...
possible() {
	start_filter confined --device "$DISK0" --do "${@:2}"
	read_once
	stop_filter
	grep -qxE "did $2 $1" "filter.$FILTERS.out" || fail "$2: $(<"filter.$FILTERS.out")"
}

load_module
for action in open raw-open module attach detach list list-filters socket fork exec kill code ring dup; do
	forbidden "$action"
done

# The same are no trouble in themselves, and what serving needs goes on.
possible "-1 Invalid argument" enter --confine
possible "-1 Invalid argument" enter
possible "[0-9]+ Success" open
possible "0 Success" list
possible "-1 Too many open files" dup --confine --allow-more

# One that only looks as if it had ended is made to.
start_filter confined --device "$DISK0" --confine --allow-more --do feign
read_once
expect_status 1 wait "$FILTER"
grep -q 'was killed: Killed' "filter.$FILTERS.err" || fail "$(<"filter.$FILTERS.err")"
[[ -z $("$BLKFILTER/bin/bfuse" list) ]] || fail "something is left"
