#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: senseless commands of io_uring are refused, one waits per queue; poll, epoll and io_uring's poll tell of requests
# disks: virtio:64M
# timeout: 60
. "${0%/*}/../vm/lib.sh"

load_module
check "$BLKFILTER/bin/ring-hostile" "$DISK0"
