#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a partition table that is read again takes the filters off partitions, but not off the disk; a partition that only changes its size keeps its filter
# disks: virtio:64M nvme:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"

ended() {
	! kill -0 "$1" 2>/dev/null
}

# direct_write DEVICE SECTOR
direct_write() {
	check dd if=/dev/zero of="$1" oflag=direct bs=4k seek="$(($2 / 8))" count=1 status=none
}

# test_disk DISK PART1 PART2
test_disk() {
	local disk=$1 one=$2 two=$3 of_disk of_one loader
	check sfdisk -q "$disk" <<<$'label: dos\nstart=2048,size=32768\nstart=67584\n'
	wait_until 10 test -b "$two"
	start_trace --device "$disk" --altitude 100
	of_disk=$TRACE
	start_trace --device "$one" --altitude 900
	of_one=$TRACE

	# Larger: what is beyond the old end is seen.
	check resizepart "$disk" 1 65536
	(($(blockdev --getsz "$one") == 65536)) || fail "$one has $(blockdev --getsz "$one") sectors"
	direct_write "$one" 65528

	# Under load on the other partition: that it is open, the kernel refuses; then it does not.
	exec {hold}<"$two"
	expect_status 1 blockdev --rereadpt "$disk" 2>/dev/null
	kill -0 "$of_one" ||
		fail "the filter of $one has gone though nothing happened: $("$BLKFILTER/bin/bfuse" events --past)"
	exec {hold}<&-
	while [[ ! -e stop ]]; do
		dd if=/dev/zero of="$disk" oflag=direct bs=4k seek=10000 count=20 status=none || exit 1
	done &
	loader=$!
	check blockdev --rereadpt "$disk"
	wait_until 10 ended "$of_one"
	wait_until 10 test -b "$one"
	: >stop
	wait "$loader" || fail "a write to $disk"
	rm stop
	wait "$of_one" || fail "the filter of $one ended with status $?"
	grep -qx "write 65528 4096 0" <(sed -nE 's/.*"op":"([^"]*)",.*"sector":([0-9]+),"bytes":([0-9]+),.*"status":(-?[0-9]+),.*/\1 \2 \3 \4/p' "filter.${TRACES[$of_one]}.out") ||
		fail "nothing beyond the old end"

	# The partition that has come back can be filtered anew; the disk's filter never left.
	direct_write "$one" 8
	start_trace --device "$one" --altitude 900
	direct_write "$one" 16
	seen "$TRACE" lines 1-4
	grep -qx "write 16 4096 0" lines || fail "the new partition: $(<lines)"
	! grep -qx "write 8 4096 0" lines || fail "seen before the attach"
	seen "$of_disk" lines 1-4
	for line in "write 67576 4096 0" "write 2056 4096 0" "write 2064 4096 0"; do
		grep -qx "$line" lines || fail "the disk's filter has not seen '$line'"
	done
}

load_module
test_disk "$DISK0" "${DISK0}1" "${DISK0}2"
test_disk "$DISK1" "${DISK1}p1" "${DISK1}p2"
