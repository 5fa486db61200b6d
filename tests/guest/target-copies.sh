#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: copy-before holds back what it protects and nothing else, one copy waits for another, and a failing one fails as it was asked to
# disks: virtio:64M virtio:64M
# timeout: 60
. "${0%/*}/../vm/lib.sh"

load_module
truncate -s 1M backing
check timeout 50 "$BLKFILTER/bin/target-copies" "$DISK0" "$DISK1" backing
