#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: redirect, mirror and inject to a target do what the ABI says, to devices and files; what is senseless is refused
# disks: virtio:64M virtio:64M
# timeout: 60
. "${0%/*}/../vm/lib.sh"

load_module
truncate -s 1M backing
check timeout 50 "$BLKFILTER/bin/targets" "$DISK0" "$DISK1" backing
