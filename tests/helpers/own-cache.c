// SPDX-License-Identifier: MIT
/*
 * A filter that prints what it sees, and reads its device by read(2): own-cache DEVICE OPTION...
 *
 * A thread that does not serve reads 4 KiB of DEVICE at each offset that it is told by standard input, and says "read". A read of
 * sector 1024 by others is answered when the thread that serves has read the block at 8 KiB itself. A write of sector 32 never is.
 */
#include <bfuse.h>
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCK 4096
#define TRIGGER_SECTOR 1024
#define SERVED_OFFSET 8192
#define LOST_SECTOR 32

static int device;

static void read_block(off_t offset)
{
	void *data;

	if (posix_memalign(&data, BLOCK, BLOCK) || pread(device, data, BLOCK, offset) != BLOCK)
		err(1, "read at %jd", (intmax_t)offset);
	free(data);
}

static void *reader(void *unused)
{
	char line[32];
	sigset_t all;

	(void)unused;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	while (fgets(line, sizeof(line), stdin)) {
		read_block(strtol(line, NULL, 10));
		puts("read");
		fflush(stdout);
	}
	return NULL;
}

static int seen(struct bfuse_io *io, void *user)
{
	(void)user;
	printf("%s %" PRIu64 " by %u\n", bfuse_op_name(io->request.op), (uint64_t)io->request.sector, io->request.pid);
	fflush(stdout);
	if (io->request.op == BFUSE_OP_READ && io->request.sector == TRIGGER_SECTOR)
		read_block(SERVED_OFFSET);
	while (io->request.op == BFUSE_OP_WRITE && io->request.sector == LOST_SECTOR)
		pause();
	return BFUSE_REPLY_PASS;
}

int main(int argc, char **argv)
{
	static const struct bfuse_filter filter = {
		.size = sizeof(filter), .name = "own-cache", .altitude = 500, .read = seen, .write = seen,
	};
	pthread_t thread;

	if (argc < 2)
		errx(2, "usage: own-cache DEVICE OPTION...");
	device = open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (device < 0 || pthread_create(&thread, NULL, reader, NULL))
		err(1, "%s", argv[1]);
	return bfuse_main(argc - 1, argv + 1, &filter, NULL);
}
