#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: copies before writes run side by side, those that adjoin in larger requests, a large one in several; their memory has a limit and is given back
# disks: virtio:64M virtio:64M
# timeout: 90
. "${0%/*}/../vm/lib.sh"

# stat_of DISK FIELD: 3 is sectors read, 5 writes, 7 sectors written.
stat_of() {
	awk -v field="$2" '{ print $field }' "/sys/block/${1##*/}/stat"
}

# preserved MIB COUNT: the store has what was there.
preserved() {
	check cmp <(dd if="$DISK1" bs=1M skip="$1" count="$2" iflag=direct status=none) \
		<(dd if=before bs=1M skip="$1" count="$2" status=none)
}

# free_memory: in KiB, without what the kernel would give back anyway.
free_memory() {
	echo 3 >/proc/sys/vm/drop_caches
	awk '$1 == "MemFree:" { print $2 }' /proc/meminfo
}

# is_back: most of 8 MiB.
is_back() {
	(($(free_memory) >= free - 4000))
}

# has_read: a good deal of what there is to copy.
has_read() {
	(($(stat_of "$DISK0" 3) - sectors >= 64 * 128))
}

load_module
load_module dm_mod
dd if=/dev/urandom of=before bs=1M count=64 status=none
dd if=before of="$DISK0" bs=1M oflag=direct status=none
check dmsetup create store --table "0 131072 linear $DISK1 0"

# 256 writes, each of a chunk, in bursts of 16.
start_filter places --device "$DISK0" --copy "$DISK1" --depth 512
writes=$(stat_of "$DISK1" 5) sectors=$(stat_of "$DISK1" 7)
check fio --name=adjoin --filename="$DISK0" --rw=write --bs=64k --size=16m --direct=1 --ioengine=libaio --iodepth=32 \
	--iodepth_batch=16 --iodepth_batch_complete_min=16 --output=adjoin.out
writes=$(($(stat_of "$DISK1" 5) - writes)) sectors=$(($(stat_of "$DISK1" 7) - sectors))
((sectors == 32768)) || fail "$sectors sectors were copied, not 32768"
((writes <= 128)) || fail "256 copies that adjoin made $writes requests"
preserved 0 16

# A copy of many pieces.
check blkdiscard -o $((16 << 20)) -l $((16 << 20)) "$DISK0"
preserved 16 16
stop_filter "$FILTER"

# 512 writes to as many chunks, while nothing gets into the store.
start_filter places --device "$DISK0" --copy /dev/mapper/store --depth 512
check dmsetup suspend --noflush --nolockfs store
sectors=$(stat_of "$DISK0" 3) free=$(free_memory)
fio --name=bounded --filename="$DISK0" --rw=write:60k --bs=4k --offset=32m --size=32m --number_ios=512 --direct=1 --ioengine=libaio \
	--iodepth=512 --iodepth_batch=64 --output=bounded.out &
fio=$!
wait_until 20 has_read
sleep 2
(($(stat_of "$DISK0" 3) - sectors <= 160 * 128)) || fail "$(($(stat_of "$DISK0" 3) - sectors)) sectors wait in memory"
check dmsetup resume store
wait "$fio" || fail "fio: $(<bounded.out)"
# Soon nobody has used that memory for a while.
wait_until 15 is_back
preserved 32 32
stop_filter "$FILTER"
check dmsetup remove store
grep -qx 'failed copies 0 mirrors 0' filter.1.out || fail "$(<filter.1.out)"
grep -qx 'failed copies 0 mirrors 0' filter.2.out || fail "$(<filter.2.out)"
