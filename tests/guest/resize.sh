#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a device that grows is seen beyond its old end; one that shrinks under a request fails it; what dm and loop hold may change below a filter
# disks: virtio:64M scsi:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"

has_sectors() {
	(($(blockdev --getsz "$1") == $2))
}

direct_write() {
	dd if=/dev/zero of="$1" oflag=direct bs=4k seek="$(($2 / 8))" count=1 status=none
}

# test_growth DEVICE OLD NEW CMD...: in sectors; CMD does it.
test_growth() {
	local device=$1 old=$2 new=$3
	shift 3
	has_sectors "$device" "$old" || fail "$device has $(blockdev --getsz "$device") sectors"
	start_trace --device "$device"
	check "$@"
	wait_until 20 has_sectors "$device" "$new"
	check direct_write "$device" "$((new - 8))"
	expect_status 1 direct_write "$device" "$new" 2>/dev/null
	seen "$TRACE" lines 1-4
	grep -qx "write $((new - 8)) 4096 0" lines || fail "$device: beyond the old end: $(<lines)"
	! grep -q "write $new " lines || fail "$device: the block layer's own refusal reached the filter"
}

# test_shrink DEVICE NEW CMD...: the filter has a write that the device is then too small for.
test_shrink() {
	local device=$1 new=$2 pid status=0
	shift 2
	start_filter pass --device "$device"
	kill -STOP "$FILTER"
	direct_write "$device" "$new" 2>/dev/null &
	pid=$!
	wait_until 10 has_request "$device"
	check "$@"
	wait_until 20 has_sectors "$device" "$new"
	kill -CONT "$FILTER"
	wait "$pid" || status=$?
	((status == 1)) || fail "$device: a write past the end: status $status"
	stop_filter
}

has_request() {
	"$BLKFILTER/bin/bfuse" stat --json "$1" | grep -qE '"with_filter": *"?1'
}

rescan() {
	resize_disk 1 "$1"
	echo 1 >"/sys/block/${DISK1##*/}/device/rescan"
}

load_module
load_module dm_mod
load_module loop
test_growth "$DISK0" 131072 262144 resize_disk 0 134217728
test_shrink "$DISK0" 65536 resize_disk 0 33554432
test_growth "$DISK1" 131072 262144 rescan 134217728

# reload SECTORS
reload() {
	dmsetup reload line --table "0 $1 linear $DISK0 0" && dmsetup suspend line && dmsetup resume line
}
check dmsetup create line --table "0 32768 linear $DISK0 0"
line=$(readlink -f /dev/mapper/line)
test_growth "$line" 32768 65536 reload 65536
test_shrink "$line" 32768 reload 32768
check dmsetup remove line

truncate -s 16M file
loop=$(losetup -f --show file)
grow_file() {
	truncate -s "$1" file && losetup -c "$loop"
}
test_growth "$loop" 32768 65536 grow_file 32M
test_shrink "$loop" 32768 grow_file 16M
check losetup -d "$loop"
