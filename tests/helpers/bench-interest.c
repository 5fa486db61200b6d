// SPDX-License-Identifier: GPL-2.0
/*
 * A filter that the kernel never crosses to, for a reason to be measured:
 *
 *	bench-interest chunks DEVICE	its chunk bitmap says no
 *	bench-interest ranges DEVICE [N]	none of its 100,000 (or N) ranges is touched
 *	bench-interest mark DEVICE	it only wants to know what has changed
 *
 * Says "ready" when it is, and ends with SIGTERM.
 */
#include <bfuse.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANGES 100000u

/* All of them behind the first GiB. */
static int set_ranges(struct bfuse *bfuse, uint32_t attachment, const char *wanted)
{
	uint32_t i, count = wanted ? (uint32_t)strtoul(wanted, NULL, 0) : RANGES;
	struct bfuse_range *ranges = calloc(count, sizeof(*ranges));

	if (!ranges)
		errx(1, "no memory");
	for (i = 0; i < count; i++)
		ranges[i] = (struct bfuse_range){ (1u << 21) + 16ull * i, 8 };
	return bfuse_set_ranges(bfuse, attachment, ranges, count);
}

int main(int argc, char **argv)
{
	struct bfuse_register reg = {
		.name = "bench", .altitude = 500, .nr_queues = 1, .known_ops = BFUSE_OPS_ALL, .unknown = BFUSE_POLICY_PASS,
	};
	struct bfuse *bfuse = bfuse_new();
	struct bfuse_chunk_map map;
	uint32_t attachment;
	sigset_t set;
	int ret, sig;

	if (argc < 3)
		errx(2, "usage: bench-interest chunks|ranges|mark DEVICE [N]");
	reg.defaults.ops = strcmp(argv[1], "mark") ? BFUSE_OPS_ALL : 0;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ret = bfuse_open(bfuse);
	if (!ret)
		ret = bfuse_register(bfuse, &reg);
	if (!ret)
		ret = bfuse_attach(bfuse, argv[2], NULL, &attachment);
	if (!ret && !strcmp(argv[1], "chunks"))
		ret = bfuse_map_chunks(bfuse, attachment, 16, false, &map);
	else if (!ret && !strcmp(argv[1], "ranges"))
		ret = set_ranges(bfuse, attachment, argv[3]);
	else if (!ret)
		ret = bfuse_mark_begin(bfuse, attachment, 16, 0, NULL);
	if (ret)
		errx(1, "%s", bfuse_error(bfuse));
	puts("ready");
	fflush(stdout);
	sigwait(&set, &sig);
	bfuse_free(bfuse);
	return 0;
}
