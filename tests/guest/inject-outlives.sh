#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: no dm or md device is taken apart while a request that a filter has injected is under way in it
# disks: virtio:64M virtio:64M
# timeout: 60
. "${0%/*}/../vm/lib.sh"

# outlives EXPECTED UPPER COMMAND: what is printed, in one line, a regular expression.
outlives() {
	"$BLKFILTER/bin/inject-outlives" "$2" "$DISK0" "$3" >out 2>err || fail "$2: $(<err)"
	grep -Eqx "$1" <(paste -sd ' ' out) || fail "$2: $(<out), not $1"
}

load_module
load_module dm_mod
check dmsetup create gone --table "0 65536 linear $DISK0 0"
outlives "waits 0" /dev/mapper/gone "dmsetup remove gone"
[[ ! -e /dev/mapper/gone ]] || fail "it is not gone"

load_module raid0
check mdadm --create /dev/md0 --run --level=0 --raid-devices=2 --chunk=32 "$DISK0" "$DISK1" 2>mdadm.err
wait_until 10 test -b /dev/md0
# Who opens it first reads the partition table.
check dd if=/dev/md0 of=/dev/null bs=4k count=1 status=none
# mdadm tries again for some time.
outlives "(1|waits) 0" /dev/md0 "mdadm --stop /dev/md0 2>stop.err"
[[ ! -b /dev/md0 ]] || check mdadm --stop /dev/md0 2>mdadm.err
