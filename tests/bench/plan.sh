# SPDX-License-Identifier: GPL-2.0
# What is measured, in the order of the tables. Sourced by tests/bench/run and, in the guest, by tests/bench/measure.sh.
# shellcheck shell=bash

# Blocks are in KiB; ios is how many I/Os are measured: large and dear ones need fewer to be repeatable,
# and where little is added many show how much: what else a kernel does meanwhile (it looks at memory's age, it makes larger pages) differs
# by some 50,000 instructions from run to run, and with a thousand devices what it takes to start a program by 300,000.
#
# A case is compared with bare or, where there is one with its number, with that: bare-1000 is one device among a thousand to which
# nothing is attached. It has at least the operations, blocks and depths of what is compared with it; bare-steady just these: fio, with
# fewer jobs to do, needs some 20 instructions more for an I/O at depth 32, which is much beside 120.
PLAN='
case               ops         blocks        depths  ios    kernels
bare               read,write  4             1,32    16384  any
bare               read,write  64,128,256    1,32    4096   any
dm-linear          read,write  4             1,32    2048   any
dm-linear          read,write  128           1,32    4096   any
unattached         read,write  4             1,32    16384  any
unattached         read,write  128           1,32    4096   any
no-interest        read,write  4             1,32    16384  any
no-interest        read,write  128           1,32    4096   any
bitmap-no          read,write  4             1,32    8192   any
bitmap-no          read,write  128           1,32    4096   any
range-no           read,write  4             1,32    8192   any
range-no           read,write  128           1,32    4096   any
mark               read,write  4             1,32    8192   any
mark               read,write  128           1,32    4096   any
pass               read,write  4             1,32    4096   any
pass               read,write  128           1,32    4096   any
pass-realtime      read,write  4             1,32    4096   any
pass-realtime      read,write  128           1,32    4096   any
pass-notify        read,write  4             1,32    2048   any
pass-notify        read,write  128           1,32    4096   any
layers-2           read,write  4             1,32    4096   any
layers-2           read,write  128           1,32    4096   any
layers-8           read,write  4             1,32    2048   any
layers-8           read,write  128           1,32    2048   any
pass-copy          read,write  4             1,32    2048   any
pass-copy          read,write  128           1,32    2048   any
payload-4-copy     read,write  4             1,32    2048   any
payload-4-mapped   read,write  4             1,32    2048   any
payload-64-copy    read,write  64            1,32    1024   any
payload-64-mapped  read,write  64            1,32    1024   any
payload-256-copy   read,write  256           1,32    1024   any
payload-256-mapped read,write  256           1,32    1024   any
cow-first          write       4             1,32    1024   any
bare-steady        write       4             1,32    16384  any
cow-steady         write       4             1,32    16384  any
dm-snapshot-first  write       4             1,32    1024   any
dm-snapshot-steady write       4             1,32    2048   any
nbd                read,write  4             1,32    512    any
ublk-null          read,write  4             1,32    2048   7.3
ublk-loop          read,write  4             1,32    2048   7.3
ublk-loop-zc       read,write  4             1,32    2048   7.3
ublk-loop-zc-batch read,write  4             1,32    2048   7.3
bare-1000          read,write  4             1,32    24576   any
unattached-1000    read,write  4             1,32    24576   any
'

# What does not repeat to 1 %, for no fault of ours: who of its threads comes first decides how much is done at a time.
ERRATIC='nbd ublk-loop-zc'

# plan KERNEL [CASE...]: what there is to measure, a line each: case, op, block in bytes, depth, I/Os. With cases only those,
# and what they are compared with.
plan() {
	awk -v kernel="$1" -v only=" ${*:2} " '
		NF != 6 || $1 == "case" || ($6 != "any" && $6 != kernel) { next }
		{
			ops = split($2, op, ",")
			blocks = split($3, block, ",")
			depths = split($4, depth, ",")
			for (o = 1; o <= ops; o++)
				for (b = 1; b <= blocks; b++)
					for (d = 1; d <= depths; d++)
						add($1, op[o] " " block[b] * 1024 " " depth[d], $5)
		}
		END {
			for (i = 1; i <= lines; i++)
				if (is_wanted(i)) print name[i], what[i], ios[i]
		}
		function add(case_name, kind, number) {
			name[++lines] = case_name
			what[lines] = kind
			ios[lines] = number
			if (!index(only, " " case_name " ")) return
			chosen["bare " kind] = 1
			sub(/.*-/, "", case_name)
			chosen["bare-" case_name " " kind] = 1
		}
		function is_wanted(i) {
			return only == "  " || index(only, " " name[i] " ") || (name[i] " " what[i]) in chosen
		}' <<<"$PLAN"
}
