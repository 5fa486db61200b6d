#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: with --confine a process without privileges serves ext4, a guardian attaches and detaches, and the death of either is told
# disks: virtio:256M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

# server: the process that the module knows.
server() {
	"$BLKFILTER/bin/bfuse" list --json "$DISK0" | sed -n 's/.*"pid":[ ]*\([0-9]*\).*/\1/p'
}

is_gone() {
	! kill -0 "$1" 2>/dev/null
}

nothing_is_left() {
	[[ -z $("$BLKFILTER/bin/bfuse" list) ]]
}

# read_is STATUS: a direct read of the disk ends so.
read_is() {
	expect_status "$1" dd if="$DISK0" of=/dev/null bs=4k count=1 iflag=direct status=none
}

# status_has PID LINE...: lines of /proc/PID/status.
status_has() {
	local line
	for line in "${@:2}"; do
		tr -s ' \t' ' ' <"/proc/$1/status" | grep -qxE "$line ?" || fail "no '$line': $(<"/proc/$1/status")"
	done
}

load_module

# The ward has nothing, and serves.
start_filter involute --device "$DISK0" --confine
ward=$(server)
((ward != FILTER)) || fail "the guardian serves"
[[ $(ps -o ppid= -p "$ward" | tr -d ' ') == "$FILTER" ]] || fail "$ward is no child of $FILTER"
status_has "$ward" 'Uid: 65534 65534 65534 65534' 'Gid: 65534 65534 65534 65534' 'Groups:' 'NoNewPrivs: 1' 'Seccomp: 2' \
	'CapInh: 0+' 'CapPrm: 0+' 'CapEff: 0+' 'CapBnd: 0+' 'CapAmb: 0+' 'SigBlk: .*'
[[ $(<"/proc/$ward/oom_score_adj") == -900 ]] || fail "the OOM killer may choose it"
(($(awk '/VmLck/ { print $2 }' "/proc/$ward/status") > 1000)) || fail "its memory is not locked"
mkdir mnt
check mkfs.ext4 -q "$DISK0"
check mount "$DISK0" mnt
check fio --name=v --directory=mnt --rw=randrw --bssplit=4k/60:64k/40 --size=8m --direct=1 --ioengine=libaio --iodepth=16 \
	--verify=crc32c --verify_fatal=1 --output-format=terse >/dev/null
check umount mnt
check fsck.ext4 -fn "$DISK0"
stop_filter
wait_until 5 is_gone "$ward"
nothing_is_left || fail "an orphan"

# Whatever else a filter has, it has in the ward: what is printed at the end, too. Others attach and detach it.
start_filter confined --device "$DISK0" --confine --attachable
ward=$(server)
read_is 0
load_module loop
loop=$(losetup --find --show --sizelimit 1M "$DISK0")
check "$BLKFILTER/bin/bfuse" attach "$loop" --filter confined
wait_until 5 grep -q "attached ${loop#/dev/} by $ward" "filter.$FILTERS.out"
check "$BLKFILTER/bin/bfuse" detach "$loop" --all --wait
losetup -d "$loop"
read_is 0
kill -0 "$ward"
stop_filter
printf '%s\n' "configured by $ward as user 0" "attached ${DISK0#/dev/} by $ward" "attached ${loop#/dev/} by $ward" \
	"detached 0" "detached 0" "after 0" | diff - "filter.$FILTERS.out" || fail "the ward's output"
start_filter trace --device "$DISK0" --confine=1234
read_is 0
ward=$(server)
for task in /proc/"$ward"/task/*; do
	status_has "$ward/task/${task##*/}" 'CapPrm: 0+' 'CapEff: 0+' 'NoNewPrivs: 1' 'Seccomp: 2'
done
status_has "$ward" 'Uid: 1234 1234 1234 1234' 'Gid: 1234 1234 1234 1234'
stop_filter
grep -q '^read: [1-9][0-9]* requests' "filter.$FILTERS.out" || fail "no summary: $(<"filter.$FILTERS.out")"

# Without anything attached any more both end.
start_filter pass --device "$DISK0" --confine
check "$BLKFILTER/bin/bfuse" detach "$DISK0" --all --wait
check wait "$FILTER"

# Its death is the filter's.
for policy in pass error; do
	start_filter pass --device "$DISK0" --confine --policy "$policy"
	ward=$(server)
	kill -KILL "$ward"
	expect_status 1 wait "$FILTER"
	grep -q "process $ward that served it was killed: Killed" "filter.$FILTERS.err" || fail "$(<"filter.$FILTERS.err")"
	read_is "$([[ $policy == error ]] && echo 1 || echo 0)"
	[[ $policy == pass ]] || check "$BLKFILTER/bin/bfuse" detach "$DISK0" --all --wait
	nothing_is_left || fail "$policy: something is left"
done

# And so is the guardian's.
start_filter pass --device "$DISK0" --confine --policy error
ward=$(server)
kill -KILL "$FILTER"
wait_until 5 is_gone "$ward"
read_is 1
check "$BLKFILTER/bin/bfuse" detach "$DISK0" --all --wait
read_is 0

# What is wrong before that has its own status, and leaves no process.
expect_status 2 "$BLKFILTER/bin/confined" --device "$DISK0" --confine --do misconfigure
expect_status 2 "$BLKFILTER/bin/pass" --device "$DISK0" --confine=root
expect_status 5 "$BLKFILTER/bin/pass" --device /dev/null --confine
! pgrep -x pass || fail "a process is left"
