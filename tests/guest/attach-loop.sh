#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: filters at three altitudes attach and detach over 200 times under a busy ext4, which never notices
# disks: virtio:512M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/busy.sh"

load_module
busy_start "$DISK0"
flicker "$DISK0" 901 100 detach &
upper=$!
flicker "$DISK0" 100 100 detach &
lower=$!
programs_come_and_go TERM 10 pass --device "$DISK0" --altitude 500
wait "$upper"
wait "$lower"
busy_stop "$DISK0"
