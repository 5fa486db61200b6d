#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: what a broken filter writes into its rings is refused by name and harms nothing else
# disks: virtio:64M
# timeout: 60
. "${0%/*}/../vm/lib.sh"

load_module
check "$BLKFILTER/bin/hostile" "$DISK0"
