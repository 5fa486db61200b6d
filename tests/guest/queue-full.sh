#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: with one tag for two disks all of 400 concurrent writes complete, and the disks take turns
# disks: virtio:64M nvme:64M
# timeout: 120
# smp: 2
. "${0%/*}/../vm/lib.sh"

load_module

# burst_both NAME SEED: 200 writes at once to each disk.
burst_both() {
	"$BLKFILTER/bin/burst" "$DISK0" 200 "$2" >"$1.0" &
	local first=$!
	"$BLKFILTER/bin/burst" "$DISK1" 200 "$2" >"$1.1"
	wait "$first"
	for disk in 0 1; do
		[[ $(<"$1.$disk") == "ok 200 failed 0" ]] || fail "$1, disk $disk: $(<"$1.$disk")"
	done
}

# One queue with one tag, all requests waiting at the same time.
"$BLKFILTER/bin/fair" "$DISK0" "$DISK1" 200 >fair.out 2>&1 &
fair=$!
wait_until 10 grep -q attached fair.out
burst_both fair 1
wait "$fair" || fail "$(<fair.out)"
cat fair.out

# A queue with one tag for each processor, in each of two filters.
start_filter pass --device "$DISK0" --device "$DISK1" --altitude 600 --queues 2 --depth 1
start_filter pass --device "$DISK0" --device "$DISK1" --altitude 400 --queues 2 --depth 1
burst_both pass 2
for disk in "$DISK0" "$DISK1"; do
	[[ $("$BLKFILTER/bin/burst" --verify "$disk" 200 2) == "ok 200 failed 0" ]] || fail "$disk: other data"
done
