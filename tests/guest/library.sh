#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter answers for a device out of memory, by all ways the library has to move data, at once and later
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

load_module
check dd if=/dev/zero of="$DISK0" bs=1M count=64 oflag=direct status=none
for how in "" "--later" "--slot 4096" "--slot 65536 --later" "--slot 1048576" "--slot 4096 --no-payload --later"; do
	# shellcheck disable=SC2086
	start_filter memory --device "$DISK0" --size $((64 << 20)) --depth 32 $how
	check fio --name=verify --filename="$DISK0" --rw=randrw --bssplit=512/30:4k/30:24k/20:384k/10:2m/10 \
		--blockalign=512 --size=16m --direct=1 --ioengine=libaio --iodepth=16 --verify=crc32c \
		--verify_fatal=1 --randrepeat=0 --output-format=terse >"$OUT/fio"
	# A read beyond what the kernel lets into one slot, and one that nobody wrote.
	check cmp -n 65536 -i 50331648:0 "$DISK0" /dev/zero
	stop_filter
	[[ ! -s filter.$FILTERS.err || $(wc -l <"filter.$FILTERS.err") == 1 ]] || fail "$how: $(tail -n 1 "filter.$FILTERS.err")"
done
# Nothing has reached the device.
check cmp -n $((64 << 20)) "$DISK0" /dev/zero
unload_module
