#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: persistent memory, whose data file systems map without a bio, is refused, and so is dm on top of it
# memory: 768M
# append: memmap=32M!256M
. "${0%/*}/../vm/lib.sh"

refused() {
	expect_status 8 timeout 20 "$BLKFILTER/bin/pass" --device "$1" 2>pass.err
	grep -q 'bypasses bios' pass.err || fail "$(<pass.err)"
}

load_module
load_module nd_e820
load_module nd_pmem
wait_until 10 test -b /dev/pmem0
refused /dev/pmem0
load_module dm_mod
check dmsetup create line --table "0 8192 linear /dev/pmem0 0"
refused /dev/mapper/line
check dmsetup remove line
