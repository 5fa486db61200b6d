#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter of the disk sees its partitions' I/O in the disk's sectors, one of a partition only its own, and first
# disks: virtio:64M nvme:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"

# direct DEVICE SECTOR DD-ARG...: reads or writes 4 KiB.
direct_read() {
	check dd if="$1" iflag=direct of=/dev/null bs=4k skip="$(($2 / 8))" count=1 status=none
}
direct_write() {
	check dd if=/dev/zero of="$1" oflag=direct bs=4k seek="$(($2 / 8))" count=1 status=none
}

# test_disk DISK PART1 PART2: partitions begin at sector 2048 and 67584.
test_disk() {
	local disk=$1 one=$2 two=$3 of_disk of_one
	check sfdisk -q "$disk" <<<$'label: dos\nstart=2048,size=65536\nstart=67584\n'
	wait_until 10 test -b "$two"

	start_trace --device "$disk" --altitude 100
	of_disk=$TRACE
	start_trace --device "$one" --altitude 900
	of_one=$TRACE
	direct_read "$one" 8
	direct_write "$one" 65528
	direct_read "$two" 16
	direct_write "$disk" 2048
	check blkdiscard -f -o 1M -l 1M "$one"
	seen "$of_one" one 1-4
	seen "$of_disk" disk 1-4
	cat >disk.expected <<-END
		read 2056 4096 0
		write 67576 4096 0
		read 67600 4096 0
		write 2048 4096 0
		discard 4096 1048576 0
	END
	printf '%s\n' 'read 8 4096 0' 'write 65528 4096 0' 'discard 2048 1048576 0' >one.expected
	same "$one" one.expected <(grep -v '^flush' one)
	same "$disk" disk.expected <(grep -v '^flush' disk)
	order "$disk" "$one"
}

# order DISK PART: altitude decides among the filters of one device only: what
# the partition's refuses, the disk's never sees, though it is higher.
order() {
	local disk=$1 one=$2 upper lower
	start_filter protect --device "$one" --altitude 1 --range 0+8
	lower=$FILTER
	start_trace --device "$disk" --altitude 1000000
	upper=$TRACE
	expect_status 1 dd if=/dev/zero of="$one" oflag=direct bs=4k count=1 status=none
	direct_write "$one" 8
	stop_filter "$lower"
	seen "$upper" refusals 1-4
	echo "write 2056 4096 0" >expected
	same "order on $disk" expected refusals
	# And the other way round: the partition's is told of the refusal.
	start_filter protect --device "$disk" --altitude 1000000 --range 2048+8
	upper=$FILTER
	start_trace --device "$one" --altitude 1
	expect_status 1 dd if=/dev/zero of="$one" oflag=direct bs=4k count=1 status=none
	seen "$TRACE" refusals 1-4
	echo "write 0 4096 -5" >expected
	same "order on $one" expected refusals
	stop_filter "$upper"
}

load_module
test_disk "$DISK0" "${DISK0}1" "${DISK0}2"
test_disk "$DISK1" "${DISK1}p1" "${DISK1}p2"
