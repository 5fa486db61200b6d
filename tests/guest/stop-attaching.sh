#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter that is told to end while it attaches ends, leaves no device behind, and fails no request
# disks: virtio:64M virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

# write_one SEEK: in the background; adds to WRITERS.
write_one() {
	dd if=/dev/zero of=/dev/mapper/upper bs=4k count=1 seek="$1" oflag=direct status=none &
	WRITERS+=("$!")
}

# stop_while_draining ARG...: of the last device, where a write hangs below, and another comes meanwhile.
stop_while_draining() {
	local filter writer
	WRITERS=()
	check dmsetup suspend --noflush --nolockfs lower
	write_one 0
	sleep 0.5
	"$BLKFILTER/bin/protect" --drain --range 64+8 --verbose "$@" --device /dev/mapper/upper 2>protect.err &
	filter=$!
	FILTER_PIDS+=("$filter")
	sleep 1
	write_one 1
	kill -TERM "$filter" || fail "it has ended: $(<protect.err)"
	wait_until 10 grep -q leaving protect.err
	write_one 2
	sleep 0.5
	check dmsetup resume lower
	for writer in "${WRITERS[@]}"; do
		wait "$writer" || fail "a write failed: $(<protect.err)"
	done
	wait_until 20 has_ended "$filter"
	wait "$filter" || fail "status $?: $(<protect.err)"
	! grep -q 'attached to /dev/mapper/upper' protect.err || fail "attached after all: $(<protect.err)"
	[[ -z $("$BLKFILTER/bin/bfuse" list) ]] || fail "left behind: $("$BLKFILTER/bin/bfuse" list)"
}

has_ended() {
	! kill -0 "$1" 2>/dev/null
}

load_module
load_module dm_mod
check dmsetup create lower --table "0 65536 linear $DISK1 0"
check dmsetup create upper --table "0 65536 linear /dev/mapper/lower 0"
stop_while_draining
stop_while_draining --device "$DISK0"
stop_while_draining --confine
stop_while_draining --confine --device "$DISK0"
check dmsetup remove upper
check dmsetup remove lower
