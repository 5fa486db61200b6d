# SPDX-License-Identifier: GPL-2.0
# Verdicts for people and for programs.  A test's verdict is one line in its
# directory's file "verdict": kernel, test, ok|FAIL|skip, seconds, reason,
# parted by tabs.  Sourced by tests/vm/run.
# shellcheck shell=bash

# Lines of a failed test's own output that are shown.
TAIL_LINES=30

# record TEST DIR WORD SECONDS REASON: writes the verdict and shows it.
record() {
	printf '%s\t%s\t%s\t%s\t%s\n' "$KERNEL" "$(basename "$1" .sh)" \
		"$3" "$4" "${5//$'\t'/ }" >"$2/verdict"
	report "$2"
}

# report DIR: the verdict, all at once as other guests report too.
report() {
	local name word seconds reason text
	IFS=$'\t' read -r _ name word seconds reason <"$1/verdict"
	case $word in
	ok) text="ok $name $seconds s" ;;
	skip) text="skip $name ($reason)" ;;
	*) text="FAIL $name ($reason; ${1#"$TOP"/})"$'\n'$(log_tail "$1/log") ;;
	esac
	printf '%s\n' "${text%$'\n'}"
}

# log_tail FILE: its last lines, indented.
log_tail() {
	[[ ! -s $1 ]] || tail -n "$TAIL_LINES" "$1" | tr -d '\r\0' | sed 's/^/    /'
}

# summary: counts the verdicts; a test without one has failed.
summary() {
	local test dir word passed=0 failed=0 skipped=0
	for test in "${TESTS[@]}"; do
		dir=$OUTPUT/$(basename "$test" .sh)
		[[ -e $dir/verdict ]] || record "$test" "$dir" FAIL 0 "no verdict"
		[[ -z $RESULTS ]] || cat "$dir/verdict" >>"$RESULTS"
		word=$(cut -f 3 "$dir/verdict")
		case $word in
		ok) passed=$((passed + 1)) ;;
		skip) skipped=$((skipped + 1)) ;;
		*) failed=$((failed + 1)) ;;
		esac
	done
	echo "$passed passed, $failed failed, $skipped skipped"
	return $((failed > 0))
}
