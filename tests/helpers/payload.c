// SPDX-License-Identifier: MIT
/*
 * Data of requests that are larger than their slot: payload DEVICE
 *
 * Slots have 4 KiB, requests up to 2 MiB. The submitter is a child; it writes the pattern of each offset, and expects it of
 * reads, or zeroes.
 */
#include <sys/wait.h>

#include "raw.h"

#define SLOT	4096u
#define BIG	(2u << 20)

static const char *device;
static unsigned char *buffer; /* BIG bytes, in as few pages as possible, so that bios are as large as can be */
static uint32_t largest;

#define require(cond, ...)								\
do {											\
	if (!(cond))									\
		errx(1, "line %d: %s", __LINE__, #cond " " __VA_ARGS__);		\
} while (0)

static unsigned char pattern(uint64_t at)
{
	return (at >> 12) * 7 + (at >> 9) * 3 + at + 1;
}

static bool is_pattern(const unsigned char *data, uint64_t at, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		if (data[i] != pattern(at + i))
			return false;
	return true;
}

static bool is_zero(const unsigned char *data, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		if (data[i])
			return false;
	return true;
}

static void fill(unsigned char *data, uint64_t at, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		data[i] = pattern(at + i);
}

static pid_t start_write(uint32_t bytes)
{
	pid_t pid = fork();

	if (!pid) {
		int fd = open(device, O_WRONLY | O_DIRECT);

		fill(buffer, 0, bytes);
		_exit(pwrite(fd, buffer, bytes, 0) != (ssize_t)bytes);
	}
	return pid;
}

/* @from to @to shall hold the pattern, the rest zeroes; whatever was in the buffer before. */
static pid_t start_read(uint32_t bytes, uint32_t from, uint32_t to)
{
	pid_t pid = fork();

	if (!pid) {
		int fd = open(device, O_RDONLY | O_DIRECT);

		memset(buffer, 0xaa, BIG);
		if (pread(fd, buffer, bytes, 0) != (ssize_t)bytes)
			_exit(1);
		if (!is_zero(buffer, from) || !is_zero(buffer + to, bytes - to))
			_exit(2);
		_exit(is_pattern(buffer + from, from, to - from) ? 0 : 3);
	}
	return pid;
}

static int end(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int data(struct raw *r, const struct bfuse_request *rq, void *at, uint32_t offset, uint32_t length, uint32_t flags)
{
	struct bfuse_data d = { .size = sizeof(d), .tag = rq->tag, .address = (uintptr_t)at, .offset = offset,
				.length = length, .flags = flags };

	return ioctl(r->fd, BFUSE_DATA, &d) ? errno : 0;
}

static int answer(struct raw *r, const struct bfuse_request *rq, uint8_t type, uint16_t flags)
{
	struct bfuse_enter e;
	int ret;

	raw_push(r, 0, &(struct bfuse_verdict){ .type = type, .flags = flags, .tag = rq->tag });
	ret = raw_enter(r, &e, 0, 0);
	return ret == -EINVAL ? (int)e.reason : ret;
}

static const unsigned char *slot(struct raw *r, const struct bfuse_request *rq)
{
	return r->map[0] + r->reg.off_slots + (rq->tag & (r->reg.depth - 1)) * r->reg.slot_size;
}

/* Every byte of each write, in the slot and by BFUSE_DATA, as a whole and in odd pieces. */
static void writes(struct raw *r)
{
	unsigned char *mine = malloc(BIG);
	pid_t pid = start_write(BIG);
	struct bfuse_request rq;
	uint64_t at;

	for (uint32_t done = 0; done < BIG; done += rq.length) {
		raw_next(r, &rq);
		at = rq.sector * 512;
		largest = rq.length > largest ? rq.length : largest;
		require(rq.op == BFUSE_OP_WRITE && rq.flags & BFUSE_RQ_PAYLOAD);
		require(is_pattern(slot(r, &rq), at, rq.length < SLOT ? rq.length : SLOT));
		memset(mine, 0, BIG);
		require(!data(r, &rq, mine, 0, rq.length, 0));
		require(is_pattern(mine, at, rq.length));
		require(!data(r, &rq, mine, 1234, 77777 % rq.length, 0));
		require(is_pattern(mine, at + 1234, 77777 % rq.length));
		require(data(r, &rq, mine, 0, rq.length + 1, 0) == EINVAL);
		require(data(r, &rq, mine, rq.length, 1, 0) == EINVAL);
		require(data(r, &rq, mine, UINT32_MAX, 2, 0) == EINVAL);
		require(data(r, &rq, mine, 0, 512, BFUSE_DATA_STORE) == EINVAL);
		require(data(r, &rq, (void *)8, 0, 512, 0) == EFAULT);
		require(!answer(r, &rq, BFUSE_PASS, 0));
		require(data(r, &rq, mine, 0, 512, 0) == ENOENT);
	}
	require(!end(pid));
	free(mine);
}

/* What was written arrived, and the filter sees what was read: as much as its slot holds. */
static void notified_reads(struct raw *r)
{
	pid_t pid = start_read(BIG, 0, BIG);
	struct bfuse_request rq;
	struct bfuse_enter e;

	for (uint32_t done = 0; done < BIG;) {
		while (!raw_pop(r, 0, &rq))
			require(!raw_enter(r, &e, 1, 10000));
		if (rq.kind == BFUSE_REQUEST) {
			require(!(rq.flags & BFUSE_RQ_PAYLOAD));
			require(!answer(r, &rq, BFUSE_PASS, BFUSE_VERDICT_NOTIFY));
		} else {
			require(rq.kind == BFUSE_DONE && rq.flags & BFUSE_RQ_PAYLOAD && !rq.status);
			require(is_pattern(slot(r, &rq), rq.sector * 512, rq.length < SLOT ? rq.length : SLOT));
			done += rq.length;
		}
	}
	require(!end(pid));
}

static void completed_from_slot(struct raw *r)
{
	pid_t pid = start_read(SLOT, 0, SLOT);
	struct bfuse_request rq;

	raw_next(r, &rq);
	fill((unsigned char *)slot(r, &rq), 0, SLOT);
	require(!answer(r, &rq, BFUSE_COMPLETE, 0));
	require(!end(pid));
}

/* A range of the data is stored in two pieces; all else is zero. */
static void completed_from_store(struct raw *r, uint32_t bytes, uint32_t from, uint32_t to)
{
	unsigned char *mine = malloc(bytes);
	pid_t pid = start_read(bytes, from, to);
	uint32_t middle = from + (to - from) / 3;
	struct bfuse_request rq;

	raw_next(r, &rq);
	require(rq.length == bytes);
	fill(mine, 0, bytes);
	if (bytes > SLOT)
		require(answer(r, &rq, BFUSE_COMPLETE, 0) == BFUSE_REASON_LENGTH);
	require(data(r, &rq, mine, 0, 512, 0) == EINVAL);
	require(data(r, &rq, mine, bytes - 511, 512, BFUSE_DATA_STORE) == EINVAL);
	require(data(r, &rq, (void *)8, 0, 512, BFUSE_DATA_STORE) == EFAULT);
	require(!data(r, &rq, mine + from, from, middle - from, BFUSE_DATA_STORE));
	require(!data(r, &rq, mine + middle, middle, to - middle, BFUSE_DATA_STORE));
	require(!answer(r, &rq, BFUSE_COMPLETE, BFUSE_VERDICT_STORED));
	require(!end(pid));
	free(mine);
}

static void completed_with_zeroes(struct raw *r)
{
	pid_t pid = start_read(256 << 10, 0, 0);
	struct bfuse_request rq;

	raw_next(r, &rq);
	require(!answer(r, &rq, BFUSE_COMPLETE, BFUSE_VERDICT_ZERO));
	require(!end(pid));
	/* STORED, and nothing was. */
	pid = start_read(256 << 10, 0, 0);
	raw_next(r, &rq);
	require(!answer(r, &rq, BFUSE_COMPLETE, BFUSE_VERDICT_STORED));
	require(!end(pid));
}

int main(int argc, char **argv)
{
	struct raw r;

	if (argc != 2)
		errx(2, "usage: payload DEVICE");
	device = argv[1];
	alarm(50);
	if (posix_memalign((void **)&buffer, BIG, BIG) || madvise(buffer, BIG, MADV_HUGEPAGE))
		warn("no huge page");
	r = raw_new(500, 1u << BFUSE_OP_READ | 1u << BFUSE_OP_WRITE);
	r.reg.slot_size = SLOT;
	r.reg.defaults.payload = r.reg.defaults.ops;
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	raw_register(&r);
	if (raw_attach(&r, device))
		errx(1, "attach");
	writes(&r);
	notified_reads(&r);
	completed_from_slot(&r);
	completed_from_store(&r, 256 << 10, 0, 256 << 10);
	completed_from_store(&r, 256 << 10, 70000, 133333);
	completed_from_store(&r, 512, 100, 103);
	completed_with_zeroes(&r);
	printf("largest request: %u\n", largest);
	return 0;
}
