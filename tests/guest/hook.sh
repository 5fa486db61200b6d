#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: the hook can't be bypassed or doubled unnoticed, shares its function with tracers, and goes when nothing is attached
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

TRACING=/sys/kernel/debug/tracing
FTRACE=/proc/sys/kernel/ftrace_enabled
[[ -d $TRACING ]] || skip "no tracefs in this kernel"

hooked() {
	grep -q '^submit_bio_noacct ' "$TRACING/enabled_functions"
}

unhooked() {
	! hooked
}

# cannot_attach WORDS: one line with these words, exit status 10.
cannot_attach() {
	local status=0
	timeout 10 "$BLKFILTER/bin/pass" --device "$DISK0" 2>err || status=$?
	((status == 10)) || fail "attach: status $status, not 10: $(<err)"
	[[ $(wc -l <err) == 1 && $(<err) == *"$1"* ]] || fail "attach: $(<err)"
}

# sees_all N: of that many reads.
sees_all() {
	local before after
	before=$(delivered)
	for ((i = 0; i < $1; i++)); do
		check dd if="$DISK0" iflag=direct of=/dev/null bs=4k skip="$i" count=1 status=none
	done
	after=$(delivered)
	((after - before == $1)) || fail "$((after - before)) of $1 reads seen"
}

delivered() {
	"$BLKFILTER/bin/bfuse" stat --json "$DISK0" | sed -nE 's/.*"delivered": *"?([0-9]+).*/\1/p'
}

load_module
hooked && fail "hooked before anything is attached"
start_filter pass --device "$DISK0"
hooked || fail "not hooked with a filter attached"
sees_all 3

# Nobody turns it off silently.
expect_status 1 sh -c "echo 0 >$FTRACE" 2>err
# Newer kernels have no use for it any more.
grep -qE 'busy|not supported' err || fail "ftrace_enabled=0: $(<err)"
sees_all 3

# Tracers share it.
echo submit_bio_noacct >"$TRACING/set_ftrace_filter"
echo function >"$TRACING/current_tracer"
echo 'p:bf_test submit_bio_noacct' >"$TRACING/kprobe_events"
echo 1 >"$TRACING/events/kprobes/bf_test/enable"
sees_all 3
(($(grep -c ' submit_bio_noacct <-' "$TRACING/trace") >= 3)) || fail "the function tracer has missed reads"
(($(grep -c ' bf_test: ' "$TRACING/trace") >= 3)) || fail "the kprobe has missed reads"
echo 0 >"$TRACING/events/kprobes/bf_test/enable"
echo >"$TRACING/kprobe_events"
echo nop >"$TRACING/current_tracer"
echo >"$TRACING/set_ftrace_filter"
sees_all 3

# A second owner finds it taken, and after the last detach it is free.
insmod "$BLKFILTER/kernel/ipmodify.ko" 2>err && fail "two modules redirect submit_bio_noacct"
grep -q busy err || fail "ipmodify: $(<err)"
stop_filter "$FILTER"
wait_until 10 unhooked

# Where we come second we say so.
check insmod "$BLKFILTER/kernel/ipmodify.ko"
cannot_attach "another module or a live patch redirects submit_bio_noacct"
check rmmod ipmodify
if { echo 0 >"$FTRACE"; } 2>/dev/null; then
	cannot_attach "sysctl kernel.ftrace_enabled=1"
	echo 1 >"$FTRACE"
fi
start_filter pass --device "$DISK0"
sees_all 3
stop_filter "$FILTER"
wait_until 10 unhooked
