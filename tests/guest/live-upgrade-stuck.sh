#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: hundreds of new versions take over while the first still keeps a request; when it answers, all of them are let go
# disks: virtio:64M
# timeout: 120
. "${0%/*}/../vm/lib.sh"

# Workers let go of them.
unused() {
	[[ $(</sys/module/blkfilter/refcnt) == 0 ]]
}

load_module
check timeout 100 "$BLKFILTER/bin/heirs" "$DISK0" 400
wait_until 20 unused
unload_module
