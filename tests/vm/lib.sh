# SPDX-License-Identifier: GPL-2.0
# What a test in tests/guest/ can use.  It begins with
#
#	. "${0%/*}/../vm/lib.sh"
#
# and finds in its environment: DISK0, DISK1, ... the disks of its head, free
# to be overwritten; OUT, a directory whose files reach the host; BLKFILTER,
# the directory of the built project.
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

# wait_until SECONDS CMD...: CMD must succeed within that time.
wait_until() {
	local seconds=$1 end=$((SECONDS + $1))
	shift
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
	local port line
	[[ -n ${VM_MONITOR-} ]] || skip "no QEMU around this machine"
	exec {port}<>"$VM_MONITOR"
	printf '%s\n' '{"execute": "qmp_capabilities"}' \
		'{"execute": "human-monitor-command", "id": "answer",
		  "arguments": {"command-line": "'"$1"'"}}' >&"$port"
	while read -r -t 10 line <&"$port" && [[ $line != *'"id": "answer"'* ]]; do :; done
	exec {port}>&-
	[[ $line == '{"return": "'* && $line != *'"Error: '* ]] ||
		fail "monitor: $1: ${line:-no answer}"
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
