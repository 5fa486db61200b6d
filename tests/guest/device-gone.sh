#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: disks that go while two filters serve a busy writer take their filters with them, and nothing hangs
# disks: virtio:64M nvme:64M scsi:64M
# timeout: 120
# kmsg: I/O error, dev |Buffer I/O error
. "${0%/*}/../vm/lib.sh"

# pull_out DISK CMD...: under fio, whose I/O then fails.
pull_out() {
	local disk=$1 upper lower fio status=0
	start_filter pass --device "$disk" --altitude 900
	upper=$FILTER
	start_filter events --device "$disk" --altitude 100
	lower=$FILTER
	fio --name=load --filename="$disk" --direct=1 --ioengine=libaio --iodepth=16 --bs=4k --rw=randwrite --size=32m \
		--time_based --runtime=60 --output=fio.out 2>&1 &
	fio=$!
	wait_until 40 have_seen "$disk" 100
	"${@:2}"
	wait_until 20 has_ended "$fio"
	wait_until 10 has_ended "$upper"
	wait_until 10 has_ended "$lower"
	wait "$upper" || fail "$disk: the upper filter's status is $?"
	wait "$lower" || fail "$disk: the lower filter's status is $?"
	wait "$fio" || status=$?
	((status != 0)) || fail "$disk: fio has not noticed"
	grep -qx "detached -19" "filter.$FILTERS.out" || fail "$disk: no event: $(<"filter.$FILTERS.out")"
	[[ -z $("$BLKFILTER/bin/bfuse" list) ]] || fail "$disk: still in the list"
}

has_ended() {
	! kill -0 "$1" 2>/dev/null
}

# have_seen DISK N: both filters, so much.
have_seen() {
	"$BLKFILTER/bin/bfuse" stat --json "$1" | sed -nE 's/.*"seen": *"?([0-9]+).*/\1/p' |
		awk -v n="$2" '$1 < n { few = 1 } END { exit few || NR != 2 }'
}

load_module
null=$(null_blk_create gone size=64 irqmode=2 completion_nsec=1000000)
pull_out "$null" null_blk_remove gone
pull_out "$DISK0" unplug 0
pull_out "$DISK1" unplug 1
pull_out "$DISK2" unplug 2
