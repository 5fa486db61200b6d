# SPDX-License-Identifier: GPL-2.0
# The head of a test: lines "# key: value" before the first line that is no
# comment.  Sourced by tests/vm/run.
#
#	# about: one line of the behaviour that the test proves
#	# disks: virtio:256M nvme:128M scsi:64M,logical_block_size=4096
#	# timeout: 60             seconds on a stock kernel
#	# kernels: 6.1 7.3 debug   default: every one
#	# memory: 512M           in M; the debug kernel gets twice that
#	# smp: 2                 processors
#	# icount: yes             one guest instruction is one nanosecond
#	# append: for the kernel's command line
#	# kmsg: extended regexp of kernel messages that are no fault here
# shellcheck shell=bash

# head_of FILE KEY [DEFAULT]: the value; of a key that is there twice, both.
head_of() {
	local value
	value=$(awk -v key="$2" '
		!/^#/ && !/^$/ { exit }
		$1 == "#" && $2 == key ":" { sub(/^# *[a-z]+: */, ""); print }
	' "$1")
	echo "${value:-${3-}}"
}

# check_head FILE: every key is one that somebody reads.
check_head() {
	local bad
	[[ -n $(head_of "$1" about) ]] || die "$1 has no '# about:' line"
	bad=$(awk '
		!/^#/ && !/^$/ { exit }
		/^# [a-z]+: / && $2 !~ /^(about|disks|timeout|kernels|memory|smp|icount|append|kmsg):$/
	' "$1")
	[[ -z $bad ]] || die "$1: unknown in a test's head: $bad"
}

# runs_on FILE K: whether the test wants that kernel: debug-6.12 is a debug, and
# a host has what it has.
runs_on() {
	local kernels
	[[ $2 != host ]] || return 0
	kernels=" $(head_of "$1" kernels "${2%%-*}") "
	[[ $kernels == *" ${2%%-*} "* ]]
}
