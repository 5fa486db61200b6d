#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: marks that are kept for later outlive that their device shrinks and grows again
# disks: virtio:64M
. "${0%/*}/../vm/lib.sh"

# resize BYTES
resize() {
	resize_disk 0 "$1"
	wait_until 20 has_bytes "$1"
}

has_bytes() {
	(($(blockdev --getsize64 "$DISK0") == $1))
}

# marked COMMAND WANTED: in the generation that it ends.
marked() {
	local line
	echo "$1" >&"${MARKS[1]}"
	read -r -t 20 line <&"${MARKS[0]}" || fail "no answer to $1: $(<marks.err)"
	[[ $line == "$2" ]] || fail "$1: $line, not $2"
}

# 64 KiB are 128 sectors.
load_module
coproc MARKS { exec "$BLKFILTER/bin/mark-list" "$DISK0" 16 2>marks.err; }
pid=$MARKS_PID
read -r -t 20 line <&"${MARKS[0]}"
[[ $line == ready ]] || fail "$line: $(<marks.err)"
check dd if=/dev/zero of="$DISK0" oflag=direct bs=4k seek=8480 count=1 status=none
check dd if=/dev/zero of="$DISK0" oflag=direct bs=4k seek=16383 count=1 status=none
marked switch "67840+128 130944+128 ."
resize 33882112
marked merge "67840+128 130944+128 ."

# From here on generations have the size of the small device, 517 chunks.
marked merge "66176+end ."
check dd if=/dev/zero of="$DISK0" oflag=direct bs=4k count=1 status=none
resize 67108864
marked merge "0+128 66176+end ."
marked merge "0+128 66176+end ."

# Nothing but what was unknown is taken for changed.
marked switch "."
eval "exec ${MARKS[1]}>&-"
wait "$pid" || fail "$(<marks.err)"
