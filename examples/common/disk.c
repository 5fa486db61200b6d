// SPDX-License-Identifier: MIT
#include "disk.h"

#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/btrfs.h>

static bool lies_on(const char *disk, const char *wanted);

static bool is_disk(dev_t dev)
{
	char part[64];

	snprintf(part, sizeof(part), "/sys/dev/block/%u:%u/partition", major(dev), minor(dev));
	return access(part, F_OK);
}

/* Where sysfs has the disk that @dev is, or is a partition of. False: it is no block device, or not of one. */
static bool find_disk(dev_t dev, char disk[PATH_MAX])
{
	char link[64];

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	if (!realpath(link, disk))
		return false;
	if (!is_disk(dev))
		*strrchr(disk, '/') = 0;
	return true;
}

/* @pattern: of the files in sysfs that hold the numbers of devices. */
static bool any_lies_on(const char *pattern, const char *wanted)
{
	unsigned int major, minor;
	char disk[PATH_MAX];
	bool found = false;
	glob_t numbers;

	if (glob(pattern, 0, NULL, &numbers))
		return false;
	for (size_t i = 0; i < numbers.gl_pathc && !found; i++) {
		FILE *file = fopen(numbers.gl_pathv[i], "re");

		if (file && fscanf(file, "%u:%u", &major, &minor) == 2 && find_disk(makedev(major, minor), disk))
			found = lies_on(disk, wanted);
		if (file)
			fclose(file);
	}
	globfree(&numbers);
	return found;
}

/* A file system of several devices, whose files have a device number of none of them. */
static bool lies_on_by_btrfs(const char *path, const char *wanted)
{
	struct btrfs_ioctl_fs_info_args info;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool is_btrfs = fd >= 0 && !ioctl(fd, BTRFS_IOC_FS_INFO, &info);
	const unsigned char *id = info.fsid;
	char pattern[128];

	if (fd >= 0)
		close(fd);
	if (!is_btrfs)
		return false;
	snprintf(pattern, sizeof(pattern),
		 "/sys/fs/btrfs/%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x/devices/*/dev", id[0],
		 id[1], id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12], id[13], id[14], id[15]);
	return any_lies_on(pattern, wanted);
}

/* The file or device behind a loop device. */
static bool lies_on_by_loop(const char *disk, const char *wanted)
{
	char path[PATH_MAX], behind[PATH_MAX] = "";
	struct stat on;
	FILE *file;
	bool read;

	snprintf(path, sizeof(path), "%s/loop/backing_file", disk);
	file = fopen(path, "re");
	if (!file)
		return false;
	read = fgets(behind, sizeof(behind), file);
	fclose(file);
	behind[strcspn(behind, "\n")] = 0;
	if (!read || stat(behind, &on))
		return false;
	if (find_disk(S_ISBLK(on.st_mode) ? on.st_rdev : on.st_dev, path))
		return lies_on(path, wanted);
	return lies_on_by_btrfs(behind, wanted);
}

/* Is @disk, as sysfs has it, @wanted, or is it made of that? */
static bool lies_on(const char *disk, const char *wanted)
{
	char pattern[PATH_MAX];

	if (!strcmp(disk, wanted))
		return true;
	snprintf(pattern, sizeof(pattern), "%s/slaves/*/dev", disk);
	return any_lies_on(pattern, wanted) || lies_on_by_loop(disk, wanted);
}

bool disk_carries(const char *device, const char *path)
{
	char disk[PATH_MAX], wanted[PATH_MAX];
	struct stat of, on;
	bool is_file;
	dev_t to;

	if (stat(device, &of) || stat(path, &on))
		return false;
	is_file = !S_ISBLK(on.st_mode);
	to = is_file ? on.st_dev : on.st_rdev;
	if (to == of.st_rdev)
		return true;
	if (!find_disk(of.st_rdev, wanted))
		return false;
	if (!find_disk(to, disk))
		return is_file && lies_on_by_btrfs(path, wanted);
	if (strcmp(disk, wanted))
		return lies_on(disk, wanted);
	return is_file || is_disk(of.st_rdev) || is_disk(to);
}
