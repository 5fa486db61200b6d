# SPDX-License-Identifier: GPL-2.0
# Throughput as a ratio to the bare device. Sourced by tests/bench/run.
# shellcheck shell=bash

# ratios: of lines "case rate", the medians; as lines "case ratio".
ratios() {
	sort -s -k 1,1 -k 2,2n | awk '
		{ rate[$1, ++n[$1]] = $2 }
		END {
			for (name in n) median[name] = rate[name, int((n[name] + 1) / 2)]
			for (name in n) printf "%s %.2f\n", name, median[name] / median["bare"]
		}' | sort -k 2,2nr
}

# conclude_throughput KERNEL: leaves $OUTPUT/throughput.json, and says it.
conclude_throughput() {
	must_be_ok "$1" throughput
	ratios <"$(results "$1" throughput)/out/throughput" >"$OUTPUT/throughput.ratios"
	jq -R -n --arg kernel "$1" '[inputs | split(" ") | {kernel: $kernel, case: .[0], ratio: (.[1] | tonumber)}]' \
		<"$OUTPUT/throughput.ratios" >"$OUTPUT/throughput.json"
	printf '\nthroughput on two processors, %s: a rough ratio to the bare device\n' "$1"
	cat "$OUTPUT/throughput.ratios"
}
