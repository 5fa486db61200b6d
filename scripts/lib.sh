# SPDX-License-Identifier: GPL-2.0
# What every script of this project shares: where things are, how to speak and
# how to stop.  Sourced, never run.
# shellcheck shell=bash

set -o errexit -o errtrace -o nounset -o pipefail
shopt -s inherit_errexit nullglob

# A script must not depend on the language its user's tools answer in.
export LC_ALL=C

TOP=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
# shellcheck disable=SC2034 # for those who source this
BUILD=$TOP/build
SELF=${0##*/}

# A command that fails where nobody thought it could stops the script: by name.
trap 'echo "$SELF: ${BASH_SOURCE[0]}:$LINENO: $BASH_COMMAND: status $?" >&2' ERR

# say WORDS...: one line of progress.
say() {
	printf '%s: %s\n' "$SELF" "$*"
}

# die WORDS...: what is wrong and what to do about it, then exit status 1.
die() {
	printf '%s: %s\n' "$SELF" "$*" >&2
	exit 1
}

# logged FILE CMD...: CMD's output goes to FILE; a terminal sees a line count
# move, a pipe sees nothing.  When CMD fails the end of FILE is shown.
logged() {
	local file=$1 status=0
	shift
	if [[ -t 1 ]]; then
		"$@" 2>&1 | tee "$file" | show_count || status=$?
	else
		"$@" >"$file" 2>&1 || status=$?
	fi
	((status == 0)) && return
	tail -n 20 "$file" >&2
	die "'$1' failed: the whole of its output is in $file"
}

# show_count: how many lines have come so far, in place.
show_count() {
	awk '{ printf "\r  %d lines of output", NR; fflush() }
	     END { printf "\r\033[K" }'
}
