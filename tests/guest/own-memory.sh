#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: with little memory, files and swap on filtered disks, nothing waits for a filter that waits for memory
# disks: virtio:512M virtio:256M
# timeout: 120
# memory: 256M
. "${0%/*}/../vm/lib.sh"

# swapped_out: pages, so far: what was written to the swap device.
swapped_out() {
	awk '{ print int($7 / 8) }' "/sys/block/${DISK1##*/}/stat"
}

# So little memory leaves the kernel almost none in reserve, and 7.3 wants some to swap.
sysctl -q vm.min_free_kbytes=8192

load_module
for disk in "$DISK0" "$DISK1"; do
	start_filter pass --device "$disk" --altitude 900
	start_filter pass --device "$disk" --altitude 100 --depth 8
done
check mkfs.ext4 -q "$DISK0"
mkdir mnt
check mount "$DISK0" mnt
check mkswap "$DISK1" >mkswap.out
check swapon "$DISK1"

# More than there is.
available=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
dd if=/dev/zero of=mnt/file bs=1M count=100 status=none &
writer=$!
check "$BLKFILTER/bin/eat" "$((available / 1024 + 40))"
wait "$writer" || fail "dd: status $?"
echo "$(swapped_out) pages swapped out"
(($(swapped_out) > 1000)) || fail "only $(swapped_out) pages were swapped out"
check cmp -n 100M mnt/file /dev/zero
check swapoff "$DISK1"
check umount mnt
for pid in "${FILTER_PIDS[@]}"; do
	stop_filter "$pid"
done
check fsck.ext4 -fn "$DISK0"
