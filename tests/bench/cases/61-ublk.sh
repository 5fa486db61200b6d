# SPDX-License-Identifier: GPL-2.0
# The selftest server of ublk: a device of its own that does nothing, and one on top of ours, which is what a filter is; the
# data copied, mapped without a copy, and that with its commands in batches.
# shellcheck shell=bash

# ublk CASE OPTION...
ublk() {
	planned "$1" || return 0
	[[ -e /sys/module/ublk_drv ]] || load_module ublk_drv
	check "$RIVALS/kublk" add -n 0 -q 1 -d 128 --quiet "${@:2}" >kublk.log
	device=/dev/ublkb0
	measure "$1"
	check "$RIVALS/kublk" del -n 0 >kublk.log
	device=$NULL
}

ublk ublk-null -t null
ublk ublk-loop -t loop "$NULL"
ublk ublk-loop-zc -t loop --auto_zc "$NULL"
ublk ublk-loop-zc-batch -t loop --auto_zc --batch "$NULL"
