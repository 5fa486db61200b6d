#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter that changes data on the way down and back on the way up carries ext4, XFS and btrfs; the disk holds ciphertext
# disks: virtio:320M
# timeout: 180
. "${0%/*}/../vm/lib.sh"

start_cipher() {
	start_filter involute --device "$DISK0" "$@"
}

stop_cipher() {
	stop_filter "$FILTER"
}

plaintext_is_on_disk() {
	tr -c '[:print:]' '\n' <"$DISK0" | grep -c "plain words to be looked for" >words.out
}

# file_system NAME CHECK...: made, filled and verified through the filter, without which there is nothing to be found.
file_system() {
	local name=$1
	start_cipher
	check mkfs -t "$name" "${MKFS_QUIET[@]}" "$DISK0" >mkfs.out 2>&1
	check mount -t "$name" "$DISK0" mnt
	check fio --name="$name" --directory=mnt --bsrange=4k-1m --rw=randrw --size=8m --verify=crc32c --verify_fatal=1 \
		--fsync=16 --ioengine=libaio --iodepth=8 --direct=1 --unlink=1 --output=fio.out
	for i in {1..2000}; do echo "plain words to be looked for $i"; done >mnt/words
	dd if=/dev/urandom of=mnt/noise bs=1M count=9 status=none
	sum=$(cat mnt/words mnt/noise | sha256sum)
	check umount mnt
	check "${@:2}" "$DISK0" >check.out 2>&1
	stop_cipher

	echo 1 >/proc/sys/vm/drop_caches
	[[ $name != ext4 ]] || ! plaintext_is_on_disk || fail "$name: plaintext reached the disk"
	! mount -t "$name" "$DISK0" mnt 2>/dev/null || fail "$name: mounts without the filter"
	start_cipher --key 77
	! mount -t "$name" "$DISK0" mnt 2>/dev/null || fail "$name: mounts with a wrong key"
	stop_cipher

	# Without slots all data are fetched and stored.
	start_cipher --slot 0
	check mount -t "$name" "$DISK0" mnt
	[[ $(cat mnt/words mnt/noise | sha256sum) == "$sum" ]] || fail "$name: other data than were written"
	cp mnt/noise mnt/again
	check umount mnt
	check "${@:2}" "$DISK0" >check.out 2>&1
	stop_cipher
	# With small ones, those of the larger requests.
	start_cipher --slot 4096 --depth 4
	check mount -t "$name" "$DISK0" mnt
	check cmp mnt/noise mnt/again
	check umount mnt
	stop_cipher
}

load_module
mkdir mnt
MKFS_QUIET=(-q)
file_system ext4 e2fsck -fn
if modprobe xfs; then
	MKFS_QUIET=(-q -f)
	file_system xfs xfs_repair -n
fi
if modprobe btrfs; then
	file_system btrfs btrfs check
fi
