#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a drained start waits for what blk-throttle has parked, in whatever cgroup, and gives up in time; without it such writes are unseen
# disks: virtio:16M
# timeout: 120
. "${0%/*}/../vm/lib.sh"
. "${0%/*}/lib/drained.sh"

CGROUP=/sys/fs/cgroup
grep -qw io "$CGROUP/cgroup.controllers" || skip "no io controller in this kernel"
echo +io >"$CGROUP/cgroup.subtree_control"
mkdir "$CGROUP/upper"
echo +io >"$CGROUP/upper/cgroup.subtree_control"
mkdir "$CGROUP/upper/one" "$CGROUP/upper/two"
number=$(lsblk -dno MAJ:MIN "$DISK0" | tr -d ' ')

# throttle CGROUP LIMITS
throttle() {
	echo "$number $2" >"$CGROUP/$1/io.max" || skip "no throttle in this kernel"
}

# writes SEED: of 60 blocks each, some seconds' worth, of each cgroup.
start_writes() {
	local group
	WRITERS=()
	for group in upper/one upper/two; do
		(echo "$BASHPID" >"$CGROUP/$group/cgroup.procs" &&
			exec "$BLKFILTER/bin/burst" "$DISK0" 60 "$1") >"burst.${#WRITERS[@]}" &
		WRITERS+=("$!")
	done
	sleep 0.5
}

end_writes() {
	wait "${WRITERS[@]}"
	grep -qx "ok 60 failed 0" burst.0 || fail "burst: $(<burst.0)"
	grep -qx "ok 60 failed 0" burst.1 || fail "burst: $(<burst.1)"
}

load_module
throttle upper wiops=100
throttle upper/two wbps=122880

# The test can fail. Here nobody waits for the writes: they must last until a slow guest has started the filter.
throttle upper/one wiops=6
start_writes 1
start_drained "$DISK0"
end_writes
end_drained
((UNSEEN > 0)) || fail "nothing is unseen without a drain"

throttle upper/one wiops=30
start_writes 2
start_drained --drain 30000 "$DISK0"
[[ $GUARANTEE == 1 ]] || fail "guarantee $GUARANTEE, error $FAILED"
end_writes
end_drained
((UNSEEN == 0)) || fail "$UNSEEN blocks changed unseen"

# Too long, so it is undone, and nothing has come to harm.
throttle upper/one wiops=6
start_writes 3
start_drained --drain 3000 "$DISK0"
[[ $FAILED == 110 ]] || fail "attached with guarantee '$GUARANTEE', error '$FAILED'"
[[ -z $("$BLKFILTER/bin/bfuse" list "$DISK0") ]] || fail "an attachment is left"
end_writes
grep -q 'not drained in time.*blk-throttle' < <(dmesg) || fail "the log does not say why"

# And the same device can be drained after that.
start_drained --drain 30000 "$DISK0"
[[ $GUARANTEE == 1 ]] || fail "guarantee $GUARANTEE, error $FAILED"
end_drained
((CHANGED == 0)) || fail "$CHANGED blocks changed of themselves"
