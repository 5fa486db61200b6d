#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a completion on hold ends by the deadline though its filter can't be told of it; a flush stays one for a successor; zones
# disks: virtio:64M
# timeout: 60
. "${0%/*}/../vm/lib.sh"

load_module
check timeout 40 "$BLKFILTER/bin/held" "$DISK0" ring
plain=$(null_blk_create plain size=64 memory_backed=1)
[[ $(<"/sys/block/${plain##*/}/queue/write_cache") == "write through" ]] || fail "$plain has a write cache"
check timeout 40 "$BLKFILTER/bin/held" "$plain" flush
in_a_process=$(null_blk_create in-a-process size=64 memory_backed=1 irqmode=0)
check timeout 40 "$BLKFILTER/bin/held" "$in_a_process" ring
zoned=$(null_blk_create zoned size=64 memory_backed=1 zoned=1 zone_size=4)
check timeout 40 "$BLKFILTER/bin/held" "$zoned" zone
