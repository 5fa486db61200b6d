// SPDX-License-Identifier: MIT
/*
 * A filter that proves what it has seen: drained [--drain MS] DEVICE
 *
 * Attaches, with BFUSE_ATTACH_DRAIN if asked for, and reads the whole device when the attach returns ("attached D", D the
 * guarantee given, or "failed ERRNO"). On SIGTERM it detaches, reads the device again, and prints "changed C unseen U": how many blocks
 * are other than they were, and how many of those no write was seen for. Without writes in flight at the attach U is 0 in any case.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include "raw.h"

#define BLOCK 4096
#define CHUNK (1u << 20)

static struct raw filter;
static unsigned char *seen;
static uint64_t blocks;
static int device;

static void note(const struct bfuse_request *rq)
{
	uint64_t first = rq->sector * 512 / BLOCK, last = (rq->sector * 512 + rq->length + BLOCK - 1) / BLOCK;

	for (; first < last && first < blocks; first++)
		seen[first] = 1;
}

static void *serve(void *unused)
{
	struct bfuse_request rq;
	struct bfuse_enter e;
	int err = 0;

	(void)unused;
	while (!err) {
		while (raw_pop(&filter, 0, &rq)) {
			if (rq.kind != BFUSE_REQUEST)
				continue;
			note(&rq);
			raw_push(&filter, 0, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = rq.tag });
		}
		err = raw_enter(&filter, &e, 1, 100);
		if (err == -EINTR)
			err = 0;
	}
	errx(1, "BFUSE_ENTER: %s", strerror(-err));
}

static unsigned char *image(void)
{
	unsigned char *data;

	if (posix_memalign((void **)&data, BLOCK, blocks * BLOCK))
		errx(1, "no memory");
	for (uint64_t at = 0; at < blocks * BLOCK; at += CHUNK)
		if (pread(device, data + at, CHUNK, (off_t)at) < 0)
			err(1, "read");
	return data;
}

static int attach(uint32_t drain_ms, bool drain)
{
	struct bfuse_attach a = { .size = sizeof(a), .flags = BFUSE_ATTACH_DEFAULTS, .fd = device };

	if (drain) {
		a.flags |= BFUSE_ATTACH_DRAIN;
		a.drain_ms = drain_ms;
	}
	if (ioctl(filter.fd, BFUSE_ATTACH, &a))
		return -errno;
	filter.attachment = a.attachment;
	return (int)a.drained;
}

static void detach(void)
{
	struct bfuse_detach d = { .size = sizeof(d), .attachment = filter.attachment, .flags = BFUSE_DETACH_WAIT };

	if (ioctl(filter.fd, BFUSE_DETACH, &d))
		err(1, "BFUSE_DETACH");
}

static void compare(const unsigned char *before, const unsigned char *after)
{
	uint64_t changed = 0, unseen = 0;

	for (uint64_t i = 0; i < blocks; i++) {
		if (!memcmp(before + i * BLOCK, after + i * BLOCK, BLOCK))
			continue;
		changed++;
		unseen += !seen[i];
	}
	printf("changed %lu unseen %lu\n", (unsigned long)changed, (unsigned long)unseen);
}

int main(int argc, char **argv)
{
	bool drain = argc == 4 && !strcmp(argv[1], "--drain");
	uint32_t ms = drain ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	pthread_t server;
	sigset_t set;
	unsigned char *before;
	int ret, number;

	if (argc != (drain ? 4 : 2))
		errx(2, "usage: drained [--drain MS] DEVICE");
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	device = open(argv[argc - 1], O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (device < 0)
		err(1, "%s", argv[argc - 1]);
	blocks = (uint64_t)lseek(device, 0, SEEK_END) / BLOCK;
	seen = calloc(blocks, 1);
	filter = raw_new(500, BFUSE_OPS_ALL & ~(1u << BFUSE_OP_READ));
	filter.reg.nr_queues = 1;
	raw_register(&filter);
	pthread_create(&server, NULL, serve, NULL);
	ret = attach(ms, drain);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (ret < 0) {
		printf("failed %d\n", -ret);
		return 3;
	}
	before = image();
	printf("attached %d\n", ret);
	sigwait(&set, &number);
	detach();
	compare(before, image());
	return 0;
}
