# SPDX-License-Identifier: GPL-2.0
# A small Debian of another release, for the programs of a kernel's headers and the compiler that they want. Its
# packages come from the machine's own mirror. Sourced by scripts/kernel after apt.sh.
# shellcheck shell=bash

# make_chroot RELEASE PACKAGE...: brings build/chroot/$RELEASE up to date and sets CHROOT. The file "packages" in it is
# written last: while it is not there, nothing is.
make_chroot() {
	local release=$1 new=$BUILD/chroot/$1.new lock
	shift
	CHROOT=$BUILD/chroot/$release
	mkdir -p "$BUILD/chroot"
	exec {lock}>"$BUILD/chroot/lock"
	flock "$lock"
	if [[ ! -e $CHROOT/packages || $(<"$CHROOT/packages") != "$*" ]]; then
		check_debootstrap
		say "making a chroot of $release with $*: a minute or two"
		rm -rf "$new" "$CHROOT"
		bootstrap "$release" "$new" "$@"
		echo "$*" >"$new/packages"
		mv "$new" "$CHROOT"
	fi
	exec {lock}>&-
}

check_debootstrap() {
	command -v debootstrap >/dev/null || die "this kernel needs debootstrap: apt-get install debootstrap"
	((EUID == 0)) || die "this kernel needs a chroot, which only root can make: run 'sudo scripts/kernel ...' once"
}

# bootstrap RELEASE DIR PACKAGE...: in a mount namespace, for what it mounts, and may leave mounted when it fails.
bootstrap() {
	local release=$1 dir=$2 IFS=,
	shift 2
	find_mirrors
	logged "$BUILD/chroot/log" unshare --mount nice debootstrap --arch=amd64 --variant=minbase --force-check-gpg \
		--keyring="$KEYRING" --include="$*" "$release" "$dir" "$MIRROR"
}
