#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: who looks into windows at any time, while they move, never sees a byte of before or after; also when killed there, or late
# disks: virtio:64M
# smp: 2
# timeout: 180
. "${0%/*}/../vm/lib.sh"

# race SECONDS [late]: enough must have been seen for the rest to mean something.
race() {
	local said
	said=$("$BLKFILTER/bin/mapped-race" "$DISK0" "$@")
	echo "$*: $said"
	[[ $said =~ ^seen\ [1-9][0-9]{2,},\ missed\ [1-9][0-9]{2,}$ ]] || fail "$*: $said"
}

nothing_is_left() {
	[[ -z $("$BLKFILTER/bin/bfuse" list) ]]
}

load_module
race 5
race 4 late
for ((i = 0; i < 8; i++)); do
	"$BLKFILTER/bin/mapped-race" "$DISK0" 60 &
	race=$!
	sleep "0.$((RANDOM % 5 + 3))"
	kill -KILL "$race"
	wait "$race" || true
done
wait_until 10 nothing_is_left
check dd if="$DISK0" of=/dev/null bs=64k count=16 iflag=direct status=none
