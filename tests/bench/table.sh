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
		return value[row_of[i], column] - value[kernel[i] " bare", column]
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
