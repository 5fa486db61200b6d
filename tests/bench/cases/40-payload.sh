# SPDX-License-Identifier: GPL-2.0
# A filter process that sees the data as well.
# shellcheck shell=bash

# with_data CASE SLOT OPTION...: the data of a write come with the request, those of a read when it is done.
with_data() {
	planned "$1" || return 0
	filter_on "$NULL" --payload --slot "$2" --notify --ops read "${@:3}"
	measure "$1" read
	serve_no_more
	filter_on "$NULL" --payload --slot "$2" --ops write "${@:3}"
	measure "$1" write
	serve_no_more
}

with_data pass-copy 131072
with_data payload-4-copy 4096
with_data payload-64-copy 65536
with_data payload-256-copy 262144
