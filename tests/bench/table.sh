# SPDX-License-Identifier: GPL-2.0
# Tables out of lines "kernel case op block depth instructions", in their order.
# Sourced by tests/bench/run.
# shellcheck shell=bash

# What both tables share: columns are op, block and depth, rows are cases.
# shellcheck disable=SC2016 # awk's variables
TABLE='
	{
		row = $1 " " $2
		column = $3 " " $4 / 1024 "k/" $5
		if (!(row in rows)) { rows[row] = ++nr_rows; row_of[nr_rows] = row; kernel[nr_rows] = $1; name[nr_rows] = $2 }
		if (!(column in columns)) { columns[column] = ++nr_columns; column_of[nr_columns] = column }
		value[row, column] = $6
	}
	function above(i, column) {
		return value[row_of[i], column] - value[base(i), column]
	}
	function base(i,  one) {
		one = name[i]
		sub(/.*-/, "bare-", one)
		one = kernel[i] " " one
		return one in rows && one != row_of[i] ? one : kernel[i] " bare"
	}'

# table: for people: instructions, and how many more than bare.
table() {
	awk "$TABLE"'
		END {
			print "instructions per I/O, and difference to the bare device (op block/depth)"
			for (i = 1; i <= nr_rows; i++) {
				if (kernel[i] != kernel[i - 1]) heading(kernel[i])
				printf "%-19s", name[i]
				for (c = 1; c <= nr_columns; c++) printf "%17s", cell(i, column_of[c])
				print ""
			}
		}
		function heading(k) {
			printf "\n%-12s", k
			for (c = 1; c <= nr_columns; c++) printf "%17s", column_of[c]
			print ""
		}
		function cell(i, column) {
			if (!((row_of[i], column) in value)) return ""
			if (name[i] == "bare") return value[row_of[i], column] "        "
			return sprintf("%d %+7d", value[row_of[i], column], above(i, column))
		}'
}

# markdown: what each case adds to 4 KiB and 128 KiB reads and writes.
markdown() {
	awk "$TABLE"'
		END {
			line = "| kernel | in the way |"
			rule = "|---|---|"
			for (c = 1; c <= nr_columns; c++) {
				line = line " " column_of[c] " |"
				rule = rule "--:|"
			}
			print line "\n" rule
			for (i = 1; i <= nr_rows; i++) {
				line = "| " kernel[i] " | " (name[i] == "bare" ? "nothing" : name[i]) " |"
				for (c = 1; c <= nr_columns; c++) line = line " " cell(i, column_of[c]) " |"
				print line
			}
		}
		function cell(i, column) {
			if (!((row_of[i], column) in value)) return ""
			if (name[i] == "bare") return value[row_of[i], column]
			return sprintf("%+d", above(i, column))
		}'
}

# scaling_table: a series a line, what each number of it adds to the bare device at the same depth.
scaling_table() {
	awk '
		{ value[$2, $5] = $6 }
		{ name[NR] = $2; op[NR] = $3; depth[NR] = $5; instructions[NR] = $6 }
		END {
			print "\nhow it grows: number, and what that adds in instructions per I/O"
			for (i = 1; i <= NR; i++) {
				number = name[i]
				sub(/.*-/, "", number)
				series = substr(name[i], 1, length(name[i]) - length(number) - 1)
				if (series == "" || name[i] == "bare" || series == "depth-bare") continue
				if (series != last) printf "%s%-22s", last ? "\n" : "", series
				last = series
				printf " %s:%+d", number, instructions[i] - bare(i, series, number)
			}
			print ""
		}
		function bare(i, series, number,  j) {
			for (j = 1; j <= NR; j++)
				if (series ~ /^depth-/ ? name[j] == "depth-bare-" number : name[j] == "bare" && op[j] == op[i])
					return instructions[j]
		}'
}
