#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: an unprivileged process that was handed a filter can serve it, and can't attach, detach, register or see others
# disks: virtio:64M
# timeout: 60
. "${0%/*}/../vm/lib.sh"

load_module
"$BLKFILTER/bin/privilege" "$DISK0" 100 >ready &
served=$!
wait_until 10 grep -q ready ready
check dd if="$DISK0" of=/dev/null bs=4k count=200 iflag=direct status=none
wait "$served" || fail "privilege: status $?"
