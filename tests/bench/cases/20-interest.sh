# SPDX-License-Identifier: GPL-2.0
# Filters that nothing crosses to.
# shellcheck shell=bash

if planned unattached; then
	filter_on "$OTHER"
	measure unattached
	serve_no_more
fi

filtered no-interest --ops none
narrowed bitmap-no chunks
narrowed range-no ranges
narrowed mark mark
