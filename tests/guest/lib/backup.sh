# SPDX-License-Identifier: GPL-2.0
# Incremental backups by marks, without an end.  Sourced by tests.
# shellcheck shell=bash

# backup_start DEVICE REPLICA SHIFT [undrained]: returns after the full backup.
backup_start() {
	"$BLKFILTER/bin/marks" "$@" >backup.out 2>backup.err &
	BACKUP=$!
	FILTER_PIDS+=("$BACKUP")
	wait_until 30 grep -qx ready backup.out
}

# backup_stop DEVICE REPLICA [GENERATIONS]: nothing was lost, over at least so
# many of them.
backup_stop() {
	local status=0 generations
	kill -TERM "$BACKUP"
	wait "$BACKUP" || status=$?
	((status == 0)) || fail "the backup: status $status: $(<backup.err)"
	tail -n 1 backup.out
	read -r generations _ < <(tail -n 1 backup.out)
	((generations >= ${3-3})) || fail "only $generations generations"
	check cmp -n "$(blockdev --getsize64 "$1")" "$1" "$2"
}
