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

# debian_backport RELEASE SERIES: the newest cloud kernel of a series from the
# backports of a later release, by its own name: the metapackages go on to the
# next series.  Its headers are built with in a chroot of that release.
debian_backport() {
	local name
	apt_use "$1-backports"
	name=$(our apt-cache pkgnames "linux-headers-$2." |
		{ grep -E -- '^linux-headers-[^-]*-cloud-amd64$' || true; } | sort -V | tail -n 1)
	[[ -n $name ]] || die "no kernel $2 in $1-backports: is the mirror complete?"
	debian_release "${name#linux-headers-}" "$(candidate "$name")" "$1"
}

# debian_kernel IMAGE HEADERS: from the release and its security updates.
debian_kernel() {
	apt_use "$DEBIAN_RELEASE" "$DEBIAN_RELEASE-security"
	debian_packages "$@"
}

# debian_packages IMAGE HEADERS: both are metapackages; what they stand for is
# unpacked.  They are released together but may reach a mirror one by one.
debian_packages() {
	local version release
	version=$(candidate "$1")
	[[ -n $version ]] || die "no package $1: is the mirror complete?"
	[[ $(candidate "$2") == "$version" ]] ||
		die "$2 has no version $version to match $1: try again later"
	release=$(depends "$1" "$version" | sed -n 's/^linux-image-\([0-9].*-cloud-amd64\)$/\1/p')
	debian_release "$release" "$version"
}

# debian_release RELEASE VERSION [CHROOT]: unpacks it; CHROOT is the Debian
# release that its headers want, if they don't do with what is here.
debian_release() {
	local image headers
	mapfile -t image < <(image_packages "$1" "$2")
	mapfile -t headers < <(header_packages "$1" "$2")

	say "unpacking linux $1 ($2)"
	rm -rf "$DIR/root"
	unpack "$DIR/root" "${image[@]/%/=$2}" "${headers[@]}"
	merge_usr "$1"
	relocate_headers "$1"
	[[ -z ${3-} ]] || chroot_headers "$1" "$3" "${headers[@]}"
	link_kernel "$1"
}

# image_packages RELEASE VERSION: the packages that make up its image; later
# ones are empty but for what they depend on.
image_packages() {
	echo "linux-image-$1"
	depends "linux-image-$1" "$2" | grep -E '^linux-(base|binary|modules)-' || true
}

# header_packages RELEASE VERSION: PACKAGE=VERSION of those that make up its headers.  Kbuild need only be as new: it is not
# signed, so mirrors have the next one before the next kernel, and no longer this one.
header_packages() {
	local package
	echo "linux-headers-$1=$2"
	depends "linux-headers-$1" "$2" | grep -E '^linux-(headers-.*-common|kbuild-)' | while read -r package; do
		if [[ $package == linux-kbuild-* ]] && ! has_version "$package" "$2"; then
			echo "$package=$(candidate "$package")"
		else
			echo "$package=$2"
		fi
	done
}

# merge_usr RELEASE: later packages have everything below usr, even the kernel.
merge_usr() {
	local root=$DIR/root
	[[ -e $root/lib ]] || ln -s usr/lib "$root/lib"
	[[ ! -e $root/lib/modules/$1/vmlinuz ]] || install -D "$root/lib/modules/$1/vmlinuz" "$root/boot/vmlinuz-$1"
	rm -f "$root/lib/modules/$1/vmlinuz"
}

# relocate_headers RELEASE: the packages' Makefile names its other half, the
# headers common to all flavours, and itself by the absolute paths of installed
# packages.  The symbolic links between the packages are relative and need nothing.
relocate_headers() {
	local makefile=$DIR/root/usr/src/linux-headers-$1/Makefile
	sed -i -E "s,^(include |KBUILD_OUTPUT=)/usr/src,\\1$DIR/root/usr/src," "$makefile"
	grep -q "^include $DIR/root" "$makefile" ||
		die "$makefile is not of the form that this script knows"
}

# chroot_headers RELEASE DEBIAN PACKAGE=VERSION...: their programs and the compiler
# that they want are run in a chroot, see scripts/kbuild.
chroot_headers() {
	local needed package
	mapfile -t needed < <(
		for package in "${@:3}"; do depends "${package%=*}" "${package#*=}"; done | grep -v '^linux-' | sort -u)
	make_chroot "$2" make sparse "${needed[@]}"
	ln -sfn "$CHROOT" "$DIR/root/usr/src/linux-headers-$1/.chroot"
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
