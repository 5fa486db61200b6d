# SPDX-License-Identifier: GPL-2.0
# A file system that is kept busy while filters come and go.  Sourced by tests.
# shellcheck shell=bash

# busy_start DISK: ext4 on it, and in the background rounds of fio that verify
# every block: 512 B to 2 MiB, direct and buffered, fsync; files that go are
# discarded.
busy_start() {
	check mkfs.ext4 -q "$1"
	mkdir mnt
	check mount -o discard "$1" mnt
	busy_rounds &
	BUSY=$!
}

busy_rounds() {
	local round=0 job=(--directory=mnt --bssplit=512/30:4k/40:24k/20:384k/6:2m/4
		--rw=randrw --size=8m
		--verify=crc32c --verify_fatal=1 --fsync=16 --randrepeat=0 --unlink=1)
	until [[ -e enough ]]; do
		check fio --name=direct --direct=1 --ioengine=libaio --iodepth=16 "${job[@]}" \
			--name=buffered --ioengine=psync "${job[@]}" >fio.out
		round=$((round + 1))
		echo "$round" >rounds
	done
}

# busy_stop DISK: nothing was lost.
busy_stop() {
	touch enough
	wait "$BUSY" || fail "fio: status $?: $(tail -n 20 fio.out)"
	echo "$(<rounds) rounds of fio"
	check fstrim mnt
	check umount mnt
	check fsck.ext4 -fn "$1"
}

# programs_come_and_go SIGNAL ROUNDS PROGRAM ARG...: that often the filter
# attaches, lives for a moment, and gets the signal.
programs_come_and_go() {
	local signal=$1 rounds=$2 round pid status ready
	shift 2
	ready=$(mktemp -u ready.XXXXXX)
	mkfifo "$ready"
	for ((round = 0; round < rounds; round++)); do
		"$BLKFILTER/bin/$1" "${@:2}" --ready-fd 9 9>"$ready" 2>>"$1.err" &
		pid=$!
		read -r <"$ready" || fail "$*: did not attach: $(tail -n 1 "$1.err")"
		sleep 0.0$((RANDOM % 10))
		kill -"$signal" "$pid"
		status=0
		wait "$pid" || status=$?
		[[ $signal:$status == @(TERM:0|KILL:137) ]] || fail "$*: status $status after signal $signal"
	done
}

# flicker DEVICE ALTITUDE COUNT detach|kill: a filter that attaches and leaves so often; it
# must have been in the way of I/O meanwhile.
flicker() {
	local words
	words=$("$BLKFILTER/bin/flicker" "$@")
	echo "altitude $2: $words"
	read -ra words <<<"$words"
	((words[0] == $3)) || fail "${words[0]} lives, not $3"
	((words[2] > $3)) || fail "only ${words[2]} requests seen in $3 lives"
}
