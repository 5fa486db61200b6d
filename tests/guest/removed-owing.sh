#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a disk that goes does not wait longer for a filter that has detached and owes an answer than for one that is attached
# disks: virtio:16M scsi:16M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

# goes N: the write that the filter has, with its policy PASS, gets to the disk while that is still there; within some seconds.
goes() {
	local disk=$1 device owe writer
	device=DISK$1
	device=${!device}
	"$BLKFILTER/bin/owe" "$device" >owe.out &
	owe=$!
	wait_until 10 grep -q ready owe.out
	# The flush of an fsync could come when the disk, which waits for the write alone, is gone.
	dd if=/dev/zero of="$device" bs=4k count=1 oflag=direct status=none 2>dd.err &
	writer=$!
	wait_until 10 grep -q owes owe.out
	SECONDS=0
	unplug "$disk"
	wait_until 20 is_gone "$device"
	wait_until 5 grep -q detached owe.out
	((SECONDS < 15)) || fail "$device: it took $SECONDS s"
	wait "$writer" || [[ $disk != 0 ]] || fail "$(<dd.err)"
	wait "$owe"
}

is_gone() {
	[[ ! -e /sys/class/block/${1##*/} ]]
}

load_module
goes 0
goes 1
