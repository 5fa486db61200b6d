#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: below dm-linear each bio that reaches the filtered disk is seen once; with dm filtered too, each at both levels
# disks: virtio:64M nvme:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"
. "${0%/*}/lib/stack.sh"

load_module
load_module dm_mod
# Its parts are swapped and not aligned, so dm has to split.
dmsetup create linear <<-END
	0 30001 linear $DISK0 80000
	30001 40007 linear $DISK1 17
	70008 30000 linear $DISK0 2048
END
dm=/dev/$(dmsetup info -c --noheadings -o blkdevname linear)

watch Q "$DISK0" "$DISK1"
load "$dm"
compare "$DISK0" "$DISK1"

# Both levels, by one process and by two.
watch Q "$dm" "$DISK0" "$DISK1"
start_filter pass --device "$dm" --device "$DISK0" --device "$DISK1" --altitude 100 --depth 4
load "$dm"
compare "$dm" "$DISK0" "$DISK1"
stop_filter "$FILTER"
check dmsetup remove linear
