#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: filters killed with commands of io_uring pending, idle and busy, in rings of all kinds, are noticed at once, their policies apply
# disks: virtio:128M
# timeout: 240
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/busy.sh"

has_died() {
	! "$BLKFILTER/bin/bfuse" list "$DISK0" | grep -w raw | grep -qv orphan
}

# killed WORD...: and in 2 s the module knows, which is long before any deadline.
killed() {
	start_filter ring --device "$DISK0" "$@"
	sleep "0.0$((RANDOM % 10))"
	kill -KILL "$FILTER"
	expect_status 137 wait "$FILTER"
	wait_until 2 has_died
}

kinds=("" fixed closed defer sqpoll "sqpoll fixed" "sqpoll closed" async min=8)

load_module
for kind in "${kinds[@]}"; do
	echo "idle: $kind"
	# shellcheck disable=SC2086
	killed $kind
	check dd if="$DISK0" of=/dev/null bs=4k count=1 iflag=direct status=none
done
killed error
expect_status 1 dd if="$DISK0" of=/dev/null bs=4k count=1 iflag=direct status=none
check "$BLKFILTER/bin/bfuse" detach "$DISK0" --all --wait
killed hold fixed
start_filter pass --device "$DISK0" --name raw --policy hold
check dd if="$DISK0" of=/dev/null bs=4k count=1 iflag=direct status=none
stop_filter

busy_start "$DISK0"
for ((round = 0; round < 10; round++)); do
	# shellcheck disable=SC2086
	killed ${kinds[round % ${#kinds[@]}]}
done
busy_stop "$DISK0"
