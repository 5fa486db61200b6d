#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: rules by name, serial number, model and kind; a new version takes over what its rules match; who makes a device come is not asked
# disks: virtio:64M nvme:64M scsi:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/stations.sh"

# takes NAMES ARG...: a station with these rules is on these devices, and no others.
takes() {
	local want=$1 got
	forget
	start_station 500 "${@:2}"
	got=$("$BLKFILTER/bin/bfuse" list --json | sed -nE 's/.*"device": *"([^"]*)".*/\1/p' | sort | tr '\n' ' ')
	[[ ${got% } == "$want" ]] || fail "${*:2}: filters '$got', not '$want': $(story '')"
	stop_filter "${STATION[500]}"
}

load_module
virtio=${DISK0##*/}
nvme=${DISK1##*/}
scsi=${DISK2##*/}
check sfdisk -q "$DISK1" <<<$'label: dos\nstart=2048,size=32768\nstart=40960,size=32768\n'
wait_until 10 test -b "${DISK1}p2"

takes "$virtio" --match "$virtio"
takes "$virtio" --match-serial DISK0
takes "$nvme" --match-serial 'DISK[13-9]'
takes "$scsi" --match-serial '*2'
takes "$nvme" --match-model 'QEMU NVMe Ctrl'
takes "$scsi" --match '*' --match-model 'QEMU HARDDISK'
takes "$nvme $scsi" --match 'nvme*' --match 'sd*'
takes "${nvme}p1 ${nvme}p2" --match 'nvme*' --partitions
takes "${nvme}p2" --partitions --match-serial DISK1 --match '*p2'
takes "" --match 'nvme*' --match-serial DISK0

# A process without privileges takes what a privileged one made rules for, and is asked when it goes.
confined() {
	forget
	start_station 500 --match "$nvme" --confine
	told "500 attached $nvme\$" 1 || wait_until 5 told "500 attached $nvme\$" 1
	check dd if="$DISK1" of=/dev/null bs=4k count=1 iflag=direct status=none
	wait_until 5 told "500 read 0\+4096 of $nvme" 1
	unplug 1
	wait_until 20 told "500 detached $nvme -19" 1
	told "500 leaving $nvme\$" 1 || fail "$(story '')"
	monitor "device_add nvme,bus=port1,id=disk1,drive=disk1,serial=DISK1"
	wait_until 20 told "500 attached $nvme\$" 2
	stop_filter "${STATION[500]}"
	wait_until 10 test -b "${DISK1}p2"
}
confined

# Live upgrade: from one moment to the next the disks are the new one's, and what comes then is, too.
start_station 500 --match 'nvme*' --match 'sd*'
old=${STATION[500]}
start_station 500 --match 'nvme*' --match 'sd*' --replace
"$BLKFILTER/bin/bfuse" list | grep -c " ${STATION[500]} " | grep -qx 2 || fail "$("$BLKFILTER/bin/bfuse" list)"
stop_filter "$old"
"$BLKFILTER/bin/bfuse" list | grep -c " live " | grep -qx 2 || fail "$("$BLKFILTER/bin/bfuse" list)"
stop_filter "${STATION[500]}"

# Its own process makes the device come and go: its thread could be the one that waits.
load_module loop max_loop=0
truncate -s 1M file
start=$SECONDS
check "$BLKFILTER/bin/answers" --own 21
((SECONDS - start < 20)) || fail "a filter has waited for itself"
wait_until 10 kept_by 0
