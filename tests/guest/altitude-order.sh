#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: requests go from the highest altitude to the lowest, completions from the lowest to the highest
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

load_module
check "$BLKFILTER/bin/order" "$DISK0"
