// SPDX-License-Identifier: MIT
/*
 * Three filters in one process watch a writer and reader of DEVICE: order DEVICE
 *
 * A request must be with the highest first and with no other until that one has passed it, and so on down; its completion
 * is told to the lowest first. The filters attach in another order than that of their altitudes.
 */
#include <sys/wait.h>

#include "raw.h"

#define LEVELS	3
#define ROUNDS	20

static const uint32_t altitudes[LEVELS] = { 900, 500, 100 };
static struct raw filters[LEVELS];

static void submit(const char *device)
{
	int fd = open(device, O_RDWR | O_DIRECT);
	void *buffer;

	if (fd < 0 || posix_memalign(&buffer, 4096, 4096))
		_exit(2);
	memset(buffer, 0x5a, 4096);
	for (int i = 0; i < ROUNDS; i++)
		if ((i & 1 ? pread(fd, buffer, 4096, i * 8192) : pwrite(fd, buffer, 4096, i * 8192)) != 4096)
			_exit(1);
	_exit(0);
}

static struct bfuse_request next(int level, uint8_t kind)
{
	struct bfuse_request rq;
	struct bfuse_enter e;

	while (!raw_pop(&filters[level], 0, &rq)) {
		if (raw_enter(&filters[level], &e, 1, 10000) || !e.ready)
			errx(1, "altitude %u: nothing within 10 s", altitudes[level]);
	}
	if (rq.kind != kind)
		errx(1, "altitude %u: kind %u, not %u", altitudes[level], rq.kind, kind);
	return rq;
}

static void nothing(int level)
{
	struct bfuse_enter e;

	if (raw_enter(&filters[level], &e, 0, 0) || e.ready)
		errx(1, "altitude %u has something before its turn", altitudes[level]);
}

static void follow_one(int round)
{
	struct bfuse_request rq[LEVELS], done[LEVELS];
	struct bfuse_enter e;

	for (int level = 0; level < LEVELS; level++) {
		rq[level] = next(level, BFUSE_REQUEST);
		usleep(1000);
		for (int other = 0; other < LEVELS; other++)
			nothing(other);
		if (rq[level].sector != round * 16u || rq[level].op != (round & 1 ? BFUSE_OP_READ : BFUSE_OP_WRITE))
			errx(1, "round %d, altitude %u: operation %u, sector %llu", round, altitudes[level], rq[level].op,
			     rq[level].sector);
		if (rq[level].time != rq[0].time || rq[level].pid != rq[0].pid)
			errx(1, "altitude %u: another origin", altitudes[level]);
		raw_push(&filters[level], 0, &(struct bfuse_verdict){ .tag = rq[level].tag, .flags = BFUSE_VERDICT_NOTIFY });
		if (raw_enter(&filters[level], &e, 0, 0))
			errx(1, "altitude %u: verdict refused, reason %u", altitudes[level], e.reason);
	}
	for (int level = LEVELS - 1; level >= 0; level--) {
		done[level] = next(level, BFUSE_DONE);
		if (done[level].tag != rq[level].tag || done[level].status)
			errx(1, "altitude %u: end of another request, or status %d", altitudes[level], done[level].status);
		if (level < LEVELS - 1 && done[level].time < done[level + 1].time)
			errx(1, "altitude %u heard of the completion before %u", altitudes[level], altitudes[level + 1]);
	}
}

static void attach(int level, const char *device)
{
	int ret;

	filters[level] = raw_new(altitudes[level], BFUSE_OPS_ALL);
	filters[level].reg.defaults.policy = BFUSE_POLICY_PASS;
	raw_register(&filters[level]);
	ret = raw_attach(&filters[level], device);
	if (ret)
		errx(1, "attach: %s", strerror(-ret));
}

int main(int argc, char **argv)
{
	int status;

	if (argc != 2)
		errx(2, "usage: order DEVICE");
	attach(1, argv[1]);
	attach(0, argv[1]);
	attach(2, argv[1]);
	if (!fork())
		submit(argv[1]);
	for (int round = 0; round < ROUNDS; round++)
		follow_one(round);
	wait(&status);
	return status != 0;
}
