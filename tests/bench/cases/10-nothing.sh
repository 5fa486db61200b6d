# SPDX-License-Identifier: GPL-2.0
# The device alone, and below the least that Device Mapper can do.
# shellcheck shell=bash

measure bare

if planned dm-linear; then
	load_module dm_mod
	device=$(dm_create linear "0 $(blockdev --getsz "$NULL") linear $NULL 0")
	measure dm-linear
	check dmsetup remove linear
	device=$NULL
fi
