#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter that does not answer when a device comes or goes, or dies over it, holds nothing up beyond its limit; wrong answers are refused
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/stations.sh"

BFUSE=$BLKFILTER/bin/bfuse

milliseconds() {
	local up rest
	read -r up rest </proc/uptime
	echo "$((10#${up/./} * 10))"
}

# takes FROM TO CMD...: so many milliseconds.
takes() {
	local from=$1 to=$2 start spent
	start=$(milliseconds)
	check "${@:3}"
	spent=$(($(milliseconds) - start))
	((spent >= from && spent <= to)) || fail "${*:3}: took $spent ms, not $from to $to"
}

create() {
	null_blk_create nullb0 size=16 >path
}

# unanswered ALTITUDE: how often, as bfuse shows it.
unanswered() {
	"$BFUSE" list --filters | awk -v altitude="$1" '$1 == altitude { print $NF }'
}

limit=$((SLOWNESS > 1 ? 10000 : 3000))
load_module
check "$BLKFILTER/bin/answers" "$DISK0"
load_module null_blk nr_devices=0
start_station 100 --match 'nullb*' --call "$limit"
start_station 500 --match 'nullb*' --call "$limit"
start_station 900 --match 'nullb*' --call 30000

# Stopped when a device comes: it goes on without that one.
kill -STOP "${STATION[500]}"
takes $((limit - 50)) $((limit + 5000)) create
name=$(<path)
name=${name##*/}
wait_until 5 told "attached $name" 2
[[ $(unanswered 500) == 1 && $(unanswered 100) == 0 ]] || fail "$("$BFUSE" list --filters)"
"$BFUSE" events --past | grep -q "$name  500  station  unanswered for $limit ms" || fail "$("$BFUSE" events --past)"
"$BFUSE" list | grep -q "$name *500 " && fail "attached without an answer: $("$BFUSE" list)"
kill -CONT "${STATION[500]}"
takes 0 $((limit - 50)) null_blk_remove nullb0

# Stopped when a device goes, with a request in hand.
create
wait_until 5 told "attached $name" 3
wait_until 10 told "read 0\+" 3
kill -STOP "${STATION[100]}"
dd if="$(<path)" of=/dev/null bs=4k count=1 iflag=direct status=none &
reader=$!
sleep 0.5
takes $((limit - 50)) $((limit + 6000)) null_blk_remove nullb0
wait "$reader" || fail "a read of a disk that leaves regularly failed"
kill -CONT "${STATION[100]}"
[[ $(unanswered 100) == 1 ]] || fail "$("$BFUSE" list --filters)"
stop_stations

# It dies over the question: nobody waits for the limit.
start_station 500 --match 'nullb*' --call 30000 --die offered
start_station 900 --match 'nullb*' --call 30000 --die leaving
takes 0 20000 create
wait_until 5 told "900 attached $name" 1
takes 0 20000 null_blk_remove nullb0
"$BFUSE" events --past | grep -q "$name  500  station  unanswered: it died meanwhile" || fail "$("$BFUSE" events --past)"
"$BFUSE" events --past | grep -q "$name  900  station  unanswered: it died meanwhile" || fail "$("$BFUSE" events --past)"
wait_until 10 kept_by 0
