// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Other places for data, by the ids that the module gives them.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

static int fail_target(struct bfuse *bfuse, int err)
{
	switch (err) {
	case -EINVAL:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_USAGE,
				   "%s: a target is a block device or a regular file that can be read and written", bfuse->reg.name);
	case -EACCES:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_USAGE,
				   "%s: open a target for reading and writing, or say BFUSE_TARGET_READ_ONLY", bfuse->reg.name);
	case -ENOSPC:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "%s: more than %u targets", bfuse->reg.name, BFUSE_TARGETS_MAX);
	case -EPERM:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_PERMISSION, "%s: a target needs CAP_SYS_ADMIN; try as root",
				   bfuse->reg.name);
	default:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "%s: can't make a target: %s", bfuse->reg.name, strerror(-err));
	}
}

int bfuse_describe_target(struct bfuse *bfuse, struct bfuse_target *target)
{
	int err;

	target->size = sizeof(*target);
	err = bfuse__ioctl(bfuse, BFUSE_TARGET, target);
	return err ? fail_target(bfuse, err) : 0;
}

int bfuse_target(struct bfuse *bfuse, int fd, uint32_t flags, uint32_t *target)
{
	struct bfuse_target own = { .fd = fd, .flags = flags };
	int err = bfuse_describe_target(bfuse, &own);

	if (!err)
		*target = own.target;
	return err;
}

int bfuse_untarget(struct bfuse *bfuse, uint32_t target)
{
	struct bfuse_untarget own = { .size = sizeof(own), .target = target };
	int err = bfuse__ioctl(bfuse, BFUSE_UNTARGET, &own);

	if (!err)
		return 0;
	return bfuse__fail(bfuse, err, err == -ENOENT ? BFUSE_EXIT_NOT_FOUND : BFUSE_EXIT_OTHER, "target %u: %s", target,
			   err == -ENOENT ? "there is none" : err == -EBUSY ? "a request uses it" : strerror(-err));
}
