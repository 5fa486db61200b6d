# SPDX-License-Identifier: GPL-2.0
# The tests on this machine itself: its kernel, its disks.  Leaves a directory
# like a guest's, for the same verdict.  Sourced by tests/vm/run.
# shellcheck shell=bash

# check_host: refuses what would end in damage; a machine that cannot do it at
# all is no failure of a test: sets HOST_SKIP.
check_host() {
	local disk
	[[ $YES ]] || die "--host loads the module into this machine's kernel and" \
		"overwrites its disks (${DISKS_GIVEN[*]-none}): add --yes if you mean it"
	HOST_SKIP=
	if ((EUID != 0)); then
		HOST_SKIP="needs root: run it with sudo"
	elif [[ ! -e /proc/modules || $(</proc/sys/kernel/modules_disabled) != 0 ]]; then
		HOST_SKIP="this machine's kernel loads no modules"
	elif [[ ! -d /lib/modules/$(uname -r)/kernel ]]; then
		HOST_SKIP="no modules of this kernel in /lib/modules/$(uname -r)"
	fi
	for disk in ${DISKS_GIVEN[@]+"${DISKS_GIVEN[@]}"}; do
		check_unused "$disk"
	done
}

# check_unused DISK: nothing of it is mounted, swapped to or built upon.
check_unused() {
	local users
	[[ -b $1 ]] || die "--disk $1: not a block device"
	users=$(lsblk -nro TYPE,NAME,MOUNTPOINTS "$1" |
		awk '$1 !~ /^(disk|part|loop)$/ || NF > 2 { print $2, $3 }')
	[[ -z $users ]] || die "--disk $1 is in use: $users"
	# Also by what lsblk does not know of, as the other disks of a file system.
	# 0200 is O_EXCL.
	[[ $HOST_SKIP ]] || perl -e 'sysopen(my $disk, $ARGV[0], 0200) or exit 1' "$1" ||
		die "--disk $1 is in use, or can't be opened"
}

# on_host TEST DIR: runs it, and judges what the kernel said meanwhile.
on_host() {
	local disks status=0 marker start=$SECONDS
	local -x RESULT=$2 REASON=$2/reason OUT=$2/out BLKFILTER=$PAYLOAD_DIR
	local -x LD_LIBRARY_PATH=$PAYLOAD_DIR/lib
	read -ra disks <<<"$(head_of "$1" disks)"
	mkdir -p "$OUT"
	if [[ $HOST_SKIP ]]; then
		echo "$HOST_SKIP" >"$REASON"
		status=77
	elif ((${#disks[@]} > ${#DISKS_GIVEN[@]})); then
		echo "needs ${#disks[@]} times --disk" >"$REASON"
		status=77
	else
		marker="blkfilter: test $(basename "$1" .sh) starts, $(date +%s.%N)"
		echo "$marker" >/dev/kmsg
		run_on_host "$1" "$2" || status=$?
		dmesg | awk -v marker="$marker" 'found; index($0, marker) { found = 1 }' >"$2/dmesg"
	fi
	[[ -e $2/dmesg ]] || : >"$2/dmesg"
	echo "$status" >"$2/status"
	judge "$1" "$2" "$start"
}

# run_on_host TEST DIR: the test within its time, and what it leaves behind.
run_on_host() {
	local number seconds status=0
	for number in "${!DISKS_GIVEN[@]}"; do
		local -x "DISK$number=${DISKS_GIVEN[number]}"
	done
	seconds=$(head_of "$1" timeout 60)
	timeout -k 5 "$seconds" bash "$1" >"$2/log" 2>&1 </dev/null || status=$?
	((status != 124)) || echo "no end in $seconds s" >"$REASON"
	aftermath "$status" >>"$2/log" 2>&1
}
