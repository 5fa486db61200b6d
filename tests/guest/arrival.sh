#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: disks leave by falling altitude and arrive by rising altitude, before their first request; what filters inject at the end is written
# disks: virtio:64M nvme:64M scsi:64M
# timeout: 180
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/stations.sh"

PLUG=(
	"virtio-blk-pci,bus=port0"
	"nvme,bus=port1"
	"scsi-hd,bus=scsi.0"
)

# pull_out N STATUS: DISKN, to which each station writes in its last moment with this status.
pull_out() {
	local disk=DISK$1 name
	name=${!disk##*/}
	forget
	unplug "$1"
	wait_until 30 told "detached $name -19" 3
	expect_story "leaving|wrote|injected" \
		"900 leaving $name" "500 injected 8+4096 of $name from above" "100 injected 8+4096 of $name from above" "900 wrote $2" \
		"500 leaving $name" "100 injected 8+4096 of $name from above" "500 wrote $2" \
		"100 leaving $name" "100 wrote $2"
}

# put_in N: DISKN, and nobody has read it before all stations could say no.
put_in() {
	local disk=DISK$1 name
	name=${!disk##*/}
	forget
	monitor "device_add ${PLUG[$1]},id=disk$1,drive=disk$1,serial=DISK$1"
	wait_until 30 told "read 0\+[0-9]+ of $name" 3
	"$BLKFILTER/bin/bfuse" events --past | grep "  $name  " | tail -n 6 | awk '{ print $4, $6 }' >order
	diff order - <<-END || fail "$name: $("$BLKFILTER/bin/bfuse" events --past)"
	100 offered
	100 attached,
	500 offered
	500 attached,
	900 offered
	900 attached,
	END
	story "offered|read 0" | cut -d ' ' -f 1-3 | sed 's/ 0+[0-9]*$/ 0+/' | head -n 6 >order
	diff order - <<-END || fail "$name: $(story '')"
	100 offered $name
	500 offered $name
	900 offered $name
	900 read 0+
	500 read 0+
	100 read 0+
	END
	told "offered $name arriving disk 131072 DISK$1 " 3 || fail "$name: $(story offered)"
}

load_module
start_stations --match "${DISK0##*/}" --match 'nvme*' --match 'sd*' --write 8
for n in 0 1 2; do
	disk=DISK$n
	told "offered ${!disk##*/} existing disk 131072 DISK$n " 3 || fail "DISK$n: $(story offered)"
	told "attached ${!disk##*/}\$" 3 || fail "DISK$n: $(story attached)"
done

# SCSI refuses all I/O from the moment that it was told to delete a disk.
for n in 0 1 2; do
	disk=DISK$n
	status=0
	((n < 2)) || status=-19
	pull_out "$n" "$status"
	put_in "$n"
	((status)) || [[ $(dd if="${!disk}" bs=4k skip=1 count=1 iflag=direct status=none | head -c 3) == bbb ]] ||
		fail "DISK$n: what was written last is not there"
done

stop_stations
"$BLKFILTER/bin/bfuse" events --past >past
for words in "offered" "leaving" "attached" "detached: the device was removed"; do
	grep -q " $words" past || fail "bfuse events does not tell of \"$words\": $(<past)"
done
wait_until 10 kept_by 0
