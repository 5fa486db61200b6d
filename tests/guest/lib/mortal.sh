# SPDX-License-Identifier: GPL-2.0
# Filters that are killed at random moments: of attaching, serving, standing still or replacing each other. Sourced by tests.
# shellcheck shell=bash

# How long it takes a filter to attach, milliseconds; learned from each that does.
ATTACH_MS=300

# mortal_begin NAME: for the functions below, in a shell of its own. PIPE.out and PIPE.err are what the filters print.
mortal_begin() {
	PIPE=$1.pipe KILLED=0
	mkfifo "$PIPE" "$PIPE.idle"
	exec 7<>"$PIPE"
}

# moment MS: that long at most, without a process.
moment() {
	local ms=$((RANDOM % ($1 + 1)))
	read -r -t "$((ms / 1000)).$(printf %03d $((ms % 1000)))" <>"$PIPE.idle" || true
}

# launch PROGRAM ARG...: in the background as PID; when it is attached it writes to the pipe.
launch() {
	"$BLKFILTER/bin/$1" "${@:2}" --ready-fd 8 8>&7 >>"$PIPE.out" 2>>"$PIPE.err" &
	PID=$!
	LAUNCHED=${EPOCHREALTIME/[.,]/}
}

# ready: what was launched is attached.
ready() {
	read -r -t $((40 * SLOWNESS)) <&7 || fail "$PIPE: not attached: $(tail -n 2 "$PIPE.err")"
	ATTACH_MS=$(((${EPOCHREALTIME/[.,]/} - LAUNCHED) / 1000))
}

# slay PID [OR]: by SIGKILL, or it has ended before with status OR.
slay() {
	local status=0
	kill -KILL "$1" 2>/dev/null || true
	wait "$1" || status=$?
	((status == 137 || status == ${2:-137})) ||
		fail "$PIPE: a filter ended by itself, status $status: $(tail -n 2 "$PIPE.err")"
	KILLED=$((KILLED + (status == 137)))
}

# die_attaching, die_serving, die_stopped, die_replaced PROGRAM ARG...
die_attaching() {
	launch "$@"
	moment $((ATTACH_MS * 5 / 4))
	slay "$PID"
	# It may have been.
	while read -r -t 0.01 <&7; do :; done
}

die_serving() {
	launch "$@"
	ready
	moment 100
	slay "$PID"
}

die_stopped() {
	launch "$@"
	ready
	moment 50
	kill -STOP "$PID"
	moment 100
	slay "$PID"
}

# One is killed before, while or after its successor takes over, if it has not ended by then; then the successor is.
die_replaced() {
	launch "$@"
	ready
	local old=$PID
	launch "$@" --replace
	moment $((ATTACH_MS * 5 / 4))
	slay "$old" 0
	ready
	moment 50
	slay "$PID"
}

# mortals NAME KILLS "WAY..." PROGRAM ARG...: dies so often, which NAME.killed then says; the one after that lives until rest.
mortals() {
	local name=$1 kills=$2 ways
	read -ra ways <<<"$3"
	mortal_begin "$name"
	shift 3
	while ((KILLED < kills)); do
		"die_${ways[RANDOM % ${#ways[@]}]}" "$@"
	done
	launch "$@"
	ready
	echo "$PID" >"$name.alive"
	echo "$KILLED" >"$name.killed"
}

# rest NAME...: they end, of their own accord.
rest() {
	local name
	for name; do
		kill -TERM "$(<"$name.alive")" || fail "$name: $(tail -n 2 "$name.pipe.err")"
		wait_until 10 is_no_more "$(<"$name.alive")"
	done
}

is_no_more() {
	! kill -0 "$1" 2>/dev/null
}
