# SPDX-License-Identifier: GPL-2.0
# What the kernel keeps memory for, before and after. Sourced by tests.
# shellcheck shell=bash

# objects FILE: of each kind that a filter or its requests could leave behind, and kilobytes.
objects() {
	local slab
	sync
	echo 3 >/proc/sys/vm/drop_caches
	# What is freed after a grace period.
	sleep 1
	# What CPUs keep at hand counts as used.
	for slab in /sys/kernel/slab/{kmalloc,bio,blkfilter}*/shrink; do
		echo 1 >"$slab" 2>/dev/null || true
	done
	{
		awk '/^(kmalloc-[0-9]|bio|blkfilter)/ { print $1, $2, $5 }' /proc/slabinfo
		awk '/^(Percpu|VmallocUsed|SUnreclaim|PageTables)/ { print $1, $2 }' /proc/meminfo
	} | sort >"$1"
}

# no_growth BEFORE AFTER KILLS: nothing has become more by an object in four kills, or a kilobyte in each. Two slabs may be in
# the hands of CPUs, where all of their objects count as used.
no_growth() {
	join "$1" "$2" | awk -v kills="$3" '
		/:/ { limit = 2048 + kills; more = $3 - $2 }
		!/:/ { limit = 250 + kills / 4 + 2 * $3; more = $4 - $2 }
		more > limit / 4 { print }
		more > limit { bad = 1 }
		END { exit bad }' || fail "more memory in use than before: see the lines above"
}
