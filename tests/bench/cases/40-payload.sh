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
# shown CASE SLOT: the data where they are; those of a read while its completion is held.
shown() {
	planned "$1" || return 0
	filter_on "$NULL" --mapped --slot "$2" --look --held --ops read
	measure "$1" read
	serve_no_more
	filter_on "$NULL" --mapped --slot "$2" --look --ops write
	measure "$1" write
	serve_no_more
}

# Both look at a word of each page: what is shown costs those who look.
for kib in 4 64 256; do
	with_data "payload-$kib-copy" $((kib * 1024)) --look
	shown "payload-$kib-mapped" $((kib * 1024))
done
