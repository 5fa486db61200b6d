// SPDX-License-Identifier: MIT
/*
 * A filter that injects requests of each kind below itself: inject DEVICE ALTITUDE COUNT
 *
 * One megabyte written and read back, a flush, a discard, zeroes, and COUNT more writes from three threads. It prints how many
 * requests it saw itself, which is to be what others did. "kill" for COUNT: writes without end.
 */
#include <bfuse.h>

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEGABYTE (1u << 20)

static atomic_ulong seen, own, failed;
static struct bfuse *bfuse;
static uint32_t attachment;
static unsigned long count;

static int any(struct bfuse_io *io, void *user)
{
	(void)user;
	atomic_fetch_add(&seen, 1);
	if (io->request.flags & BFUSE_RQ_INJECTED)
		atomic_fetch_add(&own, 1);
	return BFUSE_REPLY_PASS;
}

static const struct bfuse_filter filter = {
	.size = sizeof(filter),
	.name = "inject",
	.any = any,
};

static void *buffer_new(void)
{
	void *buffer = aligned_alloc(4096, MEGABYTE);

	if (!buffer)
		err(1, "memory");
	return buffer;
}

struct waiter {
	atomic_bool done;
	int status;
};

static void done(int status, void *user)
{
	struct waiter *waiter = user;

	waiter->status = status;
	atomic_store(&waiter->done, true);
}

static void do_one(unsigned int op, uint32_t flags, uint64_t sector, void *buffer, uint32_t length, int want)
{
	struct waiter waiter = { .done = false };
	int ret = bfuse_inject(bfuse, attachment, op, flags, sector, buffer, length, done, &waiter);

	while (!ret && !atomic_load(&waiter.done))
		usleep(1000);
	if ((ret ? ret : waiter.status) != want)
		errx(1, "%s at %llu + %u: %d, not %d", bfuse_op_name(op), (unsigned long long)sector, length,
		     ret ? ret : waiter.status, want);
}

static void do_all(void)
{
	unsigned char *out = buffer_new(), *in = buffer_new();

	for (unsigned int i = 0; i < MEGABYTE; i++)
		out[i] = i * 7 + (i >> 9);
	do_one(BFUSE_OP_WRITE, BFUSE_RQ_FUA | BFUSE_RQ_SYNC, 0, out, MEGABYTE, 0);
	do_one(BFUSE_OP_READ, 0, 0, in, MEGABYTE, 0);
	if (memcmp(in, out, MEGABYTE))
		errx(1, "other data were read");
	do_one(BFUSE_OP_FLUSH, 0, 0, NULL, 0, 0);
	do_one(BFUSE_OP_DISCARD, 0, 2048, NULL, 65536, 0);
	do_one(BFUSE_OP_WRITE_ZEROES, 0, 0, NULL, 65536, 0);
	do_one(BFUSE_OP_READ, 0, 0, in, 65536, 0);
	for (unsigned int i = 0; i < 65536; i++)
		if (in[i])
			errx(1, "zeroes are not zero");
	/* 512 bytes off a page */
	do_one(BFUSE_OP_READ, 0, 256, in + 512, 8192, 0);
	if (memcmp(in + 512, out + 256 * 512, 8192))
		errx(1, "other data were read into the middle of a page");

	do_one(BFUSE_OP_READ, 0, 0, in + 1, 4096, -EINVAL);
	do_one(BFUSE_OP_READ, 0, 0, in, 1000, -EINVAL);
	do_one(BFUSE_OP_READ, 0, 1ull << 60, in, 4096, -EINVAL);
	do_one(BFUSE_OP_READ, 0, ~0ull, in, 4096, -EINVAL);
	do_one(BFUSE_OP_READ, 0, 0, in, 2 * MEGABYTE, -EINVAL);
	do_one(BFUSE_OP_READ, 0, 0, NULL, 4096, -EFAULT);
	do_one(BFUSE_OP_READ, BFUSE_RQ_FUA, 0, in, 4096, -EINVAL);
	do_one(BFUSE_OP_SECURE_ERASE, 0, 0, NULL, 4096, -EINVAL);
	do_one(99, 0, 0, NULL, 4096, -EINVAL);
	attachment++;
	do_one(BFUSE_OP_FLUSH, 0, 0, NULL, 0, -ENOENT);
	attachment--;
	free(out);
	free(in);
}

static void note(int status, void *user)
{
	(void)user;
	if (status)
		atomic_fetch_add(&failed, 1);
}

static void *do_many(void *argument)
{
	static unsigned char data[65536] __attribute__((aligned(4096)));
	unsigned int seed = (uintptr_t)argument;

	for (unsigned long i = 0; i < count; i++) {
		int ret;

		while ((ret = bfuse_inject(bfuse, attachment, BFUSE_OP_WRITE, 0, 4096 + rand_r(&seed) % 1024 * 8, data,
					   512u << rand_r(&seed) % 8, note, NULL)) == -EAGAIN)
			usleep(100);
		if (ret)
			errx(1, "write %lu: %d", i, ret);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct bfuse_register reg;
	pthread_t threads[3];

	if (argc != 4)
		errx(2, "usage: inject DEVICE ALTITUDE COUNT");
	count = strcmp(argv[3], "kill") ? strtoul(argv[3], NULL, 10) : -1ul;
	bfuse = bfuse_new();
	bfuse_derive(&filter, &reg);
	reg.altitude = strtoul(argv[2], NULL, 10);
	if (bfuse_open(bfuse) || bfuse_set_filter(bfuse, &filter, NULL, &reg) || bfuse_start(bfuse) ||
	    bfuse_attach(bfuse, argv[1], NULL, &attachment))
		errx(1, "%s", bfuse_error(bfuse));
	do_all();
	puts("all");
	fflush(stdout);
	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, do_many, (void *)(i + 1));
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	bfuse_stop(bfuse);
	if (bfuse_wait(bfuse))
		errx(1, "%s", bfuse_error(bfuse));
	bfuse_free(bfuse);
	printf("seen %lu own %lu failed %lu\n", seen, own, failed);
	return 0;
}
