# SPDX-License-Identifier: GPL-2.0
# Filters, and other processes that serve a device. Sourced by tests/bench/measure.sh, in the guest.
# shellcheck shell=bash

# serve COMMAND...: sets $server, a process that does nothing else; returns when it has said a line.
serve() {
	local ready
	exec {ready}< <(exec "$@" 2>server.log)
	server=$!
	read -r -u "$ready" || fail "$*: $(cat server.log)"
	exec {ready}<&-
}

# filter_on DEVICE OPTION...: one that is crossed to.
filter_on() {
	serve "$BLKFILTER/bin/bench-filter" --queues 1 --ready-fd 1 --device "$@"
}

# interest_on WHAT DEVICE: one that is never crossed to.
interest_on() {
	serve "$BLKFILTER/bin/bench-interest" "$@"
}

# serve_no_more: it must still be there.
serve_no_more() {
	local status=0
	kill "$server" || status=$?
	wait "$server" || status=$?
	((status == 0)) || fail "the server: status $status, $(cat server.log)"
}

# filtered CASE OPTION...: $NULL with a filter on it.
filtered() {
	planned "$1" || return 0
	filter_on "$NULL" "${@:2}"
	measure "$1"
	serve_no_more
}

# narrowed CASE WHAT: $NULL with a filter on it that has nothing to do.
narrowed() {
	planned "$1" || return 0
	interest_on "$2" "$NULL"
	measure "$1"
	serve_no_more
}
