#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: verdicts with MODIFY and HOLD do what the ABI says, byte by byte, and senseless ones are refused with their reason
# disks: virtio:64M
# timeout: 60
. "${0%/*}/../vm/lib.sh"

load_module
check timeout 40 "$BLKFILTER/bin/verbs" "$DISK0"
