# SPDX-License-Identifier: GPL-2.0
# The kernel's own verdict: what in its log means that something went wrong.
# Sourced.
# shellcheck shell=bash

# Extended regexps.  The harness itself writes "blkfilter: test NAME starts".
FAULTS=(
	'WARNING: ' 'BUG: ' 'BUG [a-z_-]+ \(' 'kernel BUG at' 'Oops: ' 'Oops!'
	'Kernel panic' 'general protection' 'Call Trace:' 'unable to handle'
	'possible recursive locking' 'circular locking dependency'
	'inconsistent lock state' 'suspicious RCU usage' 'bad unlock balance'
	'held lock freed' 'sleeping function called from invalid context'
	'scheduling while atomic' 'blocked for more than'
	'soft lockup' 'hard LOCKUP' 'workqueue lockup'
	'self-detected stall' 'detected stalls' 'detected expedited stalls'
	'KASAN: ' 'KFENCE: ' 'UBSAN: ' 'kmemleak: [0-9]+ new'
	'list_(add|del) corruption' 'refcount_t: ' 'ODEBUG: .*object type'
	'double free' 'Object already free' 'Poison overwritten'
	'Redzone overwritten' 'Objects remaining in' 'Out of memory: '
	'page allocation failure' 'bad page state' 'irq .*: nobody cared'
)

# joined REGEXP...: one that matches what any of them does.
joined() {
	local IFS='|'
	echo "$*"
}

# fault_in LOG [EXPECTED]: the first line that means a fault, if any; lines that
# match EXPECTED, one regexp a line, mean none.
fault_in() {
	grep -aE "$(joined "${FAULTS[@]}")" "$1" |
		if [[ -n ${2-} ]]; then grep -avE "$2"; else cat; fi |
		awk 'NR == 1' || true
}
