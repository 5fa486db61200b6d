#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: disks come and go while filters with rules for them come, stop and are killed: no I/O fails, nothing hangs, nothing stays
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/stations.sh"

# churn ALTITUDE: stations at this altitude, one after the other, each with another end.
churn() {
	local pid signal
	while [[ ! -e enough ]]; do
		for signal in KILL STOP TERM; do
			"$BLKFILTER/bin/station" --altitude "$1" --match 'nullb*' --call 300 >/dev/null 2>&1 &
			pid=$!
			sleep "0.$((RANDOM % 8 + 1))"
			kill -"$signal" "$pid"
			if [[ $signal == STOP ]]; then
				sleep 0.5
				kill -KILL "$pid"
			fi
			wait "$pid" || true
		done
	done
}

nothing_left() {
	[[ -z $("$BLKFILTER/bin/bfuse" list) ]]
}

load_module
load_module null_blk nr_devices=0
churn 100 2>/dev/null &
low=$!
churn 900 2>/dev/null &
high=$!
end=$((SECONDS + (SLOWNESS > 1 ? 75 : 25)))
rounds=0
while ((SECONDS < end)); do
	disk=$(null_blk_create nullb0 size=16 memory_backed=1)
	wait_until 5 test -b "$disk"
	check dd if=/dev/zero of="$disk" bs=64k count=8 oflag=direct status=none
	check dd if="$disk" of=/dev/null bs=4k count=16 iflag=direct status=none
	null_blk_remove nullb0
	rounds=$((rounds + 1))
done
touch enough
wait "$low" "$high"
((rounds >= 3)) || fail "only $rounds rounds"
wait_until 10 nothing_left
wait_until 10 kept_by 0
