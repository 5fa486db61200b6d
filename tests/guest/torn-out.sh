#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: an NVMe disk that is torn out under load calls its filters by rising altitude, and what is parked in one fails in its turn, before the next is called
# disks: nvme:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/stations.sh"

name=${DISK0##*/}
function=$(realpath "/sys/block/$name/device/device")
port=${function%/*}

# tear_out: the port no longer knows of a bus behind it, so the driver finds nobody there when it looks.
tear_out() {
	printf '\377\377' | dd of="$port/config" bs=1 seek=25 conv=notrunc status=none
	[[ $(od -An -tx2 -N2 "$function/config") == ' ffff' ]] || fail "the disk is still there"
	echo 1 >"$function/remove"
}

submit() {
	local status=0
	dd if="$DISK0" of=/dev/null bs=4k skip=3 count=1 iflag=direct status=none 2>submit.err || status=$?
	((status)) || fail "a parked read succeeded"
	echo "0 the parked read failed" >>stories
}

# Long enough for a program to end in.
pause=$((SLOWNESS > 1 ? 5000 : 1500))
load_module
start_station 100 --device "$DISK0" --sleep "$pause" --call 30000
start_station 500 --device "$DISK0" --sleep "$pause" --call 30000 --park --deadline 60000
start_station 900 --device "$DISK0" --sleep "$pause" --call 30000
submit &
reader=$!
# And many more, from before to after.
(while dd if="$DISK0" of=/dev/null bs=64k iflag=direct status=none; do :; done) 2>/dev/null &
load=$!
wait_until 10 told "500 read 24\+4096" 1

tear_out
wait "$reader" || fail "$(<submit.err)"
wait "$load"
expect_story "torn-out|leaving|done" "100 torn-out $name" "100 done $name" "500 torn-out $name" "500 done $name" \
	"900 torn-out $name" "900 done $name"
# It fails before 900 is called; which of the two processes says so first is open.
expect_story "500 done|parked|900 done" "500 done $name" "the parked read failed" "900 done $name"
for altitude in "${STATIONS[@]}"; do
	wait_until 10 told "$altitude detached $name -19" 1
	wait "${STATION[$altitude]}" || fail "station $altitude: $(<"station.$altitude.err")"
done
"$BLKFILTER/bin/bfuse" events --past | grep -c "torn out: the device is gone" | grep -qx 3 ||
	fail "$("$BLKFILTER/bin/bfuse" events --past)"
wait_until 10 kept_by 0
