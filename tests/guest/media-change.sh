#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a drive keeps its filter when its medium is taken out and another, of another size, is put in
# disks: scsi:16M
# timeout: 90
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"

has_sectors() {
	[[ $(blockdev --getsz "$1" 2>/dev/null) == "$2" ]]
}

no_medium() {
	! dd if="$1" of=/dev/null bs=2k count=1 iflag=direct status=none 2>/dev/null
}

load_module sr_mod
monitor "drive_add 0 if=none,id=cd,driver=null-co,size=8388608,read-zeroes=on,media=cdrom"
monitor "device_add scsi-cd,bus=scsi.0,drive=cd,id=drive"
wait_until 20 test -b /dev/sr0
wait_until 20 has_sectors /dev/sr0 16384

load_module
start_trace --device /dev/sr0 --altitude 900
start_filter pass --device /dev/sr0 --altitude 100
check dd if=/dev/sr0 of=/dev/null bs=2k skip=4095 count=1 iflag=direct status=none
monitor "eject -f cd"
wait_until 20 no_medium /dev/sr0
monitor "change cd null-co:// raw"
wait_until 20 has_sectors /dev/sr0 2097152
check dd if=/dev/sr0 of=/dev/null bs=2k skip=8192 count=1 iflag=direct status=none
stop_filter
seen "$TRACE" lines 1-4
grep -qx "read 16380 2048 0" lines || fail "the first medium: $(<lines)"
grep -qx "read 32768 2048 0" lines || fail "the second medium: $(<lines)"
