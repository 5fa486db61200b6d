#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a disk that is removed while its partition is being deleted calls each filter once, and waits for the one that is being called
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/stations.sh"

load_module
disk=$(null_blk_create nullb0 size=64 memory_backed=1)
name=${disk##*/}
check sfdisk -q "$disk" <<<$'label: dos\nstart=2048,size=32768\n'
wait_until 10 test -b "${disk}p1"
start_station 500 --device "${disk}p1" --sleep 3000 --call 30000
start_station 100 --device "$disk" --call 30000
forget
partx -d --nr 1 "$disk" &
deleter=$!
wait_until 10 told "500 leaving ${name}p1" 1
null_blk_remove nullb0
wait "$deleter" || fail "the partition was not deleted"
expect_story "(leaving|done)" "500 leaving ${name}p1" "500 done ${name}p1" "100 leaving $name" "100 done $name"
wait "${STATION[500]}" || fail "station 500: $(<station.500.err)"
wait "${STATION[100]}" || fail "station 100: $(<station.100.err)"
wait_until 10 kept_by 0
