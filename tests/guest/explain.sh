#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: "bfuse explain" says for each filter, in order, what crosses, what doesn't and why, also for a dead or stopped one
# disks: virtio:64M
# timeout: 60
. "${0%/*}/../vm/lib.sh"

explains() {
	"$BLKFILTER/bin/bfuse" explain "${2-$DISK0}" >out || fail "explain: status $?"
	grep -qE "$1" out || fail "no '$1' in: $(<out)"
}

load_module
expect_status 5 "$BLKFILTER/bin/bfuse" explain none 2>err
expect_status 5 "$BLKFILTER/bin/bfuse" explain /dev/none 2>err
expect_status 2 "$BLKFILTER/bin/bfuse" explain 2>err
explains 'nothing crosses, no filter is attached'
explains 'hook is not active'
explains 'passthrough'

echo 'start=2048' | check sfdisk -q "$DISK0"
start_filter protect --device "$DISK0" --altitude 300 --range 0+8
protect=$FILTER
start_filter trace --device "${DISK0}1" --altitude 10
explains "${DISK0##*/} +300 +protect +.*write.* +yes +wanted"
explains "${DISK0##*/} +300 +protect +.*read.* +no +of no interest"
explains "own process, $protect"
explains 'live; policy error: when 30000 ms late'
explains 'so far [0-9]+ seen, [0-9]+ bypassed, 0 delivered'
explains 'hook is active, for 2 attachments'
# The partition's filter comes first, whatever the altitude.
explains "${DISK0##*/}1 +10 +trace .* yes" "${DISK0}1"
awk '/ protect /{ p = NR } / trace /{ t = NR; if (p) exit 1 } END { exit !(p && t) }' out || fail "not in order: $(<out)"
# The same by the kernel's name.
explains "${DISK0##*/} +300 +protect" "${DISK0##*/}1"
"$BLKFILTER/bin/bfuse" explain --json "${DISK0}1" | grep -q '"crosses": *"yes"' || fail "no JSON"

kill -KILL "$protect"
wait "$protect" || true
explains 'protect .* fails +the filter died; policy error'
! grep -q 'protect .*own process' out || fail "a dead process has I/O: $(<out)"
check "$BLKFILTER/bin/bfuse" detach "$DISK0" --altitude 300 --wait
