# SPDX-License-Identifier: GPL-2.0
# What the filter "trace --json" saw, in lines that sort and diff.  Sourced by
# tests.
# shellcheck shell=bash

# start_trace ARG...: in the background; TRACE is its process id.
start_trace() {
	start_filter trace --json "$@"
	TRACE=$FILTER
	TRACES[TRACE]=$FILTERS
}
declare -A TRACES

# seen [PID]: ends the trace and prints a line for each request, in the order of
# completion: op, sector, bytes, status, flags with commas around them.
seen() {
	local pid=${1:-$TRACE}
	[[ ! -e /proc/$pid ]] || stop_filter "$pid"
	sed -nE 's/.*"op":"([^"]*)","flags":\[([^]]*)\],"sector":([0-9]+),"bytes":([0-9]+).*"status":(-?[0-9]+).*/\1 \3 \4 \5 ,\2,/p' \
		"filter.${TRACES[$pid]}.out" | tr -d '"'
	[[ $(tail -n 1 "filter.${TRACES[$pid]}.err") != *lost* ]] || fail "trace: $(tail -n 1 "filter.${TRACES[$pid]}.err")"
}

# same WHAT FILE FILE: two lists are equal, or the difference is shown.
same() {
	diff -u "$2" "$3" >difference || fail "$1: differs: $(head -n 20 difference)"
}
