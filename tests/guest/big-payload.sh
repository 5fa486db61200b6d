#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: data of requests larger than a slot reach the filter, and what it supplies reaches the reader, never anything stale
# disks: virtio:64M nvme:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

load_module
# Data of a read are copied by whoever ends it in a process, as is done here, and by a worker for who does so in an interrupt.
in_a_process=$(null_blk_create in-a-process size=64 memory_backed=1 irqmode=0)
for disk in "$DISK0" "$DISK1" "$in_a_process"; do
	largest=$("$BLKFILTER/bin/payload" "$disk")
	echo "$disk: $largest"
	((${largest##* } >= 1 << 20)) || fail "$disk: no request of 1 MiB among them: $largest"
done
