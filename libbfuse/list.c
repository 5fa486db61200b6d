// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Enumeration: the module, attachments, filters.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

static int fail_query(struct bfuse *bfuse, const char *what, int err)
{
	if (err == -EPERM)
		return bfuse__fail(bfuse, err, BFUSE_EXIT_PERMISSION, "can't list %s: needs CAP_SYS_ADMIN; try as root",
				   what);
	if (err == -ENOTTY || err == -E2BIG || err == -EINVAL)
		return bfuse__fail(
			bfuse, err, BFUSE_EXIT_ABI,
			"can't list %s: the module is of another version; install both from the same release", what);
	return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "can't list %s: %s", what, strerror(-err));
}

int bfuse_get_info(struct bfuse *bfuse, struct bfuse_info *info)
{
	int err;

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	err = bfuse__ioctl(bfuse, BFUSE_GET_INFO, info);
	info->version[sizeof(info->version) - 1] = '\0';
	return err ? fail_query(bfuse, "features", err) : 0;
}

/* The kernel wants everything but the id to be zero. */
int bfuse_next_attachment(struct bfuse *bfuse, struct bfuse_next *next)
{
	uint32_t attachment = next->attachment;
	int err;

	memset(next, 0, sizeof(*next));
	next->size = sizeof(*next);
	next->attachment = attachment;
	err = bfuse__ioctl(bfuse, BFUSE_NEXT, next);
	if (err)
		return err == -ENOENT ? 0 : fail_query(bfuse, "attachments", err);
	next->device[sizeof(next->device) - 1] = '\0';
	next->name[sizeof(next->name) - 1] = '\0';
	return 1;
}

int bfuse_next_filter(struct bfuse *bfuse, struct bfuse_next_filter *next)
{
	uint32_t filter = next->filter;
	int err;

	memset(next, 0, sizeof(*next));
	next->size = sizeof(*next);
	next->filter = filter;
	err = bfuse__ioctl(bfuse, BFUSE_NEXT_FILTER, next);
	if (err)
		return err == -ENOENT ? 0 : fail_query(bfuse, "filters", err);
	next->name[sizeof(next->name) - 1] = '\0';
	return 1;
}

int bfuse_next_log(struct bfuse *bfuse, struct bfuse_log *log)
{
	uint32_t flags = log->flags;
	uint64_t seq = log->seq;
	int err;

	memset(log, 0, sizeof(*log));
	log->size = sizeof(*log);
	log->flags = flags;
	log->seq = seq;
	err = bfuse__ioctl(bfuse, BFUSE_LOG, log);
	if (err == -EINTR)
		return err;
	if (err)
		return err == -ENOENT ? 0 : fail_query(bfuse, "events", err);
	log->device[sizeof(log->device) - 1] = '\0';
	log->name[sizeof(log->name) - 1] = '\0';
	return 1;
}
