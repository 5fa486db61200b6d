#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# about: interest in flags, in a process and in a cgroup with those below it, or in all but those
# disks: virtio:16M
# timeout: 60
. "${0%/*}/../vm/lib.sh"

load_module
check "$BLKFILTER/bin/ranges" flags "$DISK0"

CGROUP=/sys/fs/cgroup
grep -qw io "$CGROUP/cgroup.controllers" || skip "no io controller in this kernel; flags and processes work"
echo +io >"$CGROUP/cgroup.subtree_control"
mkdir "$CGROUP/test"
echo +io >"$CGROUP/test/cgroup.subtree_control"
mkdir "$CGROUP/test/sub"
check "$BLKFILTER/bin/ranges" cgroup "$DISK0" "$CGROUP/test"
