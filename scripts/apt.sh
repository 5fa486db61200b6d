# SPDX-License-Identifier: GPL-2.0
# An apt of our own under build/: it knows the Debian suites that the guests'
# kernels come from, whatever release this machine runs, needs no root, and
# leaves the machine's own sources and lists as they are.
# Sourced after lib.sh.
# shellcheck shell=bash

APT=$BUILD/apt

# The release whose kernels are 6.1 and (backported) 6.12.
DEBIAN_RELEASE=bookworm

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# machine_uri PATTERN: the first repository in this machine's apt
# configuration whose "URI suite" matches the extended regexp.
machine_uri() {
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --no-release-info \
		--format '$(REPO_URI) $(RELEASE)' 'Identifier: Packages' |
		awk -v want="$1" '$0 ~ want && !seen++ { print $1 }'
}

# find_mirrors: sets MIRROR and SECURITY, from the environment or from the
# machine's own sources.  The suite of a Debian mirror is always among them
# under one of these names.
find_mirrors() {
	local suites='(bookworm|trixie|forky|stable|testing|sid)'
	MIRROR=${DEBIAN_MIRROR:-$(machine_uri "/debian/? $suites\$")}
	SECURITY=${DEBIAN_SECURITY_MIRROR:-$(machine_uri " $suites-security\$")}
	[[ -n $MIRROR ]] ||
		die "apt's sources name no Debian mirror: set DEBIAN_MIRROR" \
			"(and DEBIAN_SECURITY_MIRROR) to the URI of one"
}

# write_sources SUITE...: the sources of our apt; a suite that ends in
# -security comes from the security mirror, if there is one.
write_sources() {
	local suite
	[[ -r $KEYRING ]] ||
		die "$KEYRING is missing: install debian-archive-keyring"
	for suite; do
		local uri=$MIRROR
		[[ $suite != *-security ]] || uri=${SECURITY:-}
		[[ -z $uri ]] ||
			echo "deb [signed-by=$KEYRING arch=amd64] $uri $suite main"
	done
}

# our COMMAND ARG...: apt-get or apt-cache, run on our own root.
our() {
	local command=$1
	shift
	"$command" -q -o Dir::State="$APT/state" -o Dir::Cache="$APT/cache" \
		-o Dir::State::status="$APT/status" \
		-o Dir::Etc::sourcelist="$APT/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferencesparts=/dev/null \
		-o APT::Sandbox::User=root -o APT::Architecture=amd64 "$@"
}

# apt_use SUITE...: makes our apt know just these suites, and keeps others from it until apt_done or the end.
apt_use() {
	local sources
	find_mirrors
	mkdir -p "$APT"/state/lists/partial "$APT"/cache/archives/partial
	if [[ -z ${APT_LOCK-} ]]; then
		exec {APT_LOCK}>"$APT/lock"
		flock "$APT_LOCK"
	fi
	: >"$APT/status"
	sources=$(write_sources "$@")
	echo "$sources" >"$APT/sources.list"
	our apt-get update >"$APT/log" 2>&1 || {
		cat "$APT/log" >&2
		die "cannot read the package lists of $*: check the network," \
			"or set DEBIAN_MIRROR to a mirror that has them"
	}
}

apt_done() {
	exec {APT_LOCK}>&-
	unset APT_LOCK
}

# candidate PACKAGE: the version our apt would install, empty if it has none.
candidate() {
	our apt-cache policy "$1" | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'
}

# has_version PACKAGE VERSION
has_version() {
	our apt-cache madison "$1" | awk -v version="$2" '$3 == version { found = 1 } END { exit !found }'
}

# depends PACKAGE VERSION: the names it depends on, one a line.
depends() {
	our apt-cache show "$1=$2" |
		awk '/^Depends: / && !seen++ { sub(/^Depends: /, ""); print }' |
		tr ',|' '\n' |
		sed -E 's/^ +//; s/[ (].*//'
}

# unpack DIR PACKAGE=VERSION...: the packages' files, under DIR.
unpack() {
	local dir=$1 deb
	shift
	rm -rf "$APT/debs"
	mkdir -p "$APT/debs"
	(cd "$APT/debs" && our apt-get download "$@") >"$APT/log" 2>&1 || {
		cat "$APT/log" >&2
		die "cannot download $*"
	}
	for deb in "$APT"/debs/*.deb; do
		dpkg -x "$deb" "$dir"
	done
	rm -r "$APT/debs"
}
