// SPDX-License-Identifier: MIT
/*
 * Writes a zone from its start, COUNT blocks of 4 KiB, or as many as said, in flight at once, each submitted from another CPU
 * than the one before: zonewrite DEVICE COUNT [KIB]
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGNMENT 4096
#define HUGE (2u << 20) /* in one piece, so that the kernel makes one bio of it */

static void go_to_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "CPU %d", cpu);
}

int main(int argc, char **argv)
{
	int fd, count, cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	io_context_t context = NULL;
	struct io_event event;
	struct iocb *iocbs;
	size_t block;
	void *buffer;

	if (argc < 3 || argc > 4)
		errx(2, "usage: zonewrite DEVICE COUNT [KIB]");
	count = atoi(argv[2]);
	block = argc > 3 ? (size_t)atoi(argv[3]) << 10 : ALIGNMENT;
	fd = open(argv[1], O_WRONLY | O_DIRECT);
	iocbs = calloc((size_t)count, sizeof(*iocbs));
	if (fd < 0 || posix_memalign(&buffer, block < HUGE ? ALIGNMENT : HUGE, block) || io_setup(count, &context))
		err(1, "%s", argv[1]);
	madvise(buffer, block, MADV_HUGEPAGE);
	memset(buffer, 'z', block);
	for (int i = 0; i < count; i++) {
		struct iocb *iocb = &iocbs[i];

		go_to_cpu(i % cpus);
		io_prep_pwrite(iocb, fd, buffer, block, i * (long long)block);
		if (io_submit(context, 1, &iocb) != 1)
			errx(1, "write %d was not accepted", i);
	}
	for (int i = 0; i < count; i++) {
		if (io_getevents(context, 1, 1, &event, NULL) != 1)
			errx(1, "io_getevents");
		if (event.res != block)
			errx(1, "a write failed: %ld", (long)event.res);
	}
	return 0;
}
