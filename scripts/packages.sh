# SPDX-License-Identifier: GPL-2.0
# Every Debian package that something here needs, by what it is needed for.
# Sourced by scripts/deps, which installs them, and by tests/vm/image.sh.
# shellcheck shell=bash disable=SC2034

# To compile the module, the library, the tool and the examples.
BUILD_PACKAGES=(
	gcc make pkg-config libc6-dev linux-libc-dev kmod
	liburing-dev libaio-dev libjson-c-dev libsmartcols-dev
)

# To get kernels and boot them as guests.
GUEST_PACKAGES=(
	apt ca-certificates debian-archive-keyring dpkg
	cpio e2fsprogs kmod qemu-system-x86 xz-utils zstd
)

# For a kernel whose headers are built with in a chroot: scripts/kernel 7.3.
CHROOT_PACKAGES=(debootstrap)

# The tools of a guest: all their programs are copied into it.
TOOL_PACKAGES=(
	bash bsdextrautils coreutils diffutils findutils grep mawk sed tar
	kmod mount perl-base procps psmisc strace util-linux
	blktrace btrfs-progs dmsetup e2fsprogs fdisk fio mdadm xfsprogs
)

# What the benchmarks compare with, and what their results are made into.
BENCH_PACKAGES=(gnuplot-nox jq nbd-client nbdkit)

# To check the source itself.
LINT_PACKAGES=(check git perl shellcheck sparse)

# To compile a kernel: scripts/kernel debug.
KERNEL_PACKAGES=(
	apt ca-certificates debian-archive-keyring dpkg
	bc bison cpio flex gcc kmod libc6-dev libelf-dev libssl-dev make
	perl python3 rsync xz-utils
)

# missing_packages PACKAGE...: those that are not installed, one a line.
missing_packages() {
	local package status
	for package; do
		status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || true
		[[ $status == installed ]] || echo "$package"
	done
}
