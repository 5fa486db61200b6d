// SPDX-License-Identifier: MIT
/*
 * An incremental backup that never stops: one generation after the other, what has changed is copied to a replica, as fast as that
 * goes, until SIGTERM; then once more.
 *
 *	marks DEVICE REPLICA SHIFT [undrained]
 *
 * Says "ready" after the full backup, which begins with the marks, or right away. The replica is what the device is, if no change was lost.
 */
#include <bfuse.h>
#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PIECE (1u << 20)

static struct {
	int from, to;
	uint64_t bytes;
	uint64_t copied;
	void *data;
} backup;

static int copy(uint64_t sector, uint64_t sectors, void *user)
{
	uint64_t at = sector * 512, end = sectors > backup.bytes / 512 - sector ? backup.bytes : at + sectors * 512, n;

	(void)user;
	for (; at < end; at += n) {
		n = end - at < PIECE ? end - at : PIECE;
		if (pread(backup.from, backup.data, n, (off_t)at) != (ssize_t)n ||
		    pwrite(backup.to, backup.data, n, (off_t)at) != (ssize_t)n)
			err(1, "%llu bytes at %llu", (unsigned long long)n, (unsigned long long)at);
		backup.copied += n;
	}
	return 0;
}

static void copy_generation(struct bfuse *bfuse, uint32_t attachment)
{
	struct bfuse_mark mark;

	if (bfuse_mark_switch(bfuse, attachment, 0, &mark) || bfuse_mark_read(bfuse, &mark, copy, NULL))
		errx(1, "%s", bfuse_error(bfuse));
}

int main(int argc, char **argv)
{
	struct bfuse_register reg = {
		.name = "marks", .altitude = 500, .nr_queues = 1, .depth = 16, .known_ops = BFUSE_OPS_ALL,
		.unknown = BFUSE_POLICY_PASS, .features = BFUSE_F_MARK,
	};
	const struct timespec soon = { .tv_nsec = 2000000 };
	struct bfuse *bfuse = bfuse_new();
	unsigned int generations = 0;
	uint32_t attachment;
	sigset_t set;

	if (argc < 4)
		errx(2, "usage: marks DEVICE REPLICA SHIFT [undrained]");
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	backup.from = open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
	backup.to = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (backup.from < 0 || backup.to < 0 || ioctl(backup.from, BLKGETSIZE64, &backup.bytes) ||
	    posix_memalign(&backup.data, 4096, PIECE))
		err(1, "%s, %s", argv[1], argv[2]);
	if (bfuse_open(bfuse) || bfuse_register(bfuse, &reg) || bfuse_attach(bfuse, argv[1], NULL, &attachment) ||
	    bfuse_mark_begin(bfuse, attachment, (unsigned int)atoi(argv[3]), argc > 4 ? 0 : 30000, NULL))
		errx(1, "%s", bfuse_error(bfuse));
	copy(0, backup.bytes / 512, NULL);
	backup.copied = 0;
	puts("ready");
	fflush(stdout);
	while (sigtimedwait(&set, NULL, &soon) < 0) {
		copy_generation(bfuse, attachment);
		generations++;
	}
	copy_generation(bfuse, attachment);
	if (fsync(backup.to))
		err(1, "%s", argv[2]);
	printf("%u generations, %llu bytes\n", generations, (unsigned long long)backup.copied);
	bfuse_free(bfuse);
	return 0;
}
