// SPDX-License-Identifier: MIT
/*
 * The smallest filter: sees every request and lets it pass.
 */
#include <bfuse.h>

static int pass(struct bfuse_io *io, void *user)
{
	(void)io;
	(void)user;
	return BFUSE_REPLY_PASS;
}

int main(int argc, char **argv)
{
	static const struct bfuse_filter filter = {
		.size = sizeof(filter),
		.name = "pass",
		.altitude = 500,
		.summary = "Sees every request and lets it pass.",
		.any = pass,
	};

	return bfuse_main(argc, argv, &filter, NULL);
}
