# SPDX-License-Identifier: GPL-2.0
# What a guest that measures gets: the project, the measuring, and the rivals. Sourced by tests/bench/run.
# shellcheck shell=bash

NBD_PROGRAMS=(/usr/bin/nbdkit /usr/sbin/nbd-client "/usr/lib/$(uname -m)-linux-gnu/nbdkit/plugins/nbdkit-memory-plugin.so")

# payload K PART: prints where it is.
payload() {
	local dir=$OUTPUT/payload/$1-$2
	rm -rf "$dir"
	mkdir -p "$dir/bench"
	cp -a "$BUILD/payload/$1/." "$dir"
	cp -r "$TOP"/tests/bench/{plan,series,guest,jobs,filters}.sh "$TOP/tests/bench/cases" "$dir/bench/"
	programs "$dir/rivals" "${NBD_PROGRAMS[@]}"
	[[ ! -e $BUILD/kublk/$1/kublk ]] || cp "$BUILD/kublk/$1/kublk" "$dir/rivals/"
	echo "$dir"
}

# programs DIR FILE...: and the libraries that they name, but for the C library's own, which the guest has.
programs() {
	local dir=$1 file
	shift
	for file; do
		[[ -e $file ]] || die "no $file: run scripts/deps bench"
	done
	mkdir -p "$dir/lib"
	cp "$@" "$dir/"
	ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// && $1 !~ /^lib(c|m|pthread)\.so/ { print $3 }' | sort -u |
		xargs cp -L -t "$dir/lib"
}

# rivals K: those that have to be made for this kernel, if they are measured.
rivals() {
	! has measure || [[ $'\n'$(plan_of measure "$1") != *$'\n'ublk-* ]] || "$TOP/scripts/kublk" "$1"
}
