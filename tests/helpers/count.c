// SPDX-License-Identifier: MIT
/*
 * A filter that passes everything and at its end prints how many requests it was given, and how many of these again; and, not
 * among them, how many were injected: count --device DEVICE ...
 */
#include <bfuse.h>

#include <stdatomic.h>
#include <stdio.h>

static atomic_ulong requests, redelivered, injected;

static int any(struct bfuse_io *io, void *user)
{
	(void)user;
	if (io->request.flags & BFUSE_RQ_INJECTED) {
		atomic_fetch_add(&injected, 1);
		return BFUSE_REPLY_PASS;
	}
	atomic_fetch_add(&requests, 1);
	if (io->request.flags & BFUSE_RQ_REDELIVERED)
		atomic_fetch_add(&redelivered, 1);
	return BFUSE_REPLY_PASS;
}

static const struct bfuse_filter count = {
	.size = sizeof(count),
	.name = "count",
	.altitude = 500,
	.any = any,
};

int main(int argc, char **argv)
{
	int status = bfuse_main(argc, argv, &count, NULL);

	printf("%lu %lu\n", atomic_load(&requests), atomic_load(&redelivered));
	if (atomic_load(&injected))
		printf("%lu injected\n", atomic_load(&injected));
	return status;
}
