// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Requests of the filter's own.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

struct injected {
	bfuse_inject_fn done;
	void *user;
};

int bfuse_queue_inject(struct bfuse_queue *queue, const struct bfuse_inject *inject)
{
	struct bfuse_inject own = *inject;

	own.size = sizeof(own);
	own.queue = queue->number;
	return bfuse__ioctl(queue->bfuse, BFUSE_INJECT, &own);
}

/* The calling thread's own queue, or the first. */
static struct bfuse_queue *choose_queue(struct bfuse *bfuse)
{
	unsigned int i;

	for (i = 0; i < bfuse->nr_queues; i++) {
		if (bfuse__is_served_here(&bfuse->queues[i]))
			return &bfuse->queues[i];
	}
	return &bfuse->queues[0];
}

/* @inject names the place. */
static int inject_to(struct bfuse *bfuse, struct bfuse_inject *inject, bfuse_inject_fn done, void *user)
{
	struct injected *injected;
	int err;

	if (!bfuse->threads)
		return -EINVAL;
	injected = malloc(sizeof(*injected));
	if (!injected)
		return -ENOMEM;
	injected->done = done;
	injected->user = user;
	inject->cookie = (uintptr_t)injected;
	atomic_fetch_add(&bfuse->injects, 1);
	err = bfuse_queue_inject(choose_queue(bfuse), inject);
	if (err) {
		free(injected);
		/* A queue's thread may have seen it under way, and have gone to sleep for it. */
		if (atomic_fetch_sub(&bfuse->injects, 1) == 1 && atomic_load(&bfuse->finished))
			bfuse__finish(bfuse);
	}
	return err;
}

int bfuse_inject(struct bfuse *bfuse, uint32_t attachment, unsigned int op, uint32_t flags, uint64_t sector, void *buffer,
		 uint32_t length, bfuse_inject_fn done, void *user)
{
	struct bfuse_inject inject = { .attachment = attachment,
				       .op = op,
				       .flags = flags,
				       .sector = sector,
				       .address = (uintptr_t)buffer,
				       .length = length };

	return inject_to(bfuse, &inject, done, user);
}

int bfuse_inject_target(struct bfuse *bfuse, uint32_t target, unsigned int op, uint32_t flags, uint64_t sector, void *buffer,
			uint32_t length, bfuse_inject_fn done, void *user)
{
	struct bfuse_inject inject = { .target = target,
				       .op = op,
				       .flags = flags,
				       .sector = sector,
				       .address = (uintptr_t)buffer,
				       .length = length };

	return inject_to(bfuse, &inject, done, user);
}

/* Returns how many are still under way. */
unsigned int bfuse__inject_done(struct bfuse *bfuse, const struct bfuse_request *entry)
{
	struct injected *injected = (struct injected *)(uintptr_t)entry->tag;

	injected->done(entry->status, injected->user);
	free(injected);
	return atomic_fetch_sub(&bfuse->injects, 1) - 1;
}
