#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a rule that comes while the devices that are there are looked at for another is offered them as well
# disks: virtio:16M
# timeout: 60
. "${0%/*}/../vm/lib.sh"

load_module
load_module loop max_loop=200
timeout 50 "$BLKFILTER/bin/match-race" "${DISK0##*/}" 100 >race.out || fail "$(<race.out)"
