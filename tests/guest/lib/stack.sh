# SPDX-License-Identifier: GPL-2.0
# A filtered disk below something, and what blktrace says that reached it.
# Sourced by tests after lib/trace.sh.
# shellcheck shell=bash disable=SC2153

declare -A BLKTRACES

# watch EVENT DISK...: a trace of each disk by us and one by blktrace.  EVENT is
# D, what the driver got, where bios change disks in place, which blktrace does
# not show as queued; or Q, where the block layer splits them for the driver.
watch() {
	local disk name
	for disk in "${@:2}"; do
		name=${disk##*/}
		# Then what the driver gets is what was submitted.
		echo 2 >"/sys/block/$name/queue/nomerges"
		start_trace --device "$disk" --altitude 500
		blktrace -d "$disk" -b 1024 -n 16 -o "$name" >"$name.blktrace" 2>&1 &
		BLKTRACES[$disk]="$TRACE $! $1"
		FILTER_PIDS+=("$!")
		wait_until 10 test -e "/sys/kernel/debug/block/$name/trace0"
	done
	# Between making its files and recording blktrace starts its threads, and nothing tells when it is done.
	sleep 1
}

# compare DISK...: each request that reached the disk was seen exactly once. Not those with FUA when blktrace shows what is
# queued: that of 7.3 loses them, as it takes their bit for one that its first format doesn't have.
compare() {
	local disk name by_us by_blktrace event
	for disk; do
		name=${disk##*/}
		read -r by_us by_blktrace event <<<"${BLKTRACES[$disk]}"
		kill -INT "$by_blktrace"
		wait "$by_blktrace" || fail "blktrace: $(<"$name.blktrace")"
		seen "$by_us" "$name.lines" 1-5
		awk -v event="$event" '
			$3 && !$4 && !(event == "Q" && $5 ~ /,fua,/) { print toupper(substr($1, 1, 1)), $2, $3 / 512 }
		' "$name.lines" | sort >"$name.seen"
		blkparse -i "$name" -q -f 'event %a %d %S %n\n' 2>blkparse.err | awk -v event="$event" '
			$1 == "event" && $2 == event && $5 && !(event == "Q" && $3 ~ /WF/) { sub(/^F/, "", $3); print substr($3, 1, 1), $4, $5 }
		' | sort >"$name.reached"
		echo "$name: $(wc -l <"$name.reached") requests"
		(($(wc -l <"$name.reached") >= 50)) || fail "$name: only $(wc -l <"$name.reached") requests by blktrace"
		same "$name" "$name.reached" "$name.seen"
	done
}

# load DEVICE: direct I/O that no driver has to split, but whatever is on top may.
load() {
	check fio --name=load --filename="$1" --direct=1 --ioengine=libaio --iodepth=8 --bsrange=4k-96k --rw=randrw \
		--size=48m --io_size=6m --verify=crc32c --verify_fatal=1 --fsync=16 --output=fio.out
	check blkdiscard -f -o 1M -l 3M "$1"
}
