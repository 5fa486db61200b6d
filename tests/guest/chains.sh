#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: hundreds of chained bios that complete in reverse order end one after the other, not inside each other
# memory: 512M
. "${0%/*}/../vm/lib.sh"

# null_blk has no write zeroes, so BLKZEROOUT writes zero pages: a chain of one bio for each MiB.
disk=$(null_blk_create chain size=512)
load_module
"$BLKFILTER/bin/reverse" "$disk" 500 >reverse.log &
reverse=$!
wait_until 10 grep -q attached reverse.log
check timeout 20 blkdiscard -z "$disk"
wait "$reverse" || fail "reverse: status $?"
check grep -q answered reverse.log
