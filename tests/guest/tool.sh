#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: the tool: lists, counters, attach, detach, JSON, and the line and exit status of each failure
# disks: virtio:64M virtio:64M
# timeout: 60
. "${0%/*}/../vm/lib.sh"
bfuse=$BLKFILTER/bin/bfuse
pass=$BLKFILTER/bin/pass

# says STATUS LINE CMD...: it fails so.
says() {
	local status=0 line
	line=$("${@:3}" 2>&1 >/dev/null) || status=$?
	# shellcheck disable=SC2053 # a pattern
	[[ $status == "$1" && $line == $2 ]] || fail "${*:3}: $status: $line"
}

# row WORDS...: one row of "bfuse list" begins so.
row() {
	local words
	words=$(printf '%s +' "$@")
	"$bfuse" list | grep -qE "^ *${words% +}( |$)" || fail "no row $*: $("$bfuse" list)"
}

says 3 "bfuse: /dev/blkfilter: the kernel module is not loaded; try: modprobe blkfilter" "$bfuse" list
says 3 "pass: /dev/blkfilter: the kernel module is not loaded*" "$pass" --device "$DISK0"
load_module
[[ -z $("$bfuse" list) ]] || fail "something is listed"
says 5 "bfuse: /dev/nope: No such file or directory; see: lsblk" "$bfuse" stat /dev/nope
says 5 "pass: /dev/null: not a block device; see: lsblk" "$pass" --device /dev/null
says 9 "bfuse: $DISK0: not filtered; see: bfuse list" "$bfuse" detach "$DISK0"
says 2 "bfuse: nonsense: no such command*" "$bfuse" nonsense
says 5 "bfuse: : no such device; see: lsblk" "$bfuse" list ""
check "$bfuse" list --help >help
grep -q '^usage' help || fail "$(<help)"
says 5 "snapshot: /dev/none: No such file or directory" "$BLKFILTER/bin/snapshot" /dev/none store image

start_filter pass --device "$DISK0" --attachable
name0=${DISK0##*/} name1=${DISK1##*/}
row "$name0" 500 pass live pass
says 6 "pass: $DISK0: already filtered at altitude 500 by \"pass\" (pid $FILTER); choose another with --altitude" \
	"$pass" --device "$DISK0"
says 9 "bfuse: passe: no filter of this name; see: bfuse list" "$bfuse" attach "$DISK1" --filter passe
check "$bfuse" attach "$DISK1" --filter pass
row "$name1" 500 pass live pass
says 6 "bfuse: $DISK1: already filtered*start this filter at another*" "$bfuse" attach "$DISK1" --filter pass
first=$FILTER

start_filter pass --device "$DISK0" --altitude 900 --name upper
says 4 "bfuse: upper: doesn't let others attach it; start it with --attachable" \
	"$bfuse" attach "$DISK1" --filter upper
check dd if="$DISK0" of=/dev/null bs=4k count=10 iflag=direct status=none
"$bfuse" stat --json "$DISK0" >stat
[[ $(grep -cE '"bytes_read": [0-9]+,' stat) == 2 ]] || fail "stat: $(<stat)"
[[ $("$bfuse" stat --interval 1 --count 2 "$DISK0" | grep -c upper) == 2 ]] || fail "stat does not repeat"
says 2 "bfuse: $DISK0: filtered by \"upper\" at altitude 900 and \"pass\" at altitude 500; choose with*" \
	"$bfuse" detach "$DISK0"
# Its only device is gone: it ends.
check "$bfuse" detach "$DISK0" --name upper --wait
wait "$FILTER" || fail "upper: status $?"
check "$bfuse" detach "$DISK0" --altitude 500 --wait
check "$bfuse" detach "$DISK1" --wait
# An attachable one stays.
row 500 pass idle pass
stop_filter "$first"

start_filter protect --device "$DISK0" --range 100+8
kill -KILL "$FILTER"
wait "$FILTER" || true
row "$name0" 600 protect orphan error
expect_status 1 dd if=/dev/zero of="$DISK0" bs=4k count=1 oflag=direct
check "$bfuse" detach "$DISK0" --wait
check dd if=/dev/zero of="$DISK0" bs=4k count=1 oflag=direct

# Newer kernels refuse.
if sysctl -q kernel.ftrace_enabled=0 2>/dev/null; then
	says 10 "pass: $DISK0: can't intercept, ftrace is disabled; try: sysctl kernel.ftrace_enabled=1" \
		"$pass" --device "$DISK0"
	sysctl -q kernel.ftrace_enabled=1
fi
says 4 "bfuse: /dev/blkfilter: permission denied; try as root" \
	setpriv --reuid=65534 --clear-groups "$bfuse" list
unload_module
