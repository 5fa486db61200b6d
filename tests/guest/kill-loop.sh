#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: observers at three altitudes are killed and restarted over 50 times under a busy ext4, which never notices
# disks: virtio:512M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/busy.sh"

load_module
busy_start "$DISK0"
flicker "$DISK0" 901 30 kill &
upper=$!
flicker "$DISK0" 100 30 kill &
lower=$!
programs_come_and_go KILL 10 pass --device "$DISK0" --altitude 500
wait "$upper"
wait "$lower"
busy_stop "$DISK0"

deaths=$(dmesg | grep -c 'at altitude .* died' || true)
((deaths == 70)) || fail "$deaths deaths, not 70"
