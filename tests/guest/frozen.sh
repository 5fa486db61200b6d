#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter in a frozen cgroup is passed over after its deadline, and serves again when it thaws
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

CGROUP=/sys/fs/cgroup/frozen
BFUSE=$BLKFILTER/bin/bfuse

is_state() {
	"$BFUSE" list "$DISK0" | grep -qw "$1"
}

burst() {
	[[ $("$BLKFILTER/bin/burst" "$DISK0" 200 1) == "ok 200 failed 0" ]] || fail "burst"
}

delivered() {
	"$BFUSE" stat --json "$DISK0" | sed -nE 's/.*"delivered": *"?([0-9]+).*/\1/p'
}

load_module
mkdir "$CGROUP"
start_filter pass --device "$DISK0" --deadline 1000
echo "$FILTER" >"$CGROUP/cgroup.procs"
burst
(($(delivered) == 200)) || fail "$(delivered) delivered"

echo 1 >"$CGROUP/cgroup.freeze"
wait_until 10 grep -q 'frozen 1' "$CGROUP/cgroup.events"
burst
wait_until 10 is_state stalled
burst

before=$(delivered)
echo 0 >"$CGROUP/cgroup.freeze"
wait_until 10 is_state live
burst
(($(delivered) == before + 200)) || fail "$(delivered) delivered, $before before"
stop_filter "$FILTER"
