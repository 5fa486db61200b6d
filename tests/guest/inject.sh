#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: what a filter injects at 500 is seen at 100 and not at 500 or 900, whatever the operation, and unsplit; on hardware, dm, md
# disks: virtio:64M virtio:64M virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

# try DEVICE
try() {
	start_filter trace --device "$1" --altitude 900 --json
	local above=$FILTERS.out above_pid=$FILTER
	start_filter trace --device "$1" --altitude 100 --json
	local below=$FILTERS.out below_pid=$FILTER
	"$BLKFILTER/bin/inject" "$1" 500 1000 >inject.out || fail "$1: $(cat inject.out)"
	stop_filter "$below_pid"
	stop_filter "$above_pid"
	grep -q 'own 0 failed 0' inject.out || fail "$1: $(<inject.out)"
	! grep -q '"inject' "filter.$above" || fail "$1: seen above"
	local n
	n=$(grep -c '"injected"' "filter.$below")
	((n == 3007)) || fail "$1: $n injected requests seen below, not 3007"
}

load_module
echo 64 >"/sys/block/${DISK0##*/}/queue/max_sectors_kb"
try "$DISK0"
if command -v dmsetup >/dev/null && modprobe dm-mod; then
	dmsetup create linear --table "0 131072 linear $DISK0 0"
	try /dev/mapper/linear
	dmsetup remove linear
fi

# md sends bios on in place, to another disk.
if modprobe raid0; then
	check mdadm --create /dev/md0 --run --level=0 --raid-devices=2 --chunk=32 "$DISK1" "$DISK2" 2>mdadm.err
	wait_until 10 test -b /dev/md0
	[[ ! -w /sys/block/md0/queue/iostats ]] || echo 0 >/sys/block/md0/queue/iostats
	try /dev/md0
	check mdadm --stop /dev/md0 2>mdadm.err
fi

# Killed in the middle of it, nothing stays behind.
for _ in {1..10}; do
	"$BLKFILTER/bin/inject" "$DISK0" 500 kill >inject.out &
	victim=$!
	wait_until 10 grep -q all inject.out
	sleep "0.$((RANDOM % 3))"
	kill -KILL "$victim"
	wait "$victim" || true
done
pinned() {
	awk '/^nr_foll_pin_acquired/ { got = $2 } /^nr_foll_pin_released/ { back = $2 } END { exit got != back }' /proc/vmstat
}
wait_until 10 pinned
