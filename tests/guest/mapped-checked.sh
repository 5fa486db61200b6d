#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: where the kernel checks who maps a page, data are copied, not shown, as some of them stop at a page in two places
# disks: virtio:64M
# kernels: debug
# append: page_table_check=on
# timeout: 120
. "${0%/*}/../vm/lib.sh"

load_module
start_filter bench-filter --device "$DISK0" --ops write --mapped --look
# What a process writes from memory of its own, and gives back to the kernel.
check fio --name=v --filename="$DISK0" --rw=randrw --bs=256k --size=16m --direct=1 --ioengine=libaio --iodepth=8 \
	--verify=crc32c --verify_fatal=1 --output-format=terse >/dev/null
stop_filter "$FILTER"
check "$BLKFILTER/bin/mapped" --copied "$DISK0"
