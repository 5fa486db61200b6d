#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: with a tag that a filter never gives back its other tags are not kept for each other for ever: its policy decides
# disks: virtio:16M
# timeout: 60
. "${0%/*}/../vm/lib.sh"

load_module
load_module dm_mod
check dmsetup create upper --table "0 32768 linear $DISK0 0"
"$BLKFILTER/bin/late" /dev/mapper/upper "$DISK0" >late.out &
late=$!
wait_until 10 grep -q ready late.out
for ((i = 0; i < 4; i++)); do
	check timeout 15 dd if=/dev/mapper/upper of=/dev/null bs=4k count=1 iflag=direct status=none
done
kill -KILL "$late"
wait "$late" || true
check dmsetup remove upper
