# SPDX-License-Identifier: GPL-2.0
# What a guest boots, made once for each kernel and again when something in it
# changes: build/vm/$K/root.img, a read-only disk with this machine's tools and
# the kernel's modules, and build/vm/$K/initramfs, which finds that disk.
# The tools are those of TOOL_PACKAGES.  Sourced by tests/vm/run after
# scripts/packages.sh.
# shellcheck shell=bash

# Libraries that the payload's programs need and none of those does.
IMAGE_LIBRARIES=(
	libaio.so.1 libjson-c.so.5 libsmartcols.so.1 liburing.so.2
)

# What init needs to find all disks and to speak to the host.
ROOT_MODULES=(virtio_pci virtio_blk virtio_scsi sd_mod nvme ext4 virtio_console configfs)

# make_image K: brings build/vm/$K up to date.
make_image() {
	local dir=$BUILD/vm/$1 key lock
	mkdir -p "$dir"
	exec {lock}>"$dir/lock"
	flock "$lock"
	check_tools
	key=$(image_key "$1")
	if [[ ! -e $dir/key || $(<"$dir/key") != "$key" ]]; then
		say "making the root disk of the $1 guest"
		rm -f "$dir/key"
		make_initramfs "$1" "$dir"
		make_root "$1" "$dir"
		echo "$key" >"$dir/key"
	fi
	exec {lock}>&-
}

# check_tools: a guest without one of them would fail its tests in odd ways.
check_tools() {
	local absent
	absent=$(missing_packages "${TOOL_PACKAGES[@]}")
	[[ -z $absent ]] || die "run scripts/deps check first: not installed: ${absent//$'\n'/ }"
}

# image_key K: changes when the content of the image would.
image_key() {
	{
		dpkg-query -W "${TOOL_PACKAGES[@]}" libc6
		stat -L -c '%n %Y' "$BUILD/kernel/$1/"{vmlinuz,release}
		cat "$TOP"/tests/vm/{image.sh,init.c}
	} | sha256sum
}

# make_initramfs K DIR: uncompressed, as QEMU hands it over faster than a guest
# that is emulated can unpack it.
make_initramfs() {
	local tree=$2/initramfs.d
	rm -rf "$tree"
	mkdir -p "$tree"/{dev,modules,new,proc,sys}
	logged "$2/init.log" gcc -O2 -Wall -Wextra -Werror -static \
		-o "$tree/init" "$TOP/tests/vm/init.c"
	copy_modules "$1" "$tree/modules"
	(cd "$tree" && find . | cpio --quiet -o -H newc -R 0:0) >"$2/initramfs"
	rm -r "$tree"
}

# copy_modules K TO: ROOT_MODULES and what they need, as 10.ko, 11.ko, ...
copy_modules() {
	local path order=10
	module_paths "$1" | while read -r path; do
		case $path in
		*.ko) cp "$path" "$2/$order.ko" ;;
		*.ko.xz) xz -dc "$path" >"$2/$order.ko" ;;
		*.ko.zst) zstd -qdc "$path" >"$2/$order.ko" ;;
		*) die "$path: compressed in an unknown way" ;;
		esac
		order=$((order + 1))
	done
}

# module_paths K: in the order of loading, each once.
module_paths() {
	local kernel=$BUILD/kernel/$1
	modprobe -d "$kernel/root" -S "$(<"$kernel/release")" \
		--show-depends -a "${ROOT_MODULES[@]}" |
		awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# make_root K DIR: the tree, then a file system without a journal, which a
# disk that nobody writes to has no use for.
make_root() {
	local tree=$2/root.d
	rm -rf "$tree" "$2/root.img"
	mkdir -p "$tree"/{blkfilter,dev,etc,mnt,proc,root,run,sys,tmp,var}
	mkdir -p "$tree"/usr/{bin,sbin,lib,lib64}
	ln -s usr/bin usr/sbin usr/lib usr/lib64 "$tree/"
	copy_tools "$tree"
	mkdir -p "$tree/usr/lib/modules"
	cp -a "$(realpath "$BUILD/kernel/$1/modules")" "$tree/usr/lib/modules/"
	echo 'root:x:0:0:root:/root:/bin/bash' >"$tree/etc/passwd"
	echo 'root:x:0:' >"$tree/etc/group"
	ln -s /proc/self/mounts "$tree/etc/mtab"
	logged "$2/mke2fs.log" mke2fs -q -t ext4 -O ^has_journal -E root_owner=0:0 \
		-d "$tree" "$2/root.img" "$(image_size "$tree")"
	rm -r "$tree"
}

# image_size TREE: with room for the file system's own blocks.
image_size() {
	echo "$(($(du -sm "$1" | cut -f 1) * 5 / 4 + 16))M"
}

# copy_tools TREE: programs, and every library that one of them names.
copy_tools() {
	local programs libraries
	programs=$(dpkg -L "${TOOL_PACKAGES[@]}" | grep -E '^(/usr)?/s?bin/.')
	libraries=$(for program in $programs; do
		[[ ! -f $program ]] || ldd "$program" 2>/dev/null || true
	done | grep -oE '/[^ ]+\.so[^ ]*' | sort -u)
	libraries+=$'\n'$(known_libraries)
	printf '%s\n' "$programs" "$libraries" | sort -u | sed 's|^/||' |
		tar -C / -c --dereference --hard-dereference --files-from=- |
		tar -x -C "$1" --keep-directory-symlink
	ln -sf mawk "$1/usr/bin/awk"
	ln -sf bash "$1/usr/bin/sh"
}

# known_libraries: where the loader finds IMAGE_LIBRARIES; absent ones are
# those of programs that are not built here.
known_libraries() {
	local name
	for name in "${IMAGE_LIBRARIES[@]}"; do
		ldconfig -p | awk -v name="$name" '$1 == name && /x86-64/ && !seen++ { print $NF }'
	done
}
