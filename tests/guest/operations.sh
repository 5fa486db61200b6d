#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: each operation of virtio, nvme and scsi disks is seen once, with its flags, sector and length, and does what it should
# disks: virtio:64M nvme:64M scsi:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"

# expect_next OP SECTOR BYTES FLAG: the next line that seen has written.
expect_next() {
	local op sector bytes status flags
	read -r op sector bytes status flags <&"$LINES" || fail "no $1 at $2"
	[[ "$op $sector $bytes $status" == "$1 $2 $3 0" && $flags == *",$4,"* ]] ||
		fail "$TARGET: $op $sector $bytes $status $flags, not $* 0"
}

# expect_rest OP SECTOR BYTES: one or several that cover this without a gap.
expect_rest() {
	local op sector bytes status flags next=$2
	while ((next < $2 + $3 / 512)) && read -r op sector bytes status flags <&"$LINES"; do
		[[ "$op $sector $status" == "$1 $next 0" ]] || fail "$TARGET: $op $sector $bytes $status $flags in $*"
		next=$((next + bytes / 512))
	done
	((next == $2 + $3 / 512)) || fail "$TARGET: $1 to $next, not $*"
}

exercise() {
	# As many as the disk takes at once.
	echo 4 >"/sys/block/${TARGET##*/}/queue/max_sectors_kb"
	check dd if="$TARGET" iflag=direct of=/dev/null bs=64k count=1 status=none
	check dd if=/dev/urandom of="$TARGET" oflag=direct iflag=fullblock bs=512k seek=1 count=2 status=none
	check dd if=/dev/urandom of="$TARGET" oflag=direct,dsync bs=4k seek=8 count=1 status=none
	check sync -d "$TARGET"
	check blkdiscard -f -o 512k -l 256k "$TARGET"
	check blkdiscard -f -z -o 768k -l 512k "$TARGET"
	check "$BLKFILTER/bin/nowait" "$TARGET" 2097152
	check cmp -n 512k -i 768k:0 "$TARGET" /dev/zero
}

# test_disk DISK
test_disk() {
	TARGET=$1
	local zeroes=write-zeroes secure=0
	[[ $(<"/sys/block/${TARGET##*/}/queue/write_zeroes_max_bytes") != 0 ]] || zeroes="write"
	blkdiscard -f -s -o 1M -l 4096 "$TARGET" 2>secure || secure=$?

	start_trace --device "$TARGET" --altitude 500
	exercise
	expect_status "$secure" blkdiscard -f -s -o 1M -l 4096 "$TARGET" 2>secure.filtered
	same "secure erase" secure secure.filtered
	seen "$TRACE" lines

	exec {LINES}<lines
	expect_next read 0 65536 sync
	expect_next write 1024 524288 sync
	expect_next write 2048 524288 sync
	expect_next write 64 4096 fua
	expect_next flush 0 0 preflush
	expect_next flush 0 0 preflush
	expect_next discard 1024 262144 sync
	expect_rest "$zeroes" 1536 524288
	expect_next read 4096 4096 nowait
	exec {LINES}<&-
}

load_module
test_disk "$DISK0"
test_disk "$DISK1"
test_disk "$DISK2"
