#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter lives as long as somebody has a descriptor of it, whoever closes his and whoever waits meanwhile
# disks: virtio:16M
# timeout: 120
# smp: 2
. "${0%/*}/../vm/lib.sh"

load_module
check "$BLKFILTER/bin/descriptors" "$DISK0"
