# SPDX-License-Identifier: GPL-2.0
# One guest: the command line of its QEMU, and its life within a time limit.
# Sourced by tests/vm/run.
# shellcheck shell=bash

# What takes the stock kernels' boot from 20 s to a few: no messages over the
# slow emulated serial line, no calibration, no waiting for entropy.
BOOT_ARGS=(
	console=ttyS0 quiet panic=-1 log_buf_len=4M
	mitigations=off nokaslr no_timer_check tsc=reliable random.trust_cpu=on
)

# Seconds that a guest may take for its start and its end.
START_SECONDS=${START_SECONDS:-90}

# load: how many times as long everything takes on a machine that has more to do than it has processors.
load() {
	awk -v cores="$(nproc)" '{ n = int($1 / cores + 0.5); print (n < 1 ? 1 : n > 8 ? 8 : n) }' /proc/loadavg
}

# scale K SECONDS: the same work takes the debug kernel several times as long.
scale() {
	case $1 in
	debug*) echo $(($2 * 4 * LOAD)) ;;
	*) echo $(($2 * LOAD)) ;;
	esac
}

# accelerator TEST: sets ACCEL, the arguments that choose how code is run.
accelerator() {
	local smp
	smp=$(head_of "$1" smp 2)
	if [[ $(head_of "$1" icount) == yes ]]; then
		ACCEL=(-accel tcg -icount "shift=0,sleep=off" -cpu max -smp 1)
	elif [[ $USE_KVM ]]; then
		ACCEL=(-accel kvm -cpu host -smp "$smp")
	else
		# With a thread for each processor QEMU 7.2 may go on executing an int3 that ftrace
		# has replaced by its NOP on another one: a processor that is stuck for ever.
		# And with five levels of page tables KASAN now and then takes an interrupt early in boot,
		# while the processor is being identified, for a wild access.
		ACCEL=(-accel "tcg,thread=single" -cpu max,la57=off -smp "$smp")
	fi
}

# choose_core: sets PIN, which keeps a QEMU that emulates the processor on one of ours: with one thread for all of the guest's it
# takes no barrier to be needed, not even for locked instructions (tcg-op-ldst.c, do_nonatomic_op_*), though there is a second thread
# for the devices. On two processors these could miss what they tell each other, of a virtio request or of its end: for ever. A core
# that has no guest, if there is one; the lock is the guest's as long as it lives.
choose_core() {
	local core cores lock
	PIN=()
	[[ ${ACCEL[*]} != *"-accel kvm"* ]] || return 0
	mapfile -t cores < <(our_cores | shuf)
	for core in "${cores[@]}"; do
		exec {lock}>>"$BUILD/vm/core.$core"
		! flock -n "$lock" || break
		exec {lock}>&-
	done
	PIN=(taskset -c "$core")
}

# our_cores: the numbers of the processors that we may use.
our_cores() {
	local from to
	taskset -cp "$BASHPID" | sed 's/.*: //' | tr , '\n' | while IFS=- read -r from to; do
		seq "$from" "${to:-$from}"
	done
}

# own_disks K: the two disks that no test sees among its own, told from them
# by their serial numbers.
own_disks() {
	local name file
	for name in root payload; do
		file=$BUILD/vm/$1/root.img
		[[ $name == root ]] || file=$PAYLOAD
		DISKS+=(
			-blockdev "driver=raw,node-name=$name,read-only=on,file.driver=file,file.locking=off,file.filename=$file"
			-device "virtio-blk-pci,drive=$name,serial=DISK_${name^^}"
		)
	done
}

# test_disk N SPEC DIR: SPEC is kind:size[,property=value...]; the properties go
# to QEMU's device.  Behind a port of its own each can be unplugged.
test_disk() {
	local id=disk$1 kind=${2%%:*} size=${2#*:} properties= device
	[[ $size != *,* ]] || properties=,${size#*,}
	size=${size%%,*}
	truncate -s "$size" "$3/$id.img"
	case $kind in
	virtio) device=virtio-blk-pci,bus=port$1 ;;
	nvme) device=nvme,bus=port$1 ;;
	scsi) device=scsi-hd,bus=scsi.0 ;;
	*) die "disk '$2': a kind is virtio, nvme or scsi" ;;
	esac
	[[ $kind == scsi ]] ||
		DISKS+=(-device "pcie-root-port,id=port$1,chassis=$(($1 + 1)),slot=$(($1 + 1))")
	DISKS+=(
		-blockdev "driver=raw,node-name=$id,discard=unmap,cache.no-flush=on,file.driver=file,file.filename=$3/$id.img"
		-device "$device,id=$id,drive=$id,serial=DISK$1$properties"
	)
}

