# SPDX-License-Identifier: GPL-2.0
# Three filters in three processes that tell what happens to them (tests/helpers/station.c).  Sourced.
# shellcheck shell=bash

STATIONS=(500 100 900) # not in the order in which they are to be called
declare -A STATION     # process ids by altitude

# start_station ALTITUDE ARG...: returns when what is there has been offered.
start_station() {
	mkfifo "ready.$1"
	"$BLKFILTER/bin/station" --altitude "$1" --ready-fd 9 "${@:2}" >>stories 2>"station.$1.err" 9>"ready.$1" &
	STATION[$1]=$!
	FILTER_PIDS+=("${STATION[$1]}")
	read -r -t 30 <"ready.$1" || fail "station $1: $(<"station.$1.err")"
	rm "ready.$1"
}

# start_stations ARG...
start_stations() {
	local altitude
	for altitude in "${STATIONS[@]}"; do
		start_station "$altitude" "$@"
	done
}

stop_stations() {
	local altitude
	for altitude in "${STATIONS[@]}"; do
		stop_filter "${STATION[$altitude]}"
	done
}

# story WORDS: the lines of all stations that have these words (an extended regexp), in order, without the time.
story() {
	cut -d ' ' -f 2- stories | { grep -E -- "$1" || true; }
}

# told WORDS COUNT: so many such lines by now.
told() {
	(($(story "$1" | wc -l) >= $2))
}

# expect_story WORDS LINE...: exactly these, and in this order.
expect_story() {
	local want
	want=$(printf '%s\n' "${@:2}")
	[[ $(story "$1") == "$want" ]] || fail "not as it should be: $(story "$1")"
}

# forget: what has been told.
forget() {
	: >stories
}

# kept_by N: references to the module; a removal that is not over yet has one.
kept_by() {
	[[ $(</sys/module/blkfilter/refcnt) == "$1" ]]
}
