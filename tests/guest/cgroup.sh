#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: requests stay charged to their cgroup: a throttled one is seen once, and BFQ and the limits work below filters as without
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/trace.sh"

CGROUP=/sys/fs/cgroup
grep -qw io "$CGROUP/cgroup.controllers" || skip "no io controller in this kernel"
echo +io >"$CGROUP/cgroup.subtree_control"
mkdir "$CGROUP/test"
id=$(stat -c %i "$CGROUP/test")
queue=/sys/block/${DISK0##*/}/queue

# inside CMD...: in the cgroup.
inside() {
	(echo "$BASHPID" >"$CGROUP/test/cgroup.procs" && exec "$@")
}

# seen_inside N: of that many writes.
seen_inside() {
	local log=filter.${TRACES[$TRACE]}.out
	seen "$TRACE" lines 1
	(($(grep -c write lines) == $1)) || fail "$(grep -c write lines) writes seen, not $1"
	(($(grep -c "\"op\":\"write\".*\"cgroup\":$id," "$log") == $1)) || fail "not all of them of cgroup $id"
}

load_module
start_filter pass --device "$DISK0" --altitude 100

# 60 writes at 20 a second, 3 s in the throttle, from where they are submitted again.
echo "$(lsblk -dno MAJ:MIN "$DISK0" | tr -d ' ') wiops=20" >"$CGROUP/test/io.max"
start_trace --device "$DISK0" --altitude 900
start=${EPOCHREALTIME/./}
[[ $(inside "$BLKFILTER/bin/burst" "$DISK0" 60 1) == "ok 60 failed 0" ]] || fail "burst"
((${EPOCHREALTIME/./} - start > 1500000)) || fail "the limit does not limit"
seen_inside 60
echo "$(lsblk -dno MAJ:MIN "$DISK0" | tr -d ' ') wiops=max" >"$CGROUP/test/io.max"

# BFQ keeps queues by cgroup.
modprobe bfq 2>/dev/null || true
if ! echo bfq >"$queue/scheduler"; then
	skip "the kernel has no BFQ; limits work"
fi
start_trace --device "$DISK0" --altitude 900
[[ $(inside "$BLKFILTER/bin/burst" "$DISK0" 200 2) == "ok 200 failed 0" ]] || fail "burst under BFQ"
[[ $("$BLKFILTER/bin/burst" --verify "$DISK0" 200 2) == "ok 200 failed 0" ]] || fail "other data"
seen_inside 200
echo none >"$queue/scheduler"
