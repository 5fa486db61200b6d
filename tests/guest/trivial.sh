# SPDX-License-Identifier: GPL-2.0
# about: nothing
. "${0%/*}/../vm/lib.sh"
