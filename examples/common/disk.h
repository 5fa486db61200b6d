/* SPDX-License-Identifier: MIT */
/* What lies on what: for a filter that writes, and must not write to the device that it filters. */
#ifndef DISK_H
#define DISK_H

#include <stdbool.h>

/*
 * Does @path, a file or a block device, lie on the disk that the block device @device is, or is a partition of; directly, or
 * with dm, md, btrfs or a loop device between? Two partitions of a disk do not overlap; but that a file is in one of them
 * counts. What can't be found out (a file system on the network, or of ZFS; overlayfs) counts as elsewhere.
 */
bool disk_carries(const char *device, const char *path);

#endif
