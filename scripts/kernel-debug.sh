# SPDX-License-Identifier: GPL-2.0
# The kernel that watches: compiled from Debian's kernel source with
# tests/vm/debug.config, and debug-$SERIES.config if there is one.
# Sourced by scripts/kernel.
# shellcheck shell=bash

# debug_kernel SERIES: 6.1 or 6.12.
debug_kernel() {
	local src=$DIR/src out=$DIR/root
	[[ -e $src/Makefile ]] || debug_source "$1"
	debug_config "$1" "$src"
	# Both look at every allocation or lock, and are not what is being tested.
	local unwatched=(KASAN_SANITIZE_kmemleak.o=n KASAN_SANITIZE_lockdep.o=n)
	say "compiling linux $(make -s -C "$src" kernelversion): this takes 10 minutes on 2 cores"
	logged "$DIR/log" nice -n 19 make -C "$src" -j "$(nproc)" "${unwatched[@]}" bzImage modules
	rm -rf "$out"
	logged "$DIR/log.install" make -C "$src" "${unwatched[@]}" modules_install INSTALL_MOD_PATH="$out"
	debug_link "$(make -s -C "$src" kernelrelease)"
}

# debug_source SERIES: unpacks the source into $DIR/src.
debug_source() {
	local version package=linux-source-$1
	apt_use "$DEBIAN_RELEASE" "$DEBIAN_RELEASE-security"
	version=$(candidate "$package")
	[[ -n $version ]] || die "no package $package: is the mirror complete?"
	say "unpacking the source of linux $version"
	unpack "$DIR/package" "$package=$version"
	apt_done
	rm -rf "$DIR/src.new"
	mkdir "$DIR/src.new"
	tar -xf "$DIR/package/usr/src/$package.tar.xz" -C "$DIR/src.new" --strip-components=1
	rm -r "$DIR/package"
	mv "$DIR/src.new" "$DIR/src"
}

# debug_config SERIES SRC: the smallest kernel there is, plus the fragments.
debug_config() {
	local src=$2 lost fragments=("$TOP/tests/vm/debug.config" "$TOP/tests/vm/debug-$1.config"*)
	logged "$DIR/log.config" make -C "$src" tinyconfig
	logged "$DIR/log.merge" env -C "$src" \
		scripts/kconfig/merge_config.sh -m .config "${fragments[@]}"
	logged "$DIR/log.config" make -C "$src" olddefconfig
	lost=$(lost_options "$src/.config" "${fragments[@]}")
	[[ -z $lost ]] ||
		die "options of ${fragments[*]#"$TOP/"} that did not take effect:" \
			"a dependency is missing or the name is not this kernel's:"$'\n'"$lost"
}

# lost_options CONFIG FRAGMENT...: lines of the fragments that CONFIG does not
# have.  Kconfig drops silently what it cannot satisfy.
lost_options() {
	local line config=$1
	shift
	grep -hE '^CONFIG_' "$@" | while read -r line; do
		if [[ $line == *=n ]]; then
			! grep -q "^${line%=n}=" "$config" || echo "$line"
		else
			grep -qFx "$line" "$config" || echo "$line"
		fi
	done
}

# debug_link RELEASE: gives the files the names that all kernels have.
debug_link() {
	rm -f "$DIR/root/lib/modules/$1/"{build,source}
	ln -sfn src/arch/x86/boot/bzImage "$DIR/vmlinuz"
	ln -sfn "root/lib/modules/$1" "$DIR/modules"
	ln -sfn src "$DIR/headers"
	echo "$1" >"$DIR/release"
}
