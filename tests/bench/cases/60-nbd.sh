# SPDX-License-Identifier: GPL-2.0
# The kernel's client of the Network Block Device, and nbdkit's memory plugin, over a socket of this machine.
# shellcheck shell=bash

nbd_client() {
	LD_LIBRARY_PATH=$RIVALS/lib "$RIVALS/nbd-client" "$@"
}

if planned nbd; then
	load_module nbd nbds_max=1
	LD_LIBRARY_PATH=$RIVALS/lib "$RIVALS/nbdkit" --foreground --threads=1 --unix "$PWD/nbd" "$RIVALS/nbdkit-memory-plugin.so" 64M \
		>nbdkit.log 2>&1 &
	nbdkit=$!
	wait_until 60 test -S nbd
	check nbd_client -unix "$PWD/nbd" /dev/nbd0 >nbd-client.log
	device=/dev/nbd0
	span=64M
	measure nbd
	check nbd_client -d /dev/nbd0 >nbd-client.log
	kill "$nbdkit"
	wait "$nbdkit" || true
	device=$NULL
	span=256M
fi
