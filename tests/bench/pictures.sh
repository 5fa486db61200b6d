# SPDX-License-Identifier: GPL-2.0
# Pictures of what things cost, by gnuplot. No background, and colours that can be told from white and from black: a page may be
# either. Sourced by tests/bench/publish.
# shellcheck shell=bash

# What all of them begin with.
STYLE='
	grey = "#848d97"; blue = "#3b82f6"; orange = "#e8791d"; green = "#2da44e"
	set border 3 linecolor rgb grey
	set tics nomirror textcolor rgb grey
	set grid linecolor rgb grey linewidth 0.3
	set key textcolor rgb grey
'

# bars FILE KERNEL: a line for each: its name, and how much more than the bare device it costs at depth 1 and 32.
bars() {
	jq -r --arg kernel "$2" '
		[.[] | select(.kernel == $kernel and .block == 4096)] as $all
		| def found($case; $op; $d): first($all[] | select(.case == $case and .op == $op and .depth == $d) | .instructions) // null;
		def bare($case; $op; $d): ($case | select(test("-")) | found(sub(".*-"; "bare-"); $op; $d)) // found("bare"; $op; $d);
		["unattached-1000", "no-interest", "bitmap-no", "cow-steady", "range-no", "mark", "dm-linear", "pass", "layers-8",
			"ublk-loop-zc-batch", "ublk-loop", "dm-snapshot-steady", "cow-first", "nbd", "dm-snapshot-first"][] as $case
		| (if ($case | test("^cow|snapshot|mark")) then "write" else "read" end) as $op
		| [1, 32] | map(. as $d | found($case; $op; $d) | select(.) - bare($case; $op; $d))
		| select(length == 2)
		| "\"\($case)\(if $op == "write" then " (write)" else "" end)\" \(.[0]) \(.[1])"' "$1"
}

# last_kernel FILE: the newest of them, which has most to compare with.
last_kernel() {
	jq -r 'last.kernel' "$1"
}

# picture_of_costs RESULT SVG
picture_of_costs() {
	local kernel data
	kernel=$(last_kernel "$1")
	data=$(bars "$1" "$kernel")
	gnuplot >"$2" <<-END
		\$data <<EOD
		$data
		EOD
		set terminal svg size 860,520 dynamic font "sans-serif,12"
		$STYLE
		set title "instructions above the bare device, 4 KiB random reads or writes, linux $kernel" textcolor rgb grey offset -8,0
		set logscale x
		set xrange [20:300000]
		set yrange [-0.7:] reverse
		set format x "%.0s%c"
		set key top right
		set style fill solid 0.85 noborder
		plot \$data using (\$2 / 2):0:(20):2:(\$0 - 0.36):(\$0 - 0.02):ytic(1) with boxxyerror linecolor rgb orange title "depth 1", \\
			\$data using (\$3 / 2):0:(20):3:(\$0 + 0.02):(\$0 + 0.36) with boxxyerror linecolor rgb blue title "depth 32"
	END
}

# series FILE NAME: number and what it adds, a line each.
series() {
	jq -r --arg name "$2" '
		. as $all
		| .[] | select(.case | test("^" + $name + "-[0-9]+$")) | . as $one
		| (.case | sub(".*-"; "")) as $n
		| first($all[] | select(if ($name | startswith("depth-")) then .case == "depth-bare-" + $n else .case == "bare" and .op == $one.op end)
			| .instructions) as $bare
		| "\($n) \($one.instructions - $bare)"' "$1"
}

# picture_of_scaling SCALING SVG: each series beside the others.
picture_of_scaling() {
	local name blocks=
	for name in devices-no-interest devices-pass filters-no-interest filters-pass filters-processes ranges-range-no \
		depth-no-interest depth-pass size-bitmap-no size-mark; do
		blocks+="\$${name//-/_} <<EOD"$'\n'"$(series "$1" "$name")"$'\nEOD\n'
	done
	gnuplot >"$2" <<-END
		$blocks
		set terminal svg size 1000,620 dynamic font "sans-serif,11"
		$STYLE
		set multiplot layout 2,3
		set style data linespoints
		set pointsize 0.6
		set logscale xy
		set yrange [10:500000]
		set format "%.0s%c"
		set key top left
		set title "devices with a filter" textcolor rgb grey
		plot \$devices_no_interest linecolor rgb blue title "no-interest", \$devices_pass linecolor rgb orange title "pass"
		set xrange [1:16]
		set title "filters on the device" textcolor rgb grey
		plot \$filters_no_interest linecolor rgb blue title "no-interest", \$filters_pass linecolor rgb orange title "pass, one process", \\
			\$filters_processes linecolor rgb green title "pass, a process each"
		set xrange [*:*]
		set title "ranges, none of which is touched" textcolor rgb grey
		plot \$ranges_range_no linecolor rgb blue title "range-no"
		set title "queue depth" textcolor rgb grey
		plot \$depth_no_interest linecolor rgb blue title "no-interest", \$depth_pass linecolor rgb orange title "pass"
		set title "size of the device, GiB" textcolor rgb grey
		plot \$size_bitmap_no linecolor rgb blue title "bitmap-no", \$size_mark linecolor rgb green title "mark (write)"
	END
}
