#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a read-only disk can be filtered; I/O past the end gets the block layer's own error and no filter sees it
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"

load_module
load_module dm_mod
load_module loop

check blockdev --setro "$DISK0"
start_trace --device "$DISK0"
check dd if="$DISK0" of=/dev/null bs=4k count=1 iflag=direct status=none
expect_status 1 dd if=/dev/zero of="$DISK0" bs=4k count=1 oflag=direct status=none
seen "$TRACE" lines 1-4
echo "read 0 4096 0" >expected
same "the read-only disk" expected lines

# dm does not notice that the loop below it has shrunk.
truncate -s 16M file
loop=$(losetup -f --show file)
check dmsetup create past --table "0 32768 linear $loop 0"
truncate -s 8M file
check losetup -c "$loop"
# past_end: the errors that dd gets.
past_end() {
	expect_status 1 dd if=/dev/mapper/past of=/dev/null bs=4k skip=2048 count=1 iflag=direct status=none 2>&1
	expect_status 1 dd if=/dev/zero of=/dev/mapper/past bs=4k seek=2047 count=2 oflag=direct status=none 2>&1
}
past_end >unfiltered
refusals=$(dmesg | grep -c 'attempt to access beyond end of device')
start_trace --device "$loop"
past_end >filtered
check dd if=/dev/mapper/past of=/dev/null bs=4k skip=2047 count=1 iflag=direct status=none
seen "$TRACE" lines 1-4
same "errors" unfiltered filtered
(($(dmesg | grep -c 'attempt to access beyond end of device') == 2 * refusals)) || fail "not the block layer's own error"
printf '%s 16376 4096 0\n' write read >expected
same "what is not past the end" expected lines
check dmsetup remove past
check losetup -d "$loop"
