#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: dm and loop devices and partitions that are removed while filtered take their filters with them
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

# removed DEVICE CMD...: a filter that has seen I/O is told, and ends.
removed() {
	local device=$1
	start_filter pass --device "$device" --altitude 900
	start_filter events --device "$device" --altitude 100
	check dd if="$device" of=/dev/null bs=4k count=16 iflag=direct status=none
	check "${@:2}"
	wait_until 10 has_ended "$FILTER"
	grep -qx "detached -19" "filter.$FILTERS.out" || fail "$device: no event: $(<"filter.$FILTERS.out")"
	wait_until 10 nothing_left
}

has_ended() {
	! kill -0 "$1" 2>/dev/null
}

nothing_left() {
	[[ -z $("$BLKFILTER/bin/bfuse" list) ]]
}

load_module
load_module dm_mod
load_module loop max_loop=1
check dmsetup create gone --table "0 65536 linear $DISK0 0"
removed "/dev/$(dmsetup info -c --noheadings -o blkdevname gone)" dmsetup remove gone

truncate -s 16M file
loop=$(losetup -f --show file)
remove_loop() {
	losetup -d "$loop" && rmmod loop
}
removed "$loop" remove_loop

# A partition goes, the filter of the disk stays.
check sfdisk -q "$DISK0" <<<$'label: dos\nstart=2048,size=65536\n'
wait_until 10 test -b "${DISK0}1"
removed "${DISK0}1" partx -d --nr 1 "$DISK0"
start_filter pass --device "$DISK0" --altitude 500
check partx -a --nr 1 "$DISK0"
check partx -d --nr 1 "$DISK0"
check dd if="$DISK0" of=/dev/null bs=4k count=16 iflag=direct status=none
stop_filter "$FILTER"
