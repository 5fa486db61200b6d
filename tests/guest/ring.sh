#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: filters that wait by commands of io_uring, with rings of all kinds, serve fio verify, and end well with commands pending
# disks: virtio:128M
# timeout: 150
. "${0%/*}/../vm/lib.sh"

load_module

# serve_with WORD...: fio, then the end; most of its requests came in several at a time.
serve_with() {
	start_filter ring --device "$DISK0" "$@"
	check fio --name=v --filename="$DISK0" --rw=randrw --bssplit=4k/60:64k/40 --size=8m --direct=1 --ioengine=libaio \
		--iodepth=16 --verify=crc32c --verify_fatal=1 --output-format=terse >/dev/null
	stop_filter
	echo "ring $*: $(<"filter.$FILTERS.out")"
	(($(cut -d ' ' -f 1 "filter.$FILTERS.out") > 300)) || fail "$*: too few requests were seen"
}

serve_with
serve_with defer fixed
serve_with sqpoll
serve_with closed
serve_with async min=1
serve_with reopen
(($(sed 's/.*, \([0-9]*\) rings/\1/' "filter.$FILTERS.out") > 3)) || fail "no ring was closed with commands in it"

# What becomes another program has left its commands behind, and is a filter no more.
start_filter ring --device "$DISK0" exec
check dd if="$DISK0" of=/dev/null bs=4k count=2 iflag=direct status=none
check wait "$FILTER"
[[ -z $("$BLKFILTER/bin/bfuse" list) ]] || fail "it is a filter still"
