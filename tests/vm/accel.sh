# SPDX-License-Identifier: GPL-2.0
# Whether KVM runs guests here.  That /dev/kvm exists proves nothing: inside
# some virtual machines a guest under it hangs or crawls.  So a kernel is booted,
# once in each uptime of this machine.  Sourced by tests/vm/run.
# shellcheck shell=bash

PROBE_SECONDS=8

# choose_kvm K: sets USE_KVM to y or nothing; KVM=1 and KVM=0 decide unasked.
choose_kvm() {
	local cache=$BUILD/vm/kvm uptime known=
	USE_KVM=
	case ${KVM-} in
	1) USE_KVM=y; return ;;
	0) return ;;
	esac
	[[ -w /dev/kvm ]] || return 0
	uptime=$(</proc/sys/kernel/random/boot_id)
	[[ ! -e $cache ]] || known=$(<"$cache")
	if [[ $known != "$uptime "* ]]; then
		known="$uptime $(probe_kvm "$1" && echo y || echo n)"
		echo "$known" >"$cache"
	fi
	[[ $known != *" y" ]] || USE_KVM=y
}

# probe_kvm K: a guest without disks, whose init ends it at once.
probe_kvm() {
	say "trying KVM for at most $PROBE_SECONDS s (KVM=0 saves that)" >&2
	timeout -k 1 "$PROBE_SECONDS" qemu-system-x86_64 -M q35 -accel kvm -cpu host \
		-smp 2 -m 512M -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$BUILD/kernel/$1/vmlinuz" -initrd "$BUILD/vm/$1/initramfs" \
		-append "quiet panic=-1 VM_PROBE=1" >/dev/null 2>&1
}
