#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: what a dying filter had and its successor does not want goes on below, and what that does not know fails
# disks: virtio:16M
# timeout: 60
. "${0%/*}/../vm/lib.sh"

load_module
check timeout 40 "$BLKFILTER/bin/unwanted" "$DISK0"
