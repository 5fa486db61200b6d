# SPDX-License-Identifier: GPL-2.0
# A filter on a thousand other devices, which stay: so this comes last. Each of them may have others below it, by its looks, and has
# a tag of its own.
# shellcheck shell=bash

if planned unattached-1000; then
	many_devices 1000
	measure bare-1000
	# shellcheck disable=SC2154 # many_devices
	serve "$BLKFILTER/bin/bench-filter" --queues 1 --depth 2048 --ready-fd 1 "${many[@]}"
	measure unattached-1000
	serve_no_more
fi
