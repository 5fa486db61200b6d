#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: a filter program is ended by the signals that should end it, and stopped by none; and lets go nothing that was filtered when it can't begin
# disks: virtio:64M virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

# write_one: as it is protected from.
write_one() {
	dd if=/dev/zero of="$DISK0" bs=4k count=1 oflag=direct status=none 2>/dev/null
}

states() {
	"$BLKFILTER/bin/bfuse" list | awk 'NR > 1 { print $1, $2, $4 }'
}

# die ARG...: leaves an orphan on the first disk.
die() {
	start_filter protect --range 0+8 --device "$DISK0" "$@"
	kill -KILL "$FILTER"
	wait "$FILTER" || true
}

load_module

# What comes in pairs is one wish.
for second in HUP TERM; do
	start_filter protect --range 0+8 --device "$DISK0"
	kill -TERM "$FILTER"
	kill -"$second" "$FILTER" || true # or it has ended
	wait "$FILTER" || fail "SIGTERM and SIG$second: status $?: $(<"filter.$FILTERS.err")"
	[[ -z $(states) ]] || fail "SIGTERM and SIG$second: left: $(states)"
	check write_one
done

# A terminal that stops its processes would stop the disk; and what is in the background of a script has nothing to do with Ctrl-C.
start_filter protect --range 0+8 --device "$DISK0"
for signal in TSTP TTOU TTIN INT QUIT; do
	kill -"$signal" "$FILTER"
done
sleep 1
expect_status 1 timeout 5 dd if=/dev/zero of="$DISK0" bs=4k count=1 oflag=direct status=none 2>/dev/null
[[ $(states) == "${DISK0#/dev/} 600 live" ]] || fail "after signals: $(states)"
stop_filter

# What it finds unfiltered it leaves so when it can't have all that it is to have.
start_filter pass --altitude 600 --device "$DISK1"
pass=$FILTER
expect_status 6 "$BLKFILTER/bin/protect" --range 0+8 --device "$DISK0" --device "$DISK1" 2>protect.err
[[ $(states) == "${DISK1#/dev/} 600 live" ]] || fail "a start that failed has left: $(states)"

# What it finds filtered it doesn't touch, if it can't have all that it is to have;
die
expect_status 5 "$BLKFILTER/bin/protect" --range 0+8 --device "$DISK0" --device /dev/none 2>protect.err
[[ $(states) == *"${DISK0#/dev/} 600 orphan"* ]] || fail "let go for a device that is not there: $(states)"
expect_status 6 "$BLKFILTER/bin/protect" --range 0+8 --device "$DISK0" --device "$DISK1" 2>protect.err
[[ $(states) == *"${DISK0#/dev/} 600 orphan"* ]] || fail "let go for a device that is taken: $(states)"
expect_status 1 write_one
start_filter protect --range 8+8 --device "$DISK0"
check write_one
expect_status 9 "$BLKFILTER/bin/protect" --range 0+8 --replace --device "$DISK0" --device "$DISK1" 2>protect.err
[[ $(states) == *"${DISK0#/dev/} 600 live"* ]] || fail "replaced for nothing: $(states)"
check write_one

# and doesn't let it go when that turns out too late.
if [[ $(uname -r) == 6.1.* ]] && modprobe brd rd_nr=1 rd_size=1024; then
	kill -KILL "$FILTER"
	wait "$FILTER" || true
	expect_status 8 "$BLKFILTER/bin/protect" --range 0+8 --device "$DISK0" --device /dev/ram0 2>protect.err
	[[ $(states) == *"${DISK0#/dev/} 600 orphan"* ]] || fail "let go after it was taken over: $(states)"
	grep -q 'leaves 1 devices' protect.err || fail "$(<protect.err)"
	check "$BLKFILTER/bin/bfuse" detach "$DISK0" --name protect
else
	stop_filter
fi
stop_filter "$pass"
