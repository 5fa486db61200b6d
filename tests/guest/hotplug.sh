#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a disk that is pulled out leaves, one that is put in arrives
# disks: virtio:64M nvme:64M scsi:64M
. "${0%/*}/../vm/lib.sh"

gone() {
	[[ ! -b $1 ]]
}

for number in 0 1 2; do
	disk=DISK$number
	unplug "$number"
	wait_until 20 gone "${!disk}"
done

monitor "device_add virtio-blk-pci,bus=port0,id=disk0,drive=disk0,serial=DISK0"
wait_until 20 test -b "$DISK0"
check dd if="$DISK0" of=/dev/null bs=1M iflag=direct status=none
