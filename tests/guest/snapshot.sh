#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: examples/snapshot writes out the device as it was, while fio overwrites and discards; store on a file, on ext4, on a device, full, and somebody's
# disks: virtio:24M virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

# fill: random data, and their sum.
fill() {
	dd if=/dev/urandom of="$DISK0" bs=1M count=24 oflag=direct status=none
	sum=$(dd if="$DISK0" bs=1M iflag=direct status=none | sha256sum)
}

# start_load: overlapping writes of all sizes, and discards, from two sides, until it is killed.
start_load() {
	fio --thread --name=a --filename="$DISK0" --rw=randtrimwrite --bsrange=4k-256k --direct=1 --ioengine=libaio --iodepth=16 --size=24m \
		--time_based --runtime=60 --output=a.out &
	LOAD=($!)
	fio --thread --name=b --filename="$DISK0" --rw=randwrite --bsrange=512-64k --direct=1 --ioengine=libaio --iodepth=16 \
		--size=24m --time_based --runtime=60 --output=b.out &
	LOAD+=($!)
	local before
	before=$(writes)
	wait_until 20 has_written $((before + 200))
}

writes() {
	awk '{ print $5 }' "/sys/block/${DISK0##*/}/stat"
}

has_written() {
	(($(writes) >= $1))
}

# is_quiet: all threads of the load have heeded the signal, and what they had submitted is done. Twice: a request may be in neither.
is_quiet() {
	local state file
	for file in "${LOAD[@]/#//proc/}"; do
		for state in "$file"/task/*/stat; do
			[[ $(<"$state") == *') T '* ]] || return 1
		done
	done
	sleep 0.5
	[[ $(<"/sys/block/${DISK0##*/}/inflight") =~ ^\ *0\ +0$ ]]
}

# attempt STORE: an image under load, and what is in it.
attempt() {
	fill
	rm -f image
	start_load
	# The first changes come after the attach, or nobody would know what was there before.
	kill -STOP "${LOAD[@]}"
	wait_until 10 is_quiet
	fill
	"$BLKFILTER/bin/snapshot" "$DISK0" "$1" image >snapshot.out 2>snapshot.err &
	local snapshot=$!
	wait_until 10 grep -q attached snapshot.err
	kill -CONT "${LOAD[@]}"
	check wait "$snapshot"
	kill -KILL "${LOAD[@]}"
	wait "${LOAD[@]}" || true
	[[ $(sha256sum <image) == "$sum" ]] || fail "$1: the image is not what was there: $(<snapshot.out)"
	grep -q ', [1-9][0-9]* of them from the store' snapshot.out || fail "$1: nothing was preserved: $(<snapshot.out)"
	cat snapshot.out
}

load_module
attempt store
attempt "$DISK1"

# refused DEVICE STORE: at once, before any change has to wait.
refused() {
	rm -f image
	expect_status 2 "$BLKFILTER/bin/snapshot" "$1" "$2" image >snapshot.out 2>snapshot.err
	grep -q 'choose a store on another disk' snapshot.err || fail "$(<snapshot.err)"
	[[ ! -e image ]] || fail "refused, and yet there is an image"
}

for image in store "$DISK0"; do
	expect_status 2 "$BLKFILTER/bin/snapshot" "$DISK0" store "$image" 2>snapshot.err
	grep -q 'choose another image' snapshot.err || fail "$(<snapshot.err)"
done
start_filter pass --device "$DISK0" --altitude 300
for ((round = 0; round < 20; round++)); do
	expect_status 6 "$BLKFILTER/bin/snapshot" "$DISK0" store image 2>snapshot.err
done
stop_filter
[[ $(sha256sum <image) == "$sum" ]] || fail "a snapshot that was not begun has cost the last one"

# in_use STORE IMAGE: what somebody else has is not overwritten.
in_use() {
	expect_status 1 "$BLKFILTER/bin/snapshot" "$DISK0" "$1" "$2" 2>snapshot.err
	grep -q 'in use' snapshot.err || fail "$(<snapshot.err)"
}

mkdir mnt
printf ',40M\n,\n' | check sfdisk -q "$DISK1"
wait_until 10 test -b "${DISK1}2"
mkfs -t ext4 -q "${DISK1}1"
check mount "${DISK1}1" mnt
refused "${DISK1}1" mnt/store
refused "$DISK1" mnt/store
refused "${DISK1}2" mnt/store
expect_status 2 "$BLKFILTER/bin/snapshot" "$DISK0" mnt/store "${DISK1}1" 2>snapshot.err
grep -q 'choose another image' snapshot.err || fail "$(<snapshot.err)"
refused "$DISK1" "${DISK1}2"
refused "${DISK1}2" "$DISK1"
in_use "${DISK1}1" image
in_use store "${DISK1}1"
expect_status 2 "$BLKFILTER/bin/snapshot" "$DISK0" "${DISK1}2" "$DISK1" 2>snapshot.err
grep -q 'choose another image' snapshot.err || fail "$(<snapshot.err)"
check umount mnt
check wipefs -qa "$DISK1"
check blockdev --rereadpt "$DISK1"

mkfs -t ext4 -q "$DISK1"
check mount "$DISK1" mnt
attempt mnt/store
check umount mnt

# overflow STORE WORDS: a store that is full costs the snapshot, and no write.
overflow() {
	fio --thread --name=c --filename="$DISK0" --rw=randwrite --bs=64k --direct=1 --ioengine=libaio --iodepth=16 --size=24m \
		--time_based --runtime=$((6 * SLOWNESS)) --output=c.out &
	local load=$!
	wait_until 20 has_written $(($(writes) + 20))
	expect_status 1 timeout $((20 * SLOWNESS)) "$BLKFILTER/bin/snapshot" "$DISK0" "$1" image >snapshot.out 2>snapshot.err
	grep -q "$2" snapshot.err || fail "$(<snapshot.err)"
	wait "$load" || fail "fio: $(<c.out)"
}

mkdir small
mount -t tmpfs -o size=256k none small
overflow small/store 'the store failed'
check umount small
load_module dm_mod
check dmsetup create lower --table "0 4096 linear $DISK0 0"
check dmsetup create upper --table "0 4096 linear /dev/mapper/lower 0"
refused "$DISK0" /dev/mapper/upper
check dmsetup remove upper
check dmsetup remove lower
check dmsetup create tiny --table "0 1024 linear $DISK1 0"
overflow /dev/mapper/tiny 'the store is full'

# Detached before the image is done, it can't vouch for it.
check dmsetup create slow --table "0 49152 linear $DISK1 65536"
check dmsetup suspend --noflush --nolockfs slow
"$BLKFILTER/bin/snapshot" "$DISK0" store /dev/mapper/slow >snapshot.out 2>snapshot.err &
snapshot=$!
wait_until 10 grep -q attached snapshot.err
mv snapshot.err first.err
in_use store other
in_use other /dev/mapper/slow
mv first.err snapshot.err
check "$BLKFILTER/bin/bfuse" detach "$DISK0"
check dmsetup resume slow
expect_status 1 wait "$snapshot"
grep -q 'not seen' snapshot.err || fail "$(<snapshot.err)"
check dmsetup remove slow
check dmsetup remove tiny
