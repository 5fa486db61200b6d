#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter with ranges sees what touches them and nothing else, also with 100,000 of them, at their edges, and while they are replaced
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

load_module
check "$BLKFILTER/bin/ranges" refuse "$DISK0"
check "$BLKFILTER/bin/ranges" model "$DISK0" 1 100
check "$BLKFILTER/bin/ranges" model "$DISK0" 200 600
# 16 TiB.
load_module dm_mod
load_module dm_zero
check dmsetup create sparse --table "0 34359738368 zero"
sparse=/dev/mapper/sparse
[[ -b $sparse ]] || sparse=/dev/dm-0
check "$BLKFILTER/bin/ranges" model "$sparse" 100000 300
check "$BLKFILTER/bin/ranges" replace "$DISK0" 2000
check dmsetup remove sparse
