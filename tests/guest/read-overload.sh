#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter that wants the data of reads, with fewer tags than reads wait, is woken for each and all complete
# disks: virtio:64M
. "${0%/*}/../vm/lib.sh"

load_module
check "$BLKFILTER/bin/burst" "$DISK0" 400 7 >burst.log
start_filter bench-filter --device "$DISK0" --ops read --payload --notify --depth 4 --queues 1
[[ $(timeout 20 "$BLKFILTER/bin/burst" --verify "$DISK0" 400 7) == "ok 400 failed 0" ]] || fail "reads hang or lie"
stop_filter
