#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a machine under load goes to sleep and comes back, though its disks' I/O needs a process, which then serves on
# disks: virtio:64M virtio:64M
# timeout: 180
# kernels: 6.1 6.12
# kmsg: PM: hibernation
. "${0%/*}/../vm/lib.sh"

# Nobody here can wake a machine that is off. One that is to hibernate does all that it does for sleep, and as there is no swap
# to write its image to, wakes up. On 7.3 it does, too, but nothing of this guest is heard after that, whose ports to the host slept
# as well.
grep -qw disk /sys/power/state || skip "this kernel does not hibernate"
! grep -q / < <(tail -n +2 /proc/swaps) || skip "this machine would go off"

images() {
	dmesg | grep -c 'Creating image' || true
}

go_to_sleep() {
	local before
	before=$(images)
	! echo disk >/sys/power/state 2>/dev/null || fail "it has found a place for its image"
	(($(images) == before + 1)) || fail "it does not go to sleep: $(dmesg | grep -iE -A 5 'freez|hibern' | tail -n 8)"
}

load_module
start_filter pass --device "$DISK0" --altitude 900
start_filter pass --device "$DISK0" --device "$DISK1" --altitude 100 --depth 4
check mkfs.ext4 -q "$DISK1"
mkdir mnt
check mount "$DISK1" mnt
: >writing
while [[ -e writing ]]; do
	[[ $("$BLKFILTER/bin/burst" "$DISK0" 200 1) == "ok 200 failed 0" ]] || exit 1
done &
writers=("$!")
while [[ -e writing ]]; do
	dd if=/dev/urandom of=mnt/file bs=64k count=16 conv=fsync status=none || exit 1
done &
writers+=("$!")

for _ in 1 2 3; do
	sleep 1
	go_to_sleep
done
sleep 1
rm writing
wait "${writers[@]}" || fail "a writer"
[[ $("$BLKFILTER/bin/burst" --verify "$DISK0" 200 1) == "ok 200 failed 0" ]] || fail "other data"
check umount mnt
check fsck.ext4 -fn "$DISK1" >/dev/null 2>&1
! "$BLKFILTER/bin/bfuse" list | grep pass | grep -qv live || fail "$("$BLKFILTER/bin/bfuse" list)"
