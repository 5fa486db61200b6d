#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: with pass at two altitudes virtio, nvme and scsi disks hold what fio writes to them
# disks: virtio:64M nvme:64M scsi:64M virtio:64M,logical_block_size=4096,physical_block_size=4096
# timeout: 120
. "${0%/*}/../vm/lib.sh"

load_module
disks=("$DISK0" "$DISK1" "$DISK2" "$DISK3")
start_filter pass "${disks[@]/#/--device=}" --altitude 900 --name upper
start_filter pass "${disks[@]/#/--device=}" --altitude 100 --name lower

jobs=()
for disk in "${disks[@]}"; do
	jobs+=(--name="${disk##*/}" --filename="$disk")
done
check fio --direct=1 --ioengine=libaio --iodepth=16 --bsrange=4k-512k --rw=randrw --rwmixread=30 --size=64m --io_size=8m \
	--verify=crc32c --verify_fatal=1 --fsync=16 --group_reporting "${jobs[@]}" --output=fio.out

for disk in "${disks[@]}"; do
	seen=$("$BLKFILTER/bin/bfuse" stat --json "$disk" | grep -c '"seen": *"\?[1-9]')
	((seen == 2)) || fail "$disk: $seen of 2 filters have seen something"
done
