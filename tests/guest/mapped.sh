#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: large data are shown to the filter in place, read only, until its verdict; what can't be shown is copied
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

load_module
check "$BLKFILTER/bin/mapped" "$DISK0"
