// SPDX-License-Identifier: MIT
/*
 * Many direct writes at once, each of its own block and pattern: burst [--verify] DEVICE COUNT SEED
 *
 * Prints "ok N failed M" when the last has completed; an I/O that completes twice or not at all is noticed by io_getevents.
 * --verify reads the blocks back and counts those that hold what burst wrote with that SEED.
 */

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 4096

static void fill(uint64_t *buffer, unsigned int block, unsigned int seed)
{
	for (unsigned int i = 0; i < BLOCK / sizeof(*buffer); i++)
		buffer[i] = (uint64_t)seed << 48 ^ (uint64_t)block << 16 ^ i;
}

static void *buffers_new(unsigned int count)
{
	void *buffers;

	if (posix_memalign(&buffers, BLOCK, (size_t)count * BLOCK))
		errx(1, "no memory");
	return buffers;
}

static void submit(io_context_t ctx, struct iocb *iocbs, unsigned int count)
{
	struct iocb **list = calloc(count, sizeof(*list));

	for (unsigned int i = 0; i < count; i++)
		list[i] = &iocbs[i];
	for (unsigned int done = 0; done < count;) {
		int n = io_submit(ctx, count - done, list + done);

		if (n <= 0)
			errx(1, "io_submit: %s", strerror(-n));
		done += n;
	}
	free(list);
}

/* Each block exactly once. */
static unsigned int collect(io_context_t ctx, unsigned int count)
{
	struct io_event *events = calloc(count, sizeof(*events));
	bool *seen = calloc(count, sizeof(*seen));
	unsigned int ok = 0, got = 0;

	/* To be frozen with the machine ends the wait. */
	while (got < count) {
		int n = io_getevents(ctx, count - got, count - got, events + got, NULL);

		if (n < 0 && n != -EINTR)
			errx(1, "io_getevents: %s after %u of %u", strerror(-n), got, count);
		got += n > 0 ? (unsigned int)n : 0;
	}
	for (unsigned int i = 0; i < count; i++) {
		uintptr_t block = (uintptr_t)events[i].data;

		if (seen[block])
			errx(1, "block %lu completed twice", (unsigned long)block);
		seen[block] = true;
		ok += events[i].res == BLOCK;
	}
	free(seen);
	free(events);
	return ok;
}

static unsigned int run(int fd, unsigned char *buffers, unsigned int count, bool verify)
{
	struct iocb *iocbs = calloc(count, sizeof(*iocbs));
	io_context_t ctx = NULL;
	unsigned int ok;

	if (io_setup(count, &ctx))
		errx(1, "io_setup");
	for (unsigned int i = 0; i < count; i++) {
		void *buffer = buffers + (size_t)i * BLOCK;

		if (verify)
			io_prep_pread(&iocbs[i], fd, buffer, BLOCK, (long long)i * BLOCK);
		else
			io_prep_pwrite(&iocbs[i], fd, buffer, BLOCK, (long long)i * BLOCK);
		iocbs[i].data = (void *)(uintptr_t)i;
	}
	submit(ctx, iocbs, count);
	ok = collect(ctx, count);
	io_destroy(ctx);
	free(iocbs);
	return ok;
}

static unsigned int count_good(unsigned char *buffers, unsigned int count, unsigned int seed)
{
	uint64_t *want = buffers_new(1);
	unsigned int good = 0;

	for (unsigned int i = 0; i < count; i++) {
		fill(want, i, seed);
		good += !memcmp(want, buffers + (size_t)i * BLOCK, BLOCK);
	}
	free(want);
	return good;
}

int main(int argc, char **argv)
{
	bool verify = argc > 1 && !strcmp(argv[1], "--verify");
	unsigned int count, seed, ok;
	unsigned char *buffers;
	int fd;

	argv += verify;
	if (argc - verify != 4)
		errx(2, "usage: burst [--verify] DEVICE COUNT SEED");
	count = strtoul(argv[2], NULL, 10);
	seed = strtoul(argv[3], NULL, 10);
	fd = open(argv[1], O_RDWR | O_DIRECT);
	if (fd < 0)
		err(1, "%s", argv[1]);
	buffers = buffers_new(count);
	for (unsigned int i = 0; i < count && !verify; i++)
		fill((uint64_t *)(buffers + (size_t)i * BLOCK), i, seed);
	ok = run(fd, buffers, count, verify);
	if (verify)
		ok = count_good(buffers, count, seed);
	printf("ok %u failed %u\n", ok, count - ok);
	return 0;
}
