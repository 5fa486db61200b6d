# SPDX-License-Identifier: GPL-2.0
# What the filter "trace --json" saw, in lines that sort and diff.  Sourced by
# tests.
# shellcheck shell=bash disable=SC2034

declare -A TRACES

# start_trace ARG...: in the background; TRACE is its process id.
start_trace() {
	start_filter trace --json "$@"
	TRACE=$FILTER
	TRACES[$TRACE]=$FILTERS
}

# seen PID FILE [FIELDS]: ends the trace; FILE gets a line for each request, in
# the order of submission: op, sector, bytes, status, flags with commas around
# them; FIELDS chooses among these as cut -f does.
seen() {
	local log=filter.${TRACES[$1]}
	stop_filter "$1"
	! grep lost "$log.err" || fail "trace: its output was too slow"
	sed -nE 's/.*"time_ns":([0-9]+),.*"op":"([^"]*)","flags":\[([^]]*)\],"sector":([0-9]+),"bytes":([0-9]+),.*"status":(-?[0-9]+),.*/\1 \2 \4 \5 \6 ,\3,/p' \
		"$log.out" | tr -d '"' | sort -n | cut -d ' ' -f 2- | cut -d ' ' -f "${3:-1-5}" >"$2"
}

# same WHAT FILE FILE: two lists are equal, or the difference is shown.
same() {
	diff -u "$2" "$3" >difference || fail "$1: differs: $(head -n 20 difference)"
}
