# SPDX-License-Identifier: GPL-2.0
# A kernel and its headers from Debian's packages, unpacked under $DIR and made
# to work there.  Sourced by scripts/kernel.
# shellcheck shell=bash

# debian_kernel_6_12: Debian moved 6.12 from the backports of bookworm, where
# it was the plain cloud kernel, to a name of its own in the security suite.
debian_kernel_6_12() {
	apt_use "$DEBIAN_RELEASE" "$DEBIAN_RELEASE-security"
	if [[ -n $(candidate linux-image-6.12-cloud-amd64) ]]; then
		debian_packages linux-image-6.12-cloud-amd64 \
			linux-headers-6.12-cloud-amd64
		return
	fi
	apt_use "$DEBIAN_RELEASE-backports"
	debian_packages linux-image-cloud-amd64 linux-headers-cloud-amd64
}

# debian_kernel IMAGE HEADERS: from the release and its security updates.
debian_kernel() {
	apt_use "$DEBIAN_RELEASE" "$DEBIAN_RELEASE-security"
	debian_packages "$@"
}

# debian_packages IMAGE HEADERS: both are metapackages; what they stand for is
# unpacked.  They are released together but may reach a mirror one by one.
debian_packages() {
	local version release headers
	version=$(candidate "$1")
	[[ -n $version ]] || die "no package $1: is the mirror complete?"
	[[ $(candidate "$2") == "$version" ]] ||
		die "$2 has no version $version to match $1: try again later"
	release=$(depends "$1" "$version" | sed -n 's/^linux-image-\([0-9].*-cloud-amd64\)$/\1/p')
	mapfile -t headers < <(header_packages "$release" "$version")

	say "unpacking linux $release ($version)"
	rm -rf "$DIR/root"
	unpack "$DIR/root" "linux-image-$release=$version" "${headers[@]/%/=$version}"
	relocate_headers "$release"
	link_kernel "$release"
}

# header_packages RELEASE VERSION: the packages that make up its headers.
header_packages() {
	echo "linux-headers-$1"
	depends "linux-headers-$1" "$2" | grep -E '^linux-(headers-.*-common|kbuild-)'
}

# relocate_headers RELEASE: the packages' Makefile names its other half, the
# headers common to all flavours, by the absolute path of an installed package.
# The symbolic links between the packages are relative and need nothing.
relocate_headers() {
	local makefile=$DIR/root/usr/src/linux-headers-$1/Makefile
	sed -i "s|^include /usr/src|include $DIR/root/usr/src|" "$makefile"
	grep -q "^include $DIR/root" "$makefile" ||
		die "$makefile is not of the form that this script knows"
}

# link_kernel RELEASE: gives the unpacked files the names that all kernels have.
link_kernel() {
	local root=$DIR/root
	rm -f "$root/lib/modules/$1/"{build,source}
	depmod -b "$root" "$1"
	ln -sfn "root/boot/vmlinuz-$1" "$DIR/vmlinuz"
	ln -sfn "root/lib/modules/$1" "$DIR/modules"
	ln -sfn "root/usr/src/linux-headers-$1" "$DIR/headers"
	echo "$1" >"$DIR/release"
}
