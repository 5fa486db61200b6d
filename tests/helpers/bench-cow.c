// SPDX-License-Identifier: GPL-2.0
/*
 * Copy on write as a snapshot needs it, for benchmarks:
 *
 *	bench-cow DEVICE STORE
 *
 * Before a chunk of DEVICE changes for the first time it is copied to STORE, and from then on nothing that happens to it
 * crosses. Says "ready" when all is as it was, and ends with SIGTERM. STORE is used over and over.
 */
#include <bfuse.h>

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/fs.h>

#define CHUNK_SHIFT 16u
#define CHUNK (1u << CHUNK_SHIFT)
#define SECTORS (CHUNK / 512)

struct cow {
	struct bfuse *bfuse;
	uint32_t target;
	uint64_t chunks;
	uint64_t room; /* chunks of the store */
	uint64_t next; /* of them the first that is free */
	uint32_t *places; /* by chunk: where it is in the store, from 1 on; 0: nowhere */
};

/* What is written is less than a chunk. The bit is cleared when the copy has succeeded: a reader needs no other word of it. */
static int change(struct bfuse_io *io, void *user)
{
	struct cow *cow = user;
	uint64_t chunk = io->request.sector / SECTORS;

	if (chunk >= cow->chunks || cow->places[chunk])
		return BFUSE_REPLY_PASS;
	bfuse_io_copy_before(io, cow->target, cow->next * SECTORS, chunk * SECTORS, CHUNK);
	cow->places[chunk] = (uint32_t)cow->next + 1;
	cow->next = (cow->next + 1) % cow->room;
	return BFUSE_REPLY_PASS | BFUSE_REPLY_CLEAR;
}

static const struct bfuse_filter filter = {
	.size = sizeof(filter),
	.name = "bench-cow",
	.altitude = 300,
	.copies = true,
	.policy = BFUSE_POLICY_PASS,
	.unknown = BFUSE_POLICY_PASS,
	.queues = 1,
	.write = change,
	.discard = change,
	.write_zeroes = change,
	.secure_erase = change,
};

static int open_sized(const char *path, uint64_t *chunks)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, chunks))
		err(1, "%s", path);
	*chunks /= CHUNK;
	return fd;
}

static int run(struct cow *cow, const char *device, int store)
{
	struct bfuse_register reg;
	struct bfuse_chunk_map map;
	uint32_t attachment;

	bfuse_derive(&filter, &reg);
	reg.features |= BFUSE_F_CHUNKS;
	bfuse_harden(cow->bfuse);
	if (bfuse_open(cow->bfuse) || bfuse_set_filter(cow->bfuse, &filter, cow, &reg) ||
	    bfuse_target(cow->bfuse, store, 0, &cow->target) || bfuse_start(cow->bfuse) ||
	    bfuse_attach(cow->bfuse, device, NULL, &attachment) ||
	    bfuse_map_chunks(cow->bfuse, attachment, CHUNK_SHIFT, true, &map))
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct cow cow = { .bfuse = bfuse_new() };
	int store, sig;
	sigset_t set;

	if (argc != 3)
		errx(2, "usage: bench-cow DEVICE STORE");
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	close(open_sized(argv[1], &cow.chunks));
	store = open_sized(argv[2], &cow.room);
	cow.places = calloc(cow.chunks, sizeof(*cow.places));
	if (!cow.bfuse || !cow.places || !cow.room)
		errx(1, "no memory, or no room in the store");
	if (run(&cow, argv[1], store))
		errx(1, "%s", bfuse_error(cow.bfuse));
	puts("ready");
	fflush(stdout);
	sigwait(&set, &sig);
	bfuse_stop(cow.bfuse);
	bfuse_wait(cow.bfuse);
	bfuse_free(cow.bfuse);
	return 0;
}
