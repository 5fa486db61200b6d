#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: each mistake of a user gets one clear line and its own exit status
# disks: virtio:64M virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

BIN=$BLKFILTER/bin

# refused STATUS REGEXP CMD...: nothing on standard output, one line on standard error.
refused() {
	local want=$1 words=$2 status=0
	shift 2
	timeout 10 "$@" >out 2>err || status=$?
	((status == want)) || fail "${*##*/bin/}: status $status, not $want: $(<err)"
	[[ ! -s out ]] || fail "${*##*/bin/}: standard output: $(<out)"
	(($(wc -l <err) == 1)) || fail "${*##*/bin/}: not one line: $(<err)"
	grep -qE -- "$words" err || fail "${*##*/bin/}: no '$words' in: $(<err)"
	echo "$want: $(<err)"
}

refused 3 'not loaded.*modprobe blkfilter' "$BIN/pass" --device "$DISK0"
refused 3 'not loaded.*modprobe blkfilter' "$BIN/bfuse" list
refused 3 'not loaded.*modprobe blkfilter' "$BIN/bfuse" detach "$DISK0"

load_module
refused 2 'no device.*--device' "$BIN/pass"
refused 2 'altitude.*1 to 1000000' "$BIN/pass" --device "$DISK0" --altitude 0
refused 2 'altitude.*1 to 1000000' "$BIN/pass" --device "$DISK0" --altitude 1000001
refused 2 'depth.*power of two' "$BIN/pass" --device "$DISK0" --depth 3
refused 2 'unknown option' "$BIN/pass" --device "$DISK0" --nonsense
refused 2 'policy.*pass, error or hold' "$BIN/pass" --device "$DISK0" --policy maybe
refused 2 '.' "$BIN/bfuse" nonsense
refused 2 ' -nonsense: unknown option' "$BIN/bfuse" list -nonsense
refused 5 '/dev/none: No such file' "$BIN/pass" --device /dev/none
refused 5 '/dev/none: No such file' "$BIN/bfuse" detach /dev/none
refused 5 '/dev/null: not a block device' "$BIN/pass" --device /dev/null
refused 5 'errors.sh: not a block device' "$BIN/pass" --device "$0"
refused 5 '/dev/null: not a block device' "$BIN/bfuse" detach /dev/null
refused 9 '.' "$BIN/bfuse" detach "$DISK0" --altitude 77
refused 9 '.' "$BIN/bfuse" attach "$DISK0" --filter nobody

nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
refused 4 'try as root' "${nobody[@]}" "$BIN/pass" --device "$DISK0"
refused 4 'try as root' "${nobody[@]}" "$BIN/bfuse" detach "$DISK0"
refused 7 'ABI 99' env LD_PRELOAD="$BIN/wrong-abi.so" WRONG_ABI=module "$BIN/pass" --device "$DISK0"
refused 7 'ABI 99' env LD_PRELOAD="$BIN/wrong-abi.so" WRONG_ABI=module "$BIN/bfuse" list
refused 7 'ABI' env LD_PRELOAD="$BIN/wrong-abi.so" WRONG_ABI=filter "$BIN/pass" --device "$DISK0"

# Taken: by whom, and what to do.  Two filters elsewhere don't mind.
start_filter pass --device "$DISK0" --altitude 500 --name first
refused 6 "altitude 500.*\"first\".*pid $FILTER.*--altitude" "$BIN/pass" --device "$DISK0" --altitude 500
refused 4 'attachable' "$BIN/bfuse" attach "$DISK1" --filter first
refused 9 '.' "$BIN/bfuse" detach "$DISK1"
check "$BIN/bfuse" detach "$DISK0" --altitude 500 --wait
wait "$FILTER" || fail "a filter whose last attachment is gone: status $?"

# A driver that bypasses bios, on kernels that have such.
if [[ $(uname -r) == 6.1.* ]] && modprobe brd rd_nr=1 rd_size=4096; then
	refused 8 'ram0.*bypasses bios' "$BIN/pass" --device /dev/ram0
fi
