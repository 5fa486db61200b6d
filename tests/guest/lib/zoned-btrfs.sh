# SPDX-License-Identifier: GPL-2.0
# A file system that appends to zones, which wants to know where its data went.  Sourced by tests that trace.
# shellcheck shell=bash

# zoned_btrfs DEVICE: its files are found again, by the sectors that came back;
# the running trace tells of the appends.
zoned_btrfs() {
	local i appends
	modprobe btrfs || skip "the kernel has no btrfs"
	mkfs.btrfs -q -f -O zoned -d single -m single "$1" 2>mkfs.err || skip "mkfs.btrfs: $(tail -n 1 mkfs.err)"
	mkdir mnt
	mount -t btrfs "$1" mnt || skip "this btrfs does not do zones"
	for ((i = 0; i < 20; i++)); do
		dd if=/dev/urandom of="mnt/$i" bs=300k count=1 status=none
	done
	sync
	(cd mnt && md5sum ./*) >sums
	check umount mnt
	check mount -t btrfs "$1" mnt
	(cd mnt && md5sum --quiet -c ../sums) || fail "files have changed"
	check umount mnt
	seen "$TRACE" lines
	appends=$(grep -c '^zone-append .* 0 ,' lines || true)
	echo "$appends zone appends"
	((appends >= 20)) || fail "only $appends zone appends seen"
}
