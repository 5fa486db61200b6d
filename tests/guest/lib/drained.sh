# SPDX-License-Identifier: GPL-2.0
# The helper "drained", which proves that it has seen all that changed.  Sourced
# by tests.
# shellcheck shell=bash disable=SC2034

# start_drained ARG...: in the background; returns when it is attached, with
# GUARANTEE as the kernel says, or that it failed, with the errno in FAILED.
start_drained() {
	local what number
	DRAINS=$((${DRAINS:-0} + 1))
	"$BLKFILTER/bin/drained" "$@" >"drained.$DRAINS" 2>&1 &
	DRAINED=$!
	FILTER_PIDS+=("$DRAINED")
	GUARANTEE='' FAILED=''
	wait_until 60 grep -qE '^(attached|failed)' "drained.$DRAINS"
	read -r what number <"drained.$DRAINS"
	if [[ $what == attached ]]; then
		GUARANTEE=$number
	else
		FAILED=$number
	fi
}

# end_drained: CHANGED and UNSEEN are its counts of blocks.
end_drained() {
	kill -TERM "$DRAINED"
	wait "$DRAINED" || fail "drained: $(<"drained.$DRAINS")"
	read -r _ CHANGED _ UNSEEN < <(tail -n 1 "drained.$DRAINS")
	echo "$CHANGED blocks changed, $UNSEEN of them unseen"
}
