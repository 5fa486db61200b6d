#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a loop device keeps its filter when its file is exchanged, taken away and replaced by another
# timeout: 90
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"

# contents FILE TEXT: blocks of it.
contents() {
	yes "$2" | head -c 1048576 >"$1" || true
}

# first_word DEVICE
first_word() {
	dd if="$1" bs=4k count=1 iflag=direct status=none | head -c 3
}

unbound() {
	[[ $(blockdev --getsz "$1") == 0 ]]
}

load_module
load_module loop
contents one one
contents two two
contents three thr
loop=$(losetup -f --show -r one)
start_trace --device "$loop" --altitude 900
start_filter pass --device "$loop" --altitude 100
[[ $(first_word "$loop") == one ]] || fail "before"

check "$BLKFILTER/bin/loopfd" "$loop" change two
[[ $(first_word "$loop") == two ]] || fail "after the exchange: $(first_word "$loop")"

check losetup -d "$loop"
wait_until 10 unbound "$loop"
[[ -z $(first_word "$loop") ]] || fail "there are data without a file"
check losetup "$loop" three
[[ $(first_word "$loop") == thr ]] || fail "after the new one: $(first_word "$loop")"
check dd if=/dev/zero of="$loop" bs=4k seek=1 count=1 oflag=direct status=none
stop_filter
seen "$TRACE" lines 1-4
(($(grep -cx "read 0 4096 0" lines) >= 3)) || fail "reads not seen: $(<lines)"
grep -qx "write 8 4096 0" lines || fail "write not seen: $(<lines)"
check losetup -d "$loop"