# all_disks TEST K DIR: sets DISKS.
all_disks() {
	local spec specs number=0
	DISKS=()
	own_disks "$2"
	read -ra specs <<<"$(head_of "$1" disks)"
	# shellcheck disable=SC2054 # QEMU's commas
	[[ ${specs[*]-} != *scsi:* ]] || DISKS+=(-device virtio-scsi-pci,id=scsi)
	for spec in ${specs[@]+"${specs[@]}"}; do
		test_disk "$((number++))" "$spec" "$3"
	done
}

# ports DIR: virtio-serial ports, see tests/vm/init.c.  The one called monitor
# is wired to QEMU's own monitor: the guest can have its disks unplugged.  The
# socket's path is limited to 107 bytes, so it isn't in DIR.
ports() {
	local name qmp
	qmp=$WORK/$(basename "$1").qmp
	PORTS=(-device "virtio-serial-pci,max_ports=4")
	for name in log result; do
		PORTS+=(
			-chardev "file,id=$name,path=$1/$name"
			-device "virtserialport,chardev=$name,name=$name"
		)
	done
	# shellcheck disable=SC2054 # QEMU's commas
	PORTS+=(
		-chardev "socket,id=qmp,path=$qmp,server=on,wait=off"
		-mon chardev=qmp,mode=control
		-chardev "socket,id=monitor,path=$qmp"
		-device virtserialport,chardev=monitor,name=monitor
	)
}

# kernel_args TEST K: for the guest's kernel, and through it for tests/vm/init.c.
kernel_args() {
	local disks args=("${BOOT_ARGS[@]}")
	disks=$(head_of "$1" disks)
	[[ ${SLUB-} != 1 ]] || args+=(slub_debug=FZPU)
	[[ $2 != debug* ]] || args+=(kmemleak=on)
	# Sampled by a timer: instructions would no longer count the same.
	[[ $(head_of "$1" icount) == yes ]] || args+=(kfence.sample_interval=10)
	args+=("VM_TEST=$(basename "$1" .sh)" "VM_DISKS=$(wc -w <<<"$disks")")
	args+=("VM_TIMEOUT=$(guest_timeout "$1" "$2")" "SLOWNESS=$LOAD")
	args+=("$(head_of "$1" append)" "${APPEND-}")
	echo "${args[*]}${VM_SHELL:+ VM_SHELL=1}"
}

# seconds TEST: that it may take.
seconds() {
	echo "${TIMEOUT:-$(head_of "$1" timeout 60)}"
}

# guest_timeout TEST K: what the guest measures.  With icount its clock leaps
# ahead whenever it waits for a disk: then only the host limits it.
guest_timeout() {
	if [[ $(head_of "$1" icount) == yes ]]; then
		echo 0
	else
		scale "$2" "$(seconds "$1")"
	fi
}

# memory TEST K: half of what a debug kernel has is shadow and records.
memory() {
	local size
	size=$(head_of "$1" memory 512M)
	[[ $2 != debug* ]] || size=$((${size%M} * 2))M
	echo "$size"
}

# boot TEST K DIR: sets GUEST_STATUS, QEMU's own, or 124 when its time ran out.
# QEMU is a background job so that a signal to this shell ends it at once.
boot() {
	local limit LOAD console=(-serial "file:$3/console")
	LOAD=$(load)
	accelerator "$1"
	choose_core
	all_disks "$1" "$2" "$3"
	ports "$3"
	limit=$(($(scale "$2" "$START_SECONDS") + $(scale "$2" "$(seconds "$1")")))
	if [[ ${VM_SHELL-} ]]; then
		console=(-serial mon:stdio)
		limit=0
	fi
	GUEST_STATUS=0
	timeout --foreground -k 5 "$limit" ${PIN[@]+"${PIN[@]}"} qemu-system-x86_64 \
		-M q35 "${ACCEL[@]}" -m "$(memory "$1" "$2")" \
		-nodefaults -no-user-config -display none -no-reboot \
		-kernel "$BUILD/kernel/$2/vmlinuz" -initrd "$BUILD/vm/$2/initramfs" \
		-append "$(kernel_args "$1" "$2")" \
		"${console[@]}" "${PORTS[@]}" "${DISKS[@]}" \
		2>"$3/qemu" <&0 &
	wait $! || GUEST_STATUS=$?
}
