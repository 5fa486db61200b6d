#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: an NVMe disk that is torn out under load calls its filters by rising altitude, and what is parked in one fails in its turn
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

now() {
	cut -d ' ' -f 1 /proc/uptime
}

# when WORDS: the time of that line.
when() {
	sort -n station.100 station.500 station.900 | grep -E -m 1 -- "$1" | cut -d ' ' -f 1
}

# in_order TIME...
in_order() {
	printf '%s\n' "$@" | sort -nc 2>/dev/null || fail "times are not in order: $*: $(story '')"
}

submit() {
	local status=0
	dd if="$DISK0" of=/dev/null bs=4k skip=3 count=1 iflag=direct status=none 2>submit.err || status=$?
	now >failed
	((status)) || fail "a parked read succeeded"
}

load_module
start_station 100 --device "$DISK0" --sleep 500
start_station 500 --device "$DISK0" --sleep 500 --park --deadline 60000
start_station 900 --device "$DISK0" --sleep 500
submit &
reader=$!
# And many more, of which no station says anything, from before to after.
(while dd if="$DISK0" of=/dev/null bs=64k iflag=direct status=none; do :; done) 2>/dev/null &
wait_until 10 told "500 read 24\+4096" 1

tear_out
wait "$reader" || fail "$(<submit.err)"
wait
expect_story "torn-out|leaving" "100 torn-out $name" "500 torn-out $name" "900 torn-out $name"
# Half a second passes between a call and its answer.
in_order "$(when '^[^ ]* 500 torn-out')" "$(<failed)" "$(when '^[^ ]* 900 torn-out' | awk '{ print $1 + 0.5 }')"
for altitude in "${STATIONS[@]}"; do
	wait_until 10 told "$altitude detached $name -19" 1
	wait "${STATION[$altitude]}" || fail "station $altitude: $(<"station.$altitude.err")"
done
"$BLKFILTER/bin/bfuse" events --past | grep -c "torn out: the device is gone" | grep -qx 3 ||
	fail "$("$BLKFILTER/bin/bfuse" events --past)"
wait_until 10 kept_by 0
