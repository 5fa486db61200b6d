#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: the main job, live: filters come, watch, die and go on a busy ext4
# disks: virtio:512M
# timeout: 100
. "${0%/*}/../vm/lib.sh"

bfuse() {
	"$BLKFILTER/bin/bfuse" "$@"
}

# shown WORDS...: what comes next.
shown() {
	printf '\n== %s\n' "$*"
}

# run CMD...: as one would type it.
run() {
	printf '\n$ %s\n' "${*//"$BLKFILTER/bin/"/}"
	"$@"
}

shown "A file system that nobody prepared: ext4 on $DISK0, mounted and busy"
check mkfs.ext4 -q "$DISK0"
mkdir mnt
check mount "$DISK0" mnt
for i in {1..20}; do
	head -c 1M /dev/urandom >"mnt/file$i"
done
sha256sum mnt/file* >sums
fio --name=load --directory=mnt --size=32m --rw=randrw --bsrange=4k-128k --direct=1 --ioengine=libaio --iodepth=8 \
	--verify=crc32c --verify_fatal=1 --fsync=16 --time_based --runtime=25 --output-format=terse >fio.log 2>&1 &
load=$!
echo "20 files of 1 MiB, and fio writing, reading and verifying (pid $load)"

shown "Load the module; trace at altitude 900 and pass at 100: two ordinary programs, attached to the mounted disk"
load_module
start_filter pass --device "$DISK0" --altitude 100
pass=$FILTER
start_filter trace --device "$DISK0" --altitude 900
trace=$FILTER
run bfuse list
sleep 4

shown "What the filters see"
run bfuse stat "$DISK0"

shown "kill -9 one of them under load: requests that it held go on, as its policy says"
run kill -9 "$pass"
wait "$pass" 2>/dev/null || true
run bfuse list
sleep 2

shown "And back again, still the same mounted disk"
start_filter pass --device "$DISK0" --altitude 100
sleep 2
run bfuse list

shown "Detach: the programs end, the disk goes on"
stop_filter "$trace"
stop_filter "$FILTER"
printf '\n$ trace --device %s   (its first requests, and its summary)\n' "$DISK0"
head -n 8 filter.2.out
echo ...
tail -n 25 filter.2.out
unload_module

shown "Nothing was lost"
wait "$load" || fail "fio: $(tail -n 3 fio.log)"
echo "fio: every block verified, no error"
check sha256sum --quiet -c sums
echo "sha256sum: 20 files as before"
check umount mnt
run fsck.ext4 -fn "$DISK0"
