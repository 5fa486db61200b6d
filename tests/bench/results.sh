# SPDX-License-Identifier: GPL-2.0
# From what guests leave to one number for each measurement. Sourced by tests/bench/run.
# shellcheck shell=bash

ROUNDS=3

# The median counts, if another round is within so many percent of it. Bare I/O repeats to 0.1 %; where threads take turns they
# fall into another step at times.
TOLERANCE=1

# results K PART: where the harness leaves what the guest says.
results() {
	echo "$BUILD/out/$1/$2"
}

# must_be_ok K PART: or we end, and say why.
must_be_ok() {
	local verdict
	verdict=$(cut -f 3 "$(results "$1" "$2")/verdict" 2>/dev/null) || true
	[[ $verdict != ok ]] || return 0
	tail -n 20 "$OUTPUT/$1-$2.log" >&2
	die "no result for kernel $1: see ${OUTPUT#"$TOP"/}/$1-$2.log"
}

# in_order K PART: its samples, the kernel before each, as the plan has them.
in_order() {
	awk -v kernel="$1" -v plan="$(plan_of "$2" "$1")" '
		{ key = $1 " " $2 " " $3 " " $4; samples[key] = samples[key] kernel " " $0 "\n" }
		END {
			lines = split(plan, line, "\n")
			for (i = 1; i <= lines; i++) {
				split(line[i], field, " ")
				printf "%s", samples[field[1] " " field[2] " " field[3] " " field[4]]
			}
		}' "$(results "$1" "$2")/out/samples"
}

# middle WANTED: the rounds of a measurement become one line, their median. Status 1: two of them should agree, and don't, which is
# said; 2: WANTED measurements there must be, and are not. Other people's user space may have a mind of its own: that is only said.
middle() {
	awk -v rounds="$ROUNDS" -v tolerance="$TOLERANCE" -v wanted="$1" -v erratic=" $ERRATIC " '
		{
			key = $1 " " $2 " " $3 " " $4 " " $5
			if (!n[key]++) order[++keys] = key
			insert(key, $6)
		}
		END {
			for (i = 1; i <= keys; i++) {
				key = order[i]
				median = round[key, int((n[key] + 1) / 2)]
				if (n[key] != rounds || median <= 0)
					complain("incomplete: " key, 2)
				else if (!agrees(key, median))
					complain("unstable: " key ": " round[key, 1] " to " round[key, rounds], is_erratic(key) ? 0 : 1)
				print key, median
			}
			if (keys != wanted) complain(keys + 0 " of " wanted " measurements", 2)
			exit bad
		}
		function insert(key, value,  at) {
			for (at = n[key]; at > 1 && round[key, at - 1] > value; at--)
				round[key, at] = round[key, at - 1]
			round[key, at] = value
		}
		function agrees(key, median,  at, close_ones) {
			for (at = 1; at <= rounds; at++)
				if (round[key, at] >= median * (1 - tolerance / 100) && round[key, at] <= median * (1 + tolerance / 100))
					close_ones++
			return close_ones > 1
		}
		function is_erratic(key,  field) {
			split(key, field, " ")
			return index(erratic, " " field[2] " ") > 0
		}
		function complain(text, status) {
			print text > "/dev/stderr"
			if (status > bad) bad = status
		}'
}

# to_json COUNTS: numbers are numbers.
to_json() {
	jq -R -n --rawfile counts "$1" '
		($counts | split("\n") | map(select(length > 0) | split(" ") | { key: (.[:5] | join(" ")), value: .[5:] })
			| from_entries) as $counts
		| [inputs | split(" ") | . as $line | $counts[$line[:5] | join(" ")] as $count | {
			kernel: .[0], case: .[1], op: .[2], block: (.[3] | tonumber),
			depth: (.[4] | tonumber), instructions: (.[5] | tonumber),
			syscalls: ($count[0] | tonumber), switches: ($count[1] | tonumber) }]'
}

# conclude PART KERNEL...: leaves $OUTPUT/PART.samples, .counts, .medians and .json. Sets UNSTABLE where rounds don't agree.
conclude() {
	local kernel part=$1 file=$OUTPUT/$1 wanted status=0
	shift
	for kernel; do
		must_be_ok "$kernel" "$part"
	done
	for kernel; do
		in_order "$kernel" "$part"
	done >"$file.samples"
	for kernel; do
		awk -v kernel="$kernel" '{ print kernel, $0 }' "$(results "$kernel" "$part")/out/counts"
	done >"$file.counts"
	wanted=$(for kernel; do plan_of "$part" "$kernel"; done | wc -l)
	middle "$wanted" <"$file.samples" >"$file.medians" || status=$?
	((status < 2)) || die "there is no result of all that was to be measured"
	((status == 0)) || UNSTABLE=y
	to_json "$file.counts" <"$file.medians" >"$file.json"
}
