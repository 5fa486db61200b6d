# SPDX-License-Identifier: GPL-2.0
# How the cost grows with the work: what is measured. Sourced by tests/bench/run and, in the guest, by tests/bench/scaling.sh,
# after plan.sh.
# shellcheck shell=bash

# Of what grows in each series, for each way of filtering. The unit of sizes is 1 GiB.
SERIES='
series  filtering                  from 1 to                depth
devices no-interest,pass           1,10,100,1000            32
filters no-interest,pass,processes 1,2,4,8,16               32
ranges  range-no                   1,10,100,1000,10000,100000 32
depth   bare,no-interest,pass      1,4,16,64,256,1024       same
size    bitmap-no,mark             1,32,1024,16384          32
'

# plan KERNEL [CASE...]: as in plan.sh; a case is called SERIES-FILTERING-NUMBER.
plan() {
	awk -v only=" ${*:2} " '
		NF != 4 || $1 == "series" { next }
		!begun++ { print "bare read 4096 32 3072\nbare write 4096 32 3072" }
		only != "  " && index(only, " " $1 " ") == 0 { next }
		{
			ways = split($2, way, ",")
			numbers = split($3, number, ",")
			for (w = 1; w <= ways; w++)
				for (n = 1; n <= numbers; n++)
					print $1 "-" way[w] "-" number[n], way[w] == "mark" ? "write" : "read", 4096,
						$4 == "same" ? number[n] : $4, ($4 == "same" && number[n] > 64) ? number[n] * 8 : 1536
		}' <<<"$SERIES"
}

# numbers SERIES: what it goes through, one a line.
numbers() {
	awk -v series="$1" '$1 == series { gsub(",", "\n", $3); print $3 }' <<<"$SERIES"
}
