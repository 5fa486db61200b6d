#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: trace --json of a fio job is its I/O log, request by request
# disks: virtio:64M nvme:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"

# expected LOG: fio's log of what it did, as trace would print it: one request at
# a time, so the order is the same too.
expected() {
	awk '
		BEGIN { op["read"] = "read"; op["write"] = "write"; op["trim"] = "discard"; op["sync"] = "flush" }
		$(NF - 2) in op { print op[$(NF - 2)], $(NF - 2) == "sync" ? 0 : $(NF - 1) / 512, $NF }
	' "$1"
}

load_module
for disk in "$DISK0" "$DISK1"; do
	rm -f ./*.log
	start_trace --device "$disk"
	check fio --filename="$disk" --direct=1 --ioengine=psync --size=64m --output=fio.out \
		--name=job --bsrange=512-256k --rw=randrw --io_size=16m --fsync=8 --write_iolog=rw.log \
		--name=trim --stonewall --bs=64k --rw=randtrim --io_size=2m --write_iolog=trim.log
	seen "$TRACE" all
	{ expected rw.log && expected trim.log; } >wanted
	cut -d ' ' -f 1-3 all >found
	requests=$(wc -l <wanted)
	echo "$disk: $requests requests"
	((requests > 150)) || fail "$disk: the log has only $requests requests"
	same "$disk" wanted found
	! awk '$4 != 0' all | grep . || fail "$disk: requests have failed"
done
