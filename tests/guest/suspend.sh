#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a machine that is suspended under load goes to sleep and comes back, though its disk's I/O needs a process, which then serves on
# disks: virtio:64M virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

grep -qw freeze /sys/power/state || skip "this kernel does not suspend to idle"
clock=/sys/class/rtc/rtc0
[[ -w $clock/wakealarm ]] || modprobe rtc_cmos 2>/dev/null || true
[[ -w $clock/wakealarm ]] || skip "no clock that can wake this machine"

# sleep_for SECONDS
sleep_for() {
	echo 0 >"$clock/wakealarm"
	echo "+$1" >"$clock/wakealarm"
	echo freeze >/sys/power/state
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

for round in 1 2 3; do
	sleep 1
	start=$EPOCHSECONDS
	sleep_for 4 || fail "round $round: the machine does not go to sleep: $(dmesg | grep -A 3 -i 'freezing' | tail -n 4)"
	((EPOCHSECONDS - start >= 3)) || fail "round $round: it did not sleep"
done
sleep 1
rm writing
wait "${writers[@]}" || fail "a writer"
[[ $("$BLKFILTER/bin/burst" --verify "$DISK0" 200 1) == "ok 200 failed 0" ]] || fail "other data"
check umount mnt
check fsck.ext4 -fn "$DISK1" >/dev/null 2>&1
! "$BLKFILTER/bin/bfuse" list | grep pass | grep -qv live || fail "$("$BLKFILTER/bin/bfuse" list)"
