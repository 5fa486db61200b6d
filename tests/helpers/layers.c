// SPDX-License-Identifier: MIT
/*
 * A filter with several layers: layers DEVICE BLOCKS pass|mixed|copies QUEUES DEPTH ALTITUDE...
 *
 * With "mixed" the layers answer in different ways, by the block's number. At the end, by SIGTERM, it prints how many requests
 * crossed and fails unless each layer has seen each 4 KiB block once, after the layer above, and got the BFUSE_DONEs it asked for.
 */
#include <bfuse.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_uchar *seen[BFUSE_LAYERS_MAX];
static atomic_ulong crossings, asked, done_count, wrong;
static unsigned long nr_blocks;
static bool mixed;

static int answer(struct bfuse_io *io, unsigned long block)
{
	if (!mixed)
		return BFUSE_REPLY_PASS;
	if ((block + io->layer) % 3 == 0) {
		atomic_fetch_add(&asked, 1);
		return BFUSE_REPLY_NOTIFY;
	}
	if ((block + io->layer) % 5)
		return BFUSE_REPLY_PASS;
	if (bfuse_reply(io, BFUSE_REPLY_PASS))
		atomic_fetch_add(&wrong, 1);
	return BFUSE_REPLY_LATER;
}

static int on_read(struct bfuse_io *io, void *user)
{
	unsigned long block = io->request.sector / 8;

	(void)user;
	if (io->layer == (unsigned int)__builtin_ctz(io->request.layers))
		atomic_fetch_add(&crossings, 1);
	if (block >= nr_blocks)
		return answer(io, block);
	atomic_fetch_add(&seen[io->layer][block], 1);
	if (io->layer && atomic_load(&seen[io->layer - 1][block]) != 1)
		atomic_fetch_add(&wrong, 1);
	return answer(io, block);
}

static void on_done(struct bfuse_io *io, const struct bfuse_request *done, void *user)
{
	(void)io;
	(void)user;
	atomic_fetch_add(&done_count, 1);
	if (done->status)
		atomic_fetch_add(&wrong, 1);
}

static struct bfuse_filter filter = {
	.size = sizeof(filter),
	.name = "layers",
	.altitude = 1000,
	.layers = BFUSE_LAYERS_MAX,
	.read = on_read,
	.done = on_done,
};

static int fail(struct bfuse *bfuse)
{
	fprintf(stderr, "layers: %s\n", bfuse_error(bfuse));
	return EXIT_FAILURE;
}

static int verify(unsigned int layers)
{
	unsigned long block;
	unsigned int layer;

	printf("%lu\n", atomic_load(&crossings));
	for (layer = 0; layer < layers; layer++)
		for (block = 0; block < nr_blocks; block++)
			if (atomic_load(&seen[layer][block]) != 1) {
				fprintf(stderr, "layers: layer %u saw block %lu %u times\n", layer, block,
					atomic_load(&seen[layer][block]));
				return EXIT_FAILURE;
			}
	if (atomic_load(&wrong) || atomic_load(&asked) != atomic_load(&done_count)) {
		fprintf(stderr, "layers: %lu wrong, %lu of %lu completions\n", atomic_load(&wrong),
			atomic_load(&done_count), atomic_load(&asked));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	unsigned int i, layers = (unsigned int)argc - 6;
	struct bfuse *bfuse = bfuse_new();
	struct bfuse_register reg;
	sigset_t term;
	int sig;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	if (argc < 7 || layers > BFUSE_LAYERS_MAX || !bfuse)
		return 2;
	nr_blocks = strtoul(argv[2], NULL, 0);
	mixed = !strcmp(argv[3], "mixed");
	filter.copies = !strcmp(argv[3], "copies");
	for (i = 0; i < layers; i++)
		seen[i] = calloc(nr_blocks, 1);
	bfuse_derive(&filter, &reg);
	reg.nr_queues = (uint32_t)atoi(argv[4]);
	reg.depth = (uint32_t)atoi(argv[5]);
	if (bfuse_open(bfuse) || bfuse_set_filter(bfuse, &filter, NULL, &reg) || bfuse_start(bfuse))
		return fail(bfuse);
	for (i = 0; i < layers; i++)
		if (bfuse_attach_layer(bfuse, argv[1], NULL, (uint32_t)atoi(argv[6 + i]), i, 0, NULL))
			return fail(bfuse);
	/* A number that is taken stays so, from whichever side. */
	if (bfuse_attach_layer(bfuse, argv[1], NULL, filter.altitude - 1, 0, 0, NULL) != -EINVAL) {
		fprintf(stderr, "layers: two with the same number\n");
		return EXIT_FAILURE;
	}
	fprintf(stderr, "layers: attached to %s\n", argv[1]);
	sigwait(&term, &sig);
	bfuse_stop(bfuse);
	if (bfuse_wait(bfuse))
		return fail(bfuse);
	return verify(layers);
}
