#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a ciphering filter is killed again and again under load; with policy hold its successors lose nothing, with error nothing leaks
# disks: virtio:64M
# timeout: 180
. "${0%/*}/../vm/lib.sh"

start_cipher() {
	start_filter involute --device "$DISK0" --depth 16 --policy "$@"
}

load_module
start_cipher hold --hold 60000
fio --name=verify --filename="$DISK0" --bsrange=4k-256k --rw=randrw --size=64m --io_size=96m --verify=crc32c --verify_fatal=1 \
	--ioengine=libaio --iodepth=16 --direct=1 --output=fio.out &
fio=$!
kills=0
while kill -0 "$fio" 2>/dev/null; do
	sleep "0.$((RANDOM % 8 + 1))"
	kill -KILL "$FILTER"
	wait "$FILTER" || true
	kills=$((kills + 1))
	start_cipher hold --hold 60000
done
wait "$fio" || fail "fio: status $?: $(tail -n 5 fio.out)"
((kills >= 5)) || fail "only $kills kills"
grep -hq 'took over' filter.*.err || fail "no successor took anything over"
stop_filter "$FILTER"

# What was on its way up when the filter died must not be taken for data.
start_cipher error
check dd if=/dev/zero of="$DISK0" bs=64k count=16 oflag=direct status=none
(
	while dd if="$DISK0" bs=64k count=16 iflag=direct status=none 2>/dev/null; do :; done | tr -d '\0' | head -c 1 >leak.out
) &
reader=$!
sleep 0.5
kill -KILL "$FILTER"
wait "$FILTER" || true
wait "$reader" || true
[[ ! -s leak.out ]] || fail "ciphertext was read as data"
check "$BLKFILTER/bin/bfuse" detach "$DISK0" --altitude 900 --wait
