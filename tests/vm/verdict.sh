# SPDX-License-Identifier: GPL-2.0
# From what a guest left in its directory to one line: "ok", "FAIL reason" or
# "skip reason".  Sourced by tests/vm/run.
# shellcheck shell=bash

# receive DIR: unpacks what the guest sent.  A tar that was cut short is a
# guest that died while it sent: its status, sent last, does not count then.
receive() {
	tar -C "$1" -xf "$1/result" 2>/dev/null || rm -f "$1/status"
	rm -f "$1/result" "$1"/disk*.img
}

# verdict TEST DIR: the one line.
verdict() {
	local fault expected log=$2/dmesg status=
	expected=$(head_of "$1" kmsg)
	[[ -e $log ]] || log=$2/console
	fault=$(fault_in "$log" "$expected")
	[[ ! -e $2/status ]] || status=$(<"$2/status")
	if [[ -z $status ]]; then
		echo "FAIL $(silence "$2" "$fault")"
	elif [[ -n $fault ]]; then
		echo "FAIL kernel: $fault"
	elif ((status == 0)); then
		echo ok
	elif ((status == 77)); then
		echo "skip $(reason "$2")"
	else
		echo "FAIL $(reason "$2" "status $status")"
	fi
}

# judge TEST DIR START: the verdict of a test that began when SECONDS was START.
judge() {
	local line
	line=$(verdict "$1" "$2")
	record "$1" "$2" "${line%% *}" "$((SECONDS - $3))" "${line#* }"
}

# reason DIR [DEFAULT]: the words of the guest.
reason() {
	if [[ -s $1/reason ]]; then
		head -n 1 "$1/reason"
	else
		echo "${2:-no reason given}"
	fi
}

# silence DIR FAULT: why a guest gave no verdict.
silence() {
	if [[ -n $2 ]]; then
		echo "guest died: $2"
	elif ((GUEST_STATUS == 124 || GUEST_STATUS == 137)); then
		echo "guest hung: no verdict in time"
	elif [[ -s $1/qemu ]]; then
		echo "QEMU: $(tail -n 1 "$1/qemu")"
	else
		echo "guest ended without a verdict"
	fi
}
