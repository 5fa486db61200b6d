#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: filters that attach just when a device's last one leaves find it, or a new one, and no list is torn
# disks: virtio:16M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

load_module
check timeout 60 "$BLKFILTER/bin/attach-race" "$DISK0" 10 >race.out
grep -Eqx '[1-9][0-9]{2,} attachments' race.out || fail "$(<race.out)"
# Which walks over what there is of devices.
"$BLKFILTER/bin/pass" --drain --drain-timeout 10000 --device "$DISK0" >pass.out 2>&1 &
pass=$!
wait_until 20 grep -q attached pass.out
kill -TERM "$pass"
wait "$pass" || fail "$(<pass.out)"
