#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: what a filter was shown is taken away when it is late, has closed its file or was replaced; its successor is shown it anew
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

load_module
check "$BLKFILTER/bin/mapped-death" "$DISK0"
