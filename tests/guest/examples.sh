#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: the example filters: protect refuses what touches its ranges and nothing else; trace may log to what it traces
# disks: virtio:256M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

# write_at SECTOR COUNT: directly.
write_at() {
	dd if=/dev/zero of="$DISK0" bs="$(($2 * 512))" count=1 seek="$(($1 * 512))" oflag=direct,seek_bytes status=none
}

load_module
start_filter protect --device "$DISK0" --range 100+8 --range 4096+1
check write_at 92 8
check write_at 108 8
check write_at 4097 1
for wrong in "100 1" "107 1" "93 8" "107 8" "96 64" "4096 1" "4090 8"; do
	# shellcheck disable=SC2086
	expect_status 1 write_at $wrong
done
expect_status 1 blkdiscard -o 0 -l 1048576 "$DISK0"
check blkdiscard -o 4194304 -l 1048576 "$DISK0"
expect_status 1 blkdiscard -z -o 0 -l 1048576 "$DISK0"
check dd if="$DISK0" of=/dev/null bs=64k count=16 iflag=direct status=none
stop_filter

check mkfs.ext4 -q "$DISK0"
mkdir mnt
check mount "$DISK0" mnt
"$BLKFILTER/bin/trace" --json --device "$DISK0" >mnt/trace.json 2>mnt/trace.err &
trace=$!
wait_until 10 grep -q attached mnt/trace.err
check fio --name=busy --directory=mnt --rw=randwrite --bs=4k --size=8m --io_size=16m --fsync=16 --end_fsync=1 \
	--output-format=terse >/dev/null
stop_filter "$trace"
check sync
# Whatever a process calls itself a line is JSON, of ASCII; and when nobody reads any more the trace ends.
name=$'\033"\303\244'
cp "$(command -v dd)" "$name"
while "./$name" if="$DISK0" of=/dev/null bs=4k count=1 iflag=direct status=none; do
	sleep 0.1
done &
odd=$!
timeout 30 "$BLKFILTER/bin/trace" --json --device "$DISK0" 2>trace.err | grep -a -m 1 '"comm":"?' >odd.json || true
kill "$odd"
wait "$odd" 2>/dev/null || true
grep -q 'standard output: Broken pipe' trace.err || fail "$(<trace.err)"
! LC_ALL=C grep -q '[^ -~]' odd.json || fail "$(<odd.json)"
[[ -s odd.json ]] || fail "no such process was seen"
(($(wc -l <mnt/trace.json) > 1000)) || fail "only $(wc -l <mnt/trace.json) lines"
grep -q '"op":"write","flags":\[[^]]*"fua"' mnt/trace.json || fail "no journal commit was seen"
check umount mnt
check fsck.ext4 -fn "$DISK0"
unload_module
