#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: under ext4 and fio a mirror holds byte for byte what the device does; when it fails so do the writes, or not if it is lenient
# disks: virtio:48M virtio:48M nvme:48M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

# use DEVICE: a file system lives on it for a while.
use() {
	check mkfs -t ext4 -q "$1" >mkfs.out 2>&1
	check mount "$1" mnt
	check fio --name=fs --directory=mnt --bsrange=4k-256k --rw=randrw --size=8m --numjobs=2 --verify=crc32c --fsync=16 \
		--ioengine=libaio --iodepth=8 --direct=1 --unlink=1 --output=fio.out
	cp -r /bin/bash /usr/share/zoneinfo mnt 2>/dev/null || cp /bin/bash mnt
	check fstrim mnt
	check umount mnt
	check e2fsck -fn "$1" >fsck.out 2>&1
	check fio --name=raw --filename="$1" --bsrange=4k-1m --rw=randwrite --norandommap=0 --size=16m --ioengine=libaio --iodepth=16 --direct=1 \
		--verify=crc32c --output=raw.out
}

# same MIRROR OFFSET
same() {
	sync
	echo 1 >/proc/sys/vm/drop_caches
	check cmp "$DISK0" "$1"
}

load_module
mkdir mnt small

# On a device, on a stacked one, and in a file.
start_filter places --device "$DISK0" --mirror "$DISK1"
check blkdiscard -z "$DISK0"
use "$DISK0"
same "$DISK1"
stop_filter "$FILTER"
grep -qx 'failed copies 0 mirrors 0' "filter.$FILTERS.out" || fail "$(<"filter.$FILTERS.out")"

load_module dm_mod
check dmsetup create linear --table "0 98304 linear $DISK2 0"
start_filter places --device "$DISK0" --mirror /dev/mapper/linear
check blkdiscard -z "$DISK0"
use "$DISK0"
same "$DISK2"
stop_filter "$FILTER"
check dmsetup remove linear

truncate -s 48M file
start_filter places --device "$DISK0" --mirror file
check blkdiscard -z "$DISK0"
use "$DISK0"
same file
stop_filter "$FILTER"
rm file

# fails WHY MIRROR
fails() {
	start_filter places --device "$DISK0" --mirror "$2"
	! dd if=/dev/zero of="$DISK0" bs=1M count=8 oflag=direct 2>dd.err || fail "$1: no error"
	grep -qi "$1" dd.err || fail "$1: $(<dd.err)"
	stop_filter "$FILTER"
	grep -q 'mirrors [1-9]' "filter.$FILTERS.out" || fail "$1: $(<"filter.$FILTERS.out")"

	start_filter places --device "$DISK0" --mirror "$2" --lenient
	check fio --name=lenient --filename="$DISK0" --rw=write --bs=256k --size=8m --direct=1 --verify=crc32c --output=lenient.out
	stop_filter "$FILTER"
	grep -q 'mirrors [1-9]' "filter.$FILTERS.out" || fail "$1: $(<"filter.$FILTERS.out")"
	"$BLKFILTER/bin/bfuse" events --all --past >events
	grep -q "mirror failed: " events || fail "$1: not in the log: $(<events)"
}

check dmsetup create error --table "0 98304 error"
fails 'Input/output error' /dev/mapper/error
check dmsetup remove error
mount -t tmpfs -o size=1M none small
touch small/full
fails 'No space left' small/full
umount small
