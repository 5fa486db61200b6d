# SPDX-License-Identifier: GPL-2.0
# What a test in tests/guest/ can use.  It begins with
#
#	. "${0%/*}/../vm/lib.sh"
#
# and finds in its environment: DISK0, DISK1, ... the disks of its head, free
# to be overwritten; OUT, a directory whose files reach the host; BLKFILTER,
# the directory of the built project.  Its output goes to the host by a port that
# opens only once: write to >&2, not to /dev/stderr.
# shellcheck shell=bash

set -o errexit -o nounset -o pipefail
shopt -s inherit_errexit
trap 'fail "${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND: status $?"' ERR
set -o errtrace

# fail WORDS...: the test ends here, failed.  In a command substitution it ends
# only that, and the test by the status of it: the first reason is the true one.
fail() {
	trap - ERR
	echo "FAIL: $*" >&2
	[[ -s $REASON ]] || echo "$*" >"$REASON"
	exit 1
}

# skip WORDS...: the test ends here, as it makes no sense on this machine.
skip() {
	echo "SKIP: $*" >&2
	echo "$*" >"$REASON"
	exit 77
}

# need COMMAND...: skips the test where one is missing.
need() {
	local command
	for command; do
		command -v "$command" >/dev/null || skip "no $command here"
	done
}

# check CMD...: must succeed.
check() {
	expect_status 0 "$@"
}

# expect_status N CMD...: must end with status N.
expect_status() {
	local want=$1 status=0
	shift
	"$@" || status=$?
	((status == want)) || fail "$*: status $status, not $want"
}

# On a busy machine all takes longer, and a kernel that watches itself is several times slower.
SLOWNESS=${SLOWNESS:-1}
[[ ! -e /sys/kernel/debug/kmemleak ]] || SLOWNESS=$((SLOWNESS * 6))

# wait_until SECONDS CMD...: CMD must succeed within that time.
wait_until() {
	local seconds=$(($1 * SLOWNESS)) end
	shift
	end=$((SECONDS + seconds))
	until "$@"; do
		((SECONDS <= end)) || fail "$*: not true within $seconds s"
		sleep 0.1
	done
}

# load_module [NAME] [PARAMETER...]: blkfilter as built, others by modprobe.
load_module() {
	local name=${1:-blkfilter}
	if [[ $name == blkfilter ]]; then
		check insmod "$BLKFILTER/kernel/blkfilter.ko" "${@:2}"
	else
		modprobe "$@" || skip "the kernel has no module $name"
	fi
}

# unload_module [NAME]: and it must go.
unload_module() {
	check rmmod "${1:-blkfilter}"
}

# null_blk_create NAME [KEY=VALUE...]: a null_blk device with these attributes
# (size in MB); its path is /dev/NAME on kernels that name it so, so use what
# this prints.
null_blk_create() {
	local dir=/sys/kernel/config/nullb/$1 setting
	[[ -e /sys/module/null_blk ]] || load_module null_blk nr_devices=0
	mkdir "$dir"
	for setting in "${@:2}" power=1; do
		echo "${setting#*=}" >"$dir/${setting%%=*}" ||
			fail "null_blk: the kernel refuses $setting"
	done
	if [[ -b /dev/$1 ]]; then
		echo "/dev/$1"
	else
		echo "/dev/nullb$(<"$dir/index")"
	fi
}

# null_blk_remove NAME
null_blk_remove() {
	rmdir "/sys/kernel/config/nullb/$1"
}

# monitor COMMAND: has QEMU, outside, carry out a command of its monitor, such
# as "device_del disk1", and prints the answer.  QEMU's end of the port speaks
# QMP: it wants a greeting once, and events come between the answers.
monitor() {
	qmp human-monitor-command '"command-line": "'"$1"'"'
}

# resize_disk N BYTES: of DISKN, outside.
resize_disk() {
	qmp block_resize '"node-name": "disk'"$1"'", "size": '"$2"
}

# qmp COMMAND ARGUMENTS: as the members of a JSON object.
qmp() {
	local port line
	[[ -n ${VM_MONITOR-} ]] || skip "no QEMU around this machine"
	exec {port}<>"$VM_MONITOR"
	printf '%s\n' '{"execute": "qmp_capabilities"}' \
		'{"execute": "'"$1"'", "id": "answer", "arguments": {'"$2"'}}' >&"$port"
	while read -r -t 10 line <&"$port" && [[ $line != *'"id": "answer"'* ]]; do :; done
	exec {port}>&-
	[[ $line == '{"return": '* && $line != *'"Error: '* ]] ||
		fail "monitor: $1 $2: ${line:-no answer}"
	[[ $line == '{"return": "'* ]] || return 0
	line=${line#'{"return": "'}
	printf '%b' "${line%'", "id": "answer"}'*}"
}

# unplug N: DISKN, as when somebody pulls it out, has left when this returns.
unplug() {
	monitor "device_del disk$1"
	wait_until 20 is_unplugged "$1"
}

is_unplugged() {
	[[ $(monitor "info qtree") != *"id \"disk$1\""* ]]
}

# Filters that the test leaves behind end with it, or the module would stay.
FILTER_PIDS=()
trap end_filters EXIT
end_filters() {
	((${#FILTER_PIDS[@]})) || return 0
	kill -TERM "${FILTER_PIDS[@]}" 2>/dev/null || true
	kill -CONT "${FILTER_PIDS[@]}" 2>/dev/null || true
	# After a failure one may wait for requests that nobody lets go on any more.
	local tenths=$((200 * SLOWNESS))
	while ((tenths-- > 0)) && is_any_alive; do
		sleep 0.1
	done
	if is_any_alive; then
		kill -KILL "${FILTER_PIDS[@]}" 2>/dev/null || true
		fail "a filter that the test left behind does not end"
	fi
	wait "${FILTER_PIDS[@]}" 2>/dev/null || true
}

is_any_alive() {
	kill -0 "${FILTER_PIDS[@]}" 2>/dev/null
}

# start_filter PROGRAM ARG...: a filter of the project in the background; returns
# when it is attached to all its devices.  FILTER is its process id; what it
# prints goes to filter.N.out and filter.N.err, N counting from 1.
start_filter() {
	FILTERS=$((${FILTERS:-0} + 1))
	local err=filter.$FILTERS.err
	"$BLKFILTER/bin/$1" "${@:2}" >"filter.$FILTERS.out" 2>"$err" &
	FILTER=$!
	FILTER_PIDS+=("$FILTER")
	# For each --device one line.
	local devices
	devices=$(printf '%s
' "$@" | grep -c -e '^--device' || true)
	wait_until 30 filter_is_ready "$err" "$devices"
}

# filter_is_ready LOG DEVICES: or has given up, which fails the test.
filter_is_ready() {
	kill -0 "$FILTER" 2>/dev/null || fail "the filter ended: $(<"$1")"
	(($(grep -c 'attached to' "$1" || true) >= $2))
}

# stop_filter [PID]: as an administrator would, and it must end well.
stop_filter() {
	local pid=${1:-$FILTER} status=0
	kill -TERM "$pid"
	wait "$pid" || status=$?
	((status == 0)) || fail "filter $pid: status $status after SIGTERM"
}
