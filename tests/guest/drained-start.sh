#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: after a drained start nothing changes unseen: raw, with submitters that have no CPU, on dm, md, loop, and below file systems, which are frozen
# disks: virtio:16M virtio:16M virtio:32M nvme:64M
# timeout: 180
# smp: 2
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/drained.sh"

# start_writers DEVICE: several, on few CPUs.
start_writers() {
	local i
	: >writing
	WRITERS=()
	for i in 1 2 3 4; do
		while [[ -e writing ]]; do
			chrt -i 0 "$BLKFILTER/bin/burst" "$1" 200 "$i$RANDOM" >/dev/null || exit 1
		done &
		WRITERS+=("$!")
	done
}

end_writers() {
	rm writing
	wait "${WRITERS[@]}" || fail "a writer"
}

# starve: for some seconds the writers have no CPU.
starve() {
	local _
	for _ in 1 2 3; do
		timeout 4 bash -c 'while :; do :; done' &
	done
	sleep 0.2
}

# drain DEVICE GUARANTEE: while it is written to.
drain() {
	start_writers "$1"
	sleep 1
	[[ ! -e starving ]] || starve
	start_drained --drain 60000 "$1"
	[[ $GUARANTEE == "$2" ]] || fail "$1: guarantee '$GUARANTEE', error '$FAILED'"
	sleep 0.5
	end_writers
	end_drained
	((UNSEEN == 0)) || fail "$1: $UNSEEN blocks changed unseen"
	((CHANGED > 0)) || fail "$1: nothing was written"
}

# drain_file_system DEVICE MOUNTED: what is MOUNTED is on DEVICE.
drain_file_system() {
	check mkfs.ext4 -q -F "$2"
	mkdir -p mnt
	check mount "$2" mnt
	: >writing
	while [[ -e writing ]]; do
		dd if=/dev/urandom of="mnt/$((i++ % 4))" bs=64k count=16 conv=fsync status=none || exit 1
	done &
	WRITERS=("$!")
	sleep 1
	start_drained --drain 60000 "$1"
	[[ $GUARANTEE == 2 ]] || fail "$1: guarantee '$GUARANTEE', error '$FAILED'"
	sleep 1
	end_writers
	check umount mnt
	end_drained
	((UNSEEN == 0)) || fail "$1: $UNSEEN blocks changed unseen"
	((CHANGED > 0)) || fail "$1: nothing was written"
	check fsck.ext4 -fn "$2" >/dev/null 2>&1
}

load_module
: >starving
drain "$DISK0" 1
drain "$DISK0" 1
rm starving

# What a filter below has counts, too.
start_filter pass --device "$DISK0" --altitude 100 --depth 1 --queues 1
drain "$DISK0" 1
stop_filter "$FILTER"

i=0
drain_file_system "$DISK2" "$DISK2"
check sfdisk -q "$DISK3" <<<$'label: dos\nstart=2048,size=65536\nstart=67584\n'
wait_until 10 test -b "${DISK3}p1"
drain_file_system "${DISK3}p1" "${DISK3}p1"
drain_file_system "$DISK3" "${DISK3}p1"
# Nobody has to wait for what is not there.
start_drained --drain 60000 "${DISK3}p2"
[[ $GUARANTEE == 1 ]] || fail "guarantee '$GUARANTEE'"
end_drained

modprobe dm_mod
check dmsetup create line --table "0 32768 linear $DISK0 0"
drain "$(readlink -f /dev/mapper/line)" 1
check dmsetup remove line

load_module loop
truncate -s 16M file
loop=$(losetup -f --show file)
drain "$loop" 1
check losetup -d "$loop"

if modprobe raid0 && command -v mdadm >/dev/null; then
	check mdadm --quiet --build /dev/md7 --level=0 --raid-devices=2 --chunk=64 "$DISK0" "$DISK1"
	drain /dev/md7 1
	# Its driver must keep statistics.
	echo 0 >/sys/block/md7/queue/iostats
	start_drained --drain 5000 /dev/md7
	case $FAILED:$GUARANTEE in
	95: | :1) ;;
	*) fail "guarantee '$GUARANTEE', error '$FAILED'" ;;
	esac
	[[ -z $GUARANTEE ]] || end_drained
	check mdadm --quiet --stop /dev/md7
fi

# As users ask for it.
start_filter pass --drain --device "$DISK0" --altitude 700
grep -q ', drained$' "filter.$FILTERS.err" || fail "the filter says: $(<"filter.$FILTERS.err")"
start_filter pass --name idle --altitude 600 --attachable --device "$DISK1"
check "$BLKFILTER/bin/bfuse" attach "$DISK0" --filter idle --drain --drain-timeout 60000
(($("$BLKFILTER/bin/bfuse" events --past | grep -c 'drained: ') >= 2)) || fail "the log does not tell of it"
