#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: processors that go and come under load take no request with them
# disks: virtio:64M nvme:64M
# timeout: 120
# smp: 4
. "${0%/*}/../vm/lib.sh"

load_module
start_filter pass --device "$DISK0" --device "$DISK1" --altitude 900
start_filter pass --device "$DISK0" --device "$DISK1" --altitude 100 --depth 1
for disk in "$DISK0" "$DISK1"; do
	for ((i = 0; i < 20; i++)); do
		[[ $("$BLKFILTER/bin/burst" "$disk" 100 "$i") == "ok 100 failed 0" ]] || fail "burst on $disk"
	done &
	bursts+=("$!")
done
for ((i = 0; i < 5; i++)); do
	for cpu in 3 2 1; do
		echo 0 >"/sys/devices/system/cpu/cpu$cpu/online"
	done
	# A filter that comes now has one queue, and then more processors than that.
	"$BLKFILTER/bin/flicker" "$DISK0" 500 2 detach
	for cpu in 1 2 3; do
		echo 1 >"/sys/devices/system/cpu/cpu$cpu/online"
	done
done
for pid in "${bursts[@]}"; do
	wait "$pid" || fail "burst: status $?"
done
for disk in "$DISK0" "$DISK1"; do
	[[ $("$BLKFILTER/bin/burst" --verify "$disk" 100 19) == "ok 100 failed 0" ]] || fail "$disk: other data"
done
