#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter of the library looks at shown data: alone, in layers, spinning, confined; ext4 and its data stay whole
# disks: virtio:256M
# smp: 2
# timeout: 180
. "${0%/*}/../vm/lib.sh"

# served OPTION...: by a filter that reads a word of each page.
served() {
	start_filter bench-filter --device "$DISK0" --ops write --mapped --look "$@"
	check fio --name=v --directory=mnt --rw=randrw --bssplit=4k/20:64k/40:256k/40 --size=16m --direct=1 --ioengine=libaio \
		--iodepth=8 --verify=crc32c --verify_fatal=1 --output-format=terse >/dev/null
	check dd if=/dev/zero of=mnt/buffered bs=1M count=8 conv=fsync status=none
	stop_filter "$FILTER"
}

load_module
mkdir mnt
check mkfs.ext4 -q "$DISK0"
check mount "$DISK0" mnt
served
served --layers 2
served --queues 1 --spin 50000
[[ -e /sys/kernel/debug/kmemleak ]] || served --confine
check umount mnt
check fsck.ext4 -fn "$DISK0"
