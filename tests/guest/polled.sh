#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: polled I/O of an nvme disk with poll queues works through two filters, which see it as polled
# disks: nvme:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"

# Only a controller that is found with poll queues has them.
controller=$(basename "$(realpath "/sys/block/${DISK0##*/}/device/device")")
echo 1 >/sys/module/nvme/parameters/poll_queues
echo "$controller" >/sys/bus/pci/drivers/nvme/unbind
echo "$controller" >/sys/bus/pci/drivers/nvme/bind
wait_until 10 test -b "$DISK0"
[[ $(<"/sys/block/${DISK0##*/}/queue/io_poll") == 1 ]] || skip "the disk can't be polled on this kernel"

load_module
start_trace --device "$DISK0" --altitude 900
start_filter pass --device "$DISK0" --altitude 100
check fio --filename="$DISK0" --direct=1 --bs=4k --size=64m --output=fio.out \
	--name=uring --ioengine=io_uring --hipri=1 --iodepth=4 --rw=randrw --io_size=1m --verify=crc32c --verify_fatal=1 \
	--name=sync --stonewall --ioengine=pvsync2 --hipri=1 --rw=randread --io_size=256k
seen "$TRACE" lines
polled=$(grep -c ',polled,' lines)
echo "$polled polled requests"
# 256 written and verified or read, and 64.
((polled >= 256 + 64)) || fail "only $polled polled requests seen"
! awk '$4 != 0' lines | grep . || fail "requests have failed"
stop_filter "$FILTER"

# What a polled write becomes when its data are changed is not polled.
start_filter involute --device "$DISK0"
check fio --filename="$DISK0" --direct=1 --bs=4k --size=64m --output=fio.out \
	--name=uring --ioengine=io_uring --hipri=1 --iodepth=4 --rw=randrw --io_size=1m --verify=crc32c --verify_fatal=1
stop_filter "$FILTER"
