#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a cipher over a mirror over copy-before: the device and its mirror hold ciphertext, the store what was there before
# disks: virtio:48M virtio:48M virtio:48M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

direct() {
	dd if="$1" bs=1M iflag=direct status=none "${@:2}"
}

load_module
dd if=/dev/urandom of=before bs=1M count=48 status=none
dd if=/dev/urandom of=plain bs=1M count=16 status=none
dd if=before of="$DISK0" bs=1M oflag=direct status=none
dd if=before of="$DISK1" bs=1M oflag=direct status=none

start_filter places --device "$DISK0" --altitude 300 --copy "$DISK2"
copy=$FILTER
start_filter places --device "$DISK0" --altitude 600 --mirror "$DISK1"
mirror=$FILTER
start_filter involute --device "$DISK0" --altitude 900
check fio --name=over --filename="$DISK0" --rw=randwrite --bs=4k --size=16m --number_ios=1500 --direct=1 --ioengine=libaio --iodepth=16 \
	--output=fio.out
# Chunks in part and whole; from two sides.
dd if=plain of="$DISK0" bs=64k count=128 oflag=direct status=none &
dd if=plain of="$DISK0" bs=256k skip=32 seek=32 count=32 oflag=direct status=none
wait $!
check cmp <(direct "$DISK0" count=16) plain
stop_filter "$FILTER"
check cmp -n $((16 << 20)) <(direct "$DISK0") <(direct "$DISK1")
stop_filter "$mirror"
stop_filter "$copy"

check cmp <(direct "$DISK0") <(direct "$DISK1")
! cmp -s <(direct "$DISK0" count=16) plain || fail "no ciphertext"
check cmp <(direct "$DISK0" skip=16) <(dd if=before bs=1M skip=16 status=none)
check cmp <(direct "$DISK2" count=16) <(dd if=before bs=1M count=16 status=none)
check cmp <(direct "$DISK2" skip=16) <(dd if=/dev/zero bs=1M count=32 status=none)
# The mirror is as good as the device.
start_filter involute --device "$DISK1" --altitude 900
check cmp <(direct "$DISK1" count=16) plain
stop_filter "$FILTER"
