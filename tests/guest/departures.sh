#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: dm, loop and SCSI disks and partitions call their filters when they come and go, partitions before their disk, each alone where it goes alone
# disks: virtio:64M
# timeout: 180
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/stations.sh"

# leaves NAME STATUS CMD...: by falling altitude, and each may write; the command returns when all is over.
leaves() {
	local name=$1 status=$2
	forget
	check "${@:3}"
	expect_story "(leaving|wrote|torn-out)" \
		"900 leaving $name" "900 wrote $status" "500 leaving $name" "500 wrote $status" \
		"100 leaving $name" "100 wrote $status"
	wait_until 10 told "detached $name -19" 3
}

# arrives NAME CMD...: offered by rising altitude.
arrives() {
	local name=$1
	forget
	check "${@:2}"
	wait_until 10 told "attached $name\$" 3
	story "offered $name" | cut -d ' ' -f 1-4 >order
	diff order - <<-END || fail "$name: $(story '')"
	100 offered $name arriving
	500 offered $name arriving
	900 offered $name arriving
	END
}

load_module
load_module dm_mod
start_stations --match 'dm-*' --match 'loop[1-9]*' --match 'nullb*' --match 'sd*' --write 8

arrives dm-0 dmsetup create gone --table "0 65536 linear $DISK0 0"
check dd if=/dev/zero of="$DISK0" bs=4k count=2 oflag=direct status=none
leaves dm-0 0 dmsetup remove gone
[[ $(dd if="$DISK0" bs=4k skip=1 count=1 iflag=direct status=none | head -c 3) == bbb ]] ||
	fail "what was written when the dm device left is not there"

# A loop device arrives when its number is first used; switched off it stays.
load_module loop max_loop=0
truncate -s 16M file
arrives loop7 losetup /dev/loop7 file
check dd if=/dev/loop7 of=/dev/null bs=4k count=1 iflag=direct status=none
told " of loop7" 3 || fail "reads of loop7 were not seen: $(story '')"
check losetup -d /dev/loop7
told leaving 1 && fail "loop7 left when it was switched off: $(story leaving)"
leaves loop7 -22 rmmod loop

# Partitions, deleted alone and then with their disk.
stop_stations
start_stations --match 'nullb*' --partitions
disk=$(null_blk_create nullb0 size=64 memory_backed=1)
name=${disk##*/}
check sfdisk -q "$disk" <<<$'label: dos\nstart=2048,size=32768\nstart=40960,size=32768\n'
wait_until 10 told "attached ${name}p[12]\$" 6
told "offered $name " 1 && fail "rules for partitions match a disk: $(story offered)"
start_station 300 --device "$disk"
forget
check partx -d --nr 1 "$disk"
expect_story leaving "900 leaving ${name}p1" "500 leaving ${name}p1" "100 leaving ${name}p1"
forget
null_blk_remove nullb0
expect_story leaving "900 leaving ${name}p2" "500 leaving ${name}p2" "100 leaving ${name}p2" "300 leaving $name"
wait "${STATION[300]}"
stop_stations

# SCSI's own disk of memory.
start_stations --match 'sd*'
if modprobe scsi_debug dev_size_mb=16; then
	wait_until 20 told "attached sd[a-z]+\$" 3
	story offered | grep -qvE "^[0-9]+ offered sd[a-z]+ arriving disk 32768 [^ ]+ scsi_debug$" && fail "$(story offered)"
	wait_until 20 told " read 0\+" 3
	forget
	wait_until 20 rmmod scsi_debug
	story leaving | cut -d ' ' -f 1 | tr '\n' ' ' | grep -qx '900 500 100 ' || fail "$(story '')"
fi
stop_stations
wait_until 10 kept_by 0
