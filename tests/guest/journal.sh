#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: the journal filter, in one loop of io_uring or of epoll and libaio, has a line for each write first, or the write fails
# disks: virtio:128M virtio:64M
# timeout: 150
. "${0%/*}/../vm/lib.sh"

# start_journal DISK LOG ARG...
start_journal() {
	start_filter journal --device "$1" --log "$2" "${@:3}"
}

# lines FILE: of its journal.
lines() {
	grep -c . "$1" || true
}

# writes COUNT SEEK: one after the other, a block each.
writes() {
	dd if=/dev/zero of="$DISK1" bs=4k count="$1" seek="$2" oflag=direct status=none
}

# ticks: of CPU time, that the journal has had.
ticks() {
	awk '{ print $14 + $15 }' "/proc/$FILTER/stat"
}

load_module
check mkfs.ext4 -q "$DISK0"
mkdir mnt
check mount "$DISK0" mnt

for with in uring aio; do
	start_journal "$DISK1" "mnt/$with" --with "$with"
	check writes 200 100
	(($(lines "mnt/$with") == 200)) || fail "$with: $(lines "mnt/$with") lines when 200 writes are done"
	before=$(ticks)
	sleep 2
	(($(ticks) - before < 20)) || fail "$with: $(($(ticks) - before)) ticks of CPU time in 2 s without a request"
	expect_status 1 "$BLKFILTER/bin/journal" --device "$DISK0" --log "mnt/$with" 2>journal.err
	grep -q 'another journal' journal.err || fail "$(<journal.err)"
	check fio --name=v --filename="$DISK1" --rw=randrw --bs=4k --size=4m --direct=1 --ioengine=libaio --iodepth=16 \
		--verify=crc32c --verify_fatal=1 --output-format=terse >/dev/null
	stop_filter
	count=$(lines "mnt/$with")
	((count > 700)) || fail "$with: only $count lines"
	[[ $(<"filter.$FILTERS.out") == "$count lines, with "* ]] || fail "$with: $(<"filter.$FILTERS.out"), not $count"
	grep -vqxE ' *[0-9]+ +[0-9]+ [a-z-]+ +[0-9]+ +[0-9]+ *' <(grep . "mnt/$with") && fail "$with: a bad line"
	(($(awk '$4 >= 800 && $4 < 2400' "mnt/$with" | wc -l) >= 200)) || fail "$with: lines are missing"
done

# It is no journal of the disk that it is on, nor is that disk one.
expect_status 2 "$BLKFILTER/bin/journal" --device "$DISK0" --log mnt/own
expect_status 1 "$BLKFILTER/bin/journal" --device "$DISK1" --log "$DISK0" 2>journal.err
grep -q 'is no file' journal.err || fail "$(<journal.err)"
load_module loop
truncate -s 8M mnt/image
loop=$(losetup -f --show mnt/image)
check mkfs.ext4 -q "$loop"
mkdir mnt/loop
check mount "$loop" mnt/loop
expect_status 2 "$BLKFILTER/bin/journal" --device "$DISK0" --log mnt/loop/own
check umount mnt/loop
check losetup -d "$loop"
rm mnt/image

# It is appended to; and leaves in good order when its terminal goes.
start_journal "$DISK1" mnt/uring
check writes 1 0
kill -HUP "$FILTER"
wait "$FILTER" || fail "status $? after SIGHUP"
check writes 1 0
[[ -z $("$BLKFILTER/bin/bfuse" list) ]] || fail "$("$BLKFILTER/bin/bfuse" list)"
(($(lines mnt/uring) > 701)) || fail "the journal was not appended to"

# Standard error that takes nothing is not for the disk to wait for.
mkfifo full
exec {pipe}<>full
head -c 65536 /dev/zero >&$pipe
"$BLKFILTER/bin/journal" --device "$DISK1" --log mnt/aio >/dev/null 2>full &
FILTER=$!
FILTER_PIDS+=("$FILTER")
is_there() {
	[[ $("$BLKFILTER/bin/bfuse" list) ]]
}
wait_until 10 is_there
check timeout 10 dd if=/dev/zero of="$DISK1" bs=4k count=1 oflag=direct status=none
stop_filter
exec {pipe}>&-

# Times are those of the clock on the wall.
age=$(($(date +%s) - $(awk 'NF { at = int($1 / 1000000000) } END { print at }' mnt/aio)))
((age >= 0 && age < 60)) || fail "$age s ago: $(tail -n 1 mnt/aio)"

# A line that can't be written is a write that fails.
for bytes in 1M 4k 4k; do
	# What it reserved for its own use ext4 gives back when it has written.
	dd if=/dev/zero of=mnt/fill bs="$bytes" oflag=append conv=notrunc,fsync status=none 2>/dev/null || true
	check sync
done
start_journal "$DISK1" mnt/full
expect_status 1 writes 1 0
stop_filter
rm mnt/fill

# Without io_uring it does as well. Not all kernels have the switch.
if [[ -e /proc/sys/kernel/io_uring_disabled ]]; then
	echo 2 >/proc/sys/kernel/io_uring_disabled
	start_journal "$DISK1" mnt/without
	grep -q 'with libaio instead' "filter.$FILTERS.err" || fail "$(<"filter.$FILTERS.err")"
	check writes 10 0
	stop_filter
	(($(lines mnt/without) == 10)) || fail "$(lines mnt/without) lines"
	echo 0 >/proc/sys/kernel/io_uring_disabled
fi
check umount mnt
check fsck.ext4 -fn "$DISK0"

# What btrfs has on its disks has no number of any of them.
if modprobe btrfs; then
	check mkfs.btrfs -q -f "$DISK0"
	check mount "$DISK0" mnt
	expect_status 2 "$BLKFILTER/bin/journal" --device "$DISK0" --log mnt/own
	check umount mnt
fi
