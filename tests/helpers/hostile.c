// SPDX-License-Identifier: MIT
/*
 * What a broken or hostile filter may write into the rings and hand to the kernel: hostile DEVICE
 *
 * Each mistake must be refused with the right error, name the entry, and harm nothing else: after each one the request in
 * question is answered properly and its reader gets its data.
 */
#include <poll.h>
#include <sys/wait.h>

#include "raw.h"

static const char *device;
static int failures;

#define expect(cond, ...)						\
do {									\
	if (!(cond)) {							\
		failures++;						\
		fprintf(stderr, "line %d: %s: ", __LINE__, #cond);	\
		fprintf(stderr, __VA_ARGS__);				\
		fputc('\n', stderr);					\
	}								\
} while (0)

/* A reader of one block in a process of its own; its exit status tells whether it got it. */
static pid_t start_reader(void)
{
	pid_t pid = fork();

	if (!pid) {
		void *buffer;
		int fd = open(device, O_RDONLY | O_DIRECT);

		if (fd < 0 || posix_memalign(&buffer, 4096, 4096))
			_exit(2);
		_exit(pread(fd, buffer, 4096, 65536) != 4096);
	}
	return pid;
}

static int reader_status(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void answer(struct raw *r, uint64_t tag)
{
	struct bfuse_enter e;
	int ret;

	raw_push(r, 0, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = tag });
	ret = raw_enter(r, &e, 0, 0);
	expect(!ret && e.verdicts == 1, "%d, %u verdicts, reason %u", ret, e.verdicts, e.reason);
}

/* @bad must be refused for @reason while a good one behind it stays for the next call. */
static void refused(struct raw *r, struct bfuse_verdict bad, uint32_t reason)
{
	pid_t reader = start_reader();
	struct bfuse_request rq;
	struct bfuse_enter e;
	uint32_t at = raw_head(r, 0)->verdict_tail;
	int ret;

	raw_next(r, &rq);
	bad.tag += rq.tag;
	raw_push(r, 0, &bad);
	raw_push(r, 0, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = rq.tag });
	ret = raw_enter(r, &e, 0, 0);
	expect(ret == -EINVAL && e.reason == reason && e.entry == at && !e.verdicts, "%d, reason %u not %u, entry %u not %u, %u",
	       ret, e.reason, reason, e.entry, at, e.verdicts);
	ret = raw_enter(r, &e, 0, 0);
	expect(!ret && e.verdicts == 1, "the good verdict behind it: %d, %u", ret, e.verdicts);
	expect(!reader_status(reader), "the reader failed");
}

static void malformed_verdicts(struct raw *r)
{
	refused(r, (struct bfuse_verdict){ .type = 99 }, BFUSE_REASON_TYPE);
	refused(r, (struct bfuse_verdict){ .tag = 1 }, BFUSE_REASON_TAG);
	refused(r, (struct bfuse_verdict){ .tag = 1ull << 40 }, BFUSE_REASON_TAG);
	refused(r, (struct bfuse_verdict){ .flags = 1 << 15 }, BFUSE_REASON_FLAGS);
	refused(r, (struct bfuse_verdict){ .flags = BFUSE_VERDICT_ZERO }, BFUSE_REASON_FLAGS);
	refused(r, (struct bfuse_verdict){ .status = -EIO }, BFUSE_REASON_STATUS);
	refused(r, (struct bfuse_verdict){ .type = BFUSE_COMPLETE, .status = 5 }, BFUSE_REASON_STATUS);
	refused(r, (struct bfuse_verdict){ .type = BFUSE_COMPLETE, .status = -EAGAIN }, BFUSE_REASON_STATUS);
	refused(r, (struct bfuse_verdict){ .type = BFUSE_COMPLETE, .flags = BFUSE_VERDICT_NOTIFY }, BFUSE_REASON_FLAGS);
	refused(r, (struct bfuse_verdict){ .type = BFUSE_COMPLETE, .status = -EIO, .flags = BFUSE_VERDICT_ZERO },
		BFUSE_REASON_FLAGS);
	refused(r, (struct bfuse_verdict){ .mirror_sector = 1 }, BFUSE_REASON_RESERVED);
	refused(r, (struct bfuse_verdict){ .layer = 1 }, BFUSE_REASON_LAYER);
}

static void tag_twice(struct raw *r)
{
	pid_t reader = start_reader();
	struct bfuse_request rq;
	struct bfuse_enter e;
	int ret;

	raw_next(r, &rq);
	answer(r, rq.tag);
	raw_push(r, 0, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = rq.tag });
	ret = raw_enter(r, &e, 0, 0);
	expect(ret == -EINVAL && e.reason == BFUSE_REASON_STATE, "%d, reason %u", ret, e.reason);
	expect(!reader_status(reader), "the reader failed");
}

static void verdict_index_jumps(struct raw *r)
{
	struct bfuse_queue_head *h = raw_head(r, 0);
	pid_t reader = start_reader();
	struct bfuse_request rq;
	struct bfuse_enter e;
	int ret;

	raw_next(r, &rq);
	h->verdict_tail += r->reg.entries + 1;
	ret = raw_enter(r, &e, 0, 0);
	expect(ret == -EINVAL && e.reason == BFUSE_REASON_RING && !e.verdicts, "%d, reason %u", ret, e.reason);
	h->verdict_tail -= r->reg.entries + 1;
	answer(r, rq.tag);
	expect(!reader_status(reader), "the reader failed");
}

/* A spoiled head looks like a full ring: the reader waits until it is mended. */
static void request_index_jumps(struct raw *r)
{
	struct bfuse_queue_head *h = raw_head(r, 0);
	struct bfuse_request rq;
	struct bfuse_enter e;
	pid_t reader;
	int ret;

	h->request_head += 5;
	ret = raw_enter(r, &e, 0, 0);
	expect(ret == -EINVAL && e.reason == BFUSE_REASON_RING, "%d, reason %u", ret, e.reason);
	reader = start_reader();
	usleep(100000);
	h->request_head -= 5;
	raw_next(r, &rq);
	answer(r, rq.tag);
	expect(!reader_status(reader), "the reader failed");
}

/* The kernel's own indexes, as far as user space sees them, are for reading only in name. */
static void kernel_indexes_overwritten(struct raw *r)
{
	struct bfuse_queue_head *h = raw_head(r, 0);
	uint32_t tail = h->request_tail, head = h->verdict_head;
	pid_t reader;
	struct bfuse_request rq;

	h->request_tail = 0xdeadbeef;
	h->verdict_head = 0xdeadbeef;
	reader = start_reader();
	for (int i = 0; i < 100 && h->request_tail != tail + 1; i++)
		usleep(10000);
	expect(h->request_tail == tail + 1, "tail %u", h->request_tail);
	h->verdict_head = head;
	raw_next(r, &rq);
	answer(r, rq.tag);
	expect(!reader_status(reader), "the reader failed");
}

static void spoiled_head_for_good(struct raw *r)
{
	pid_t reader;

	raw_head(r, 0)->request_head += 1u << 31;
	reader = start_reader();
	expect(!reader_status(reader), "the deadline did not settle a request that no ring could take");
	raw_head(r, 0)->request_head -= 1u << 31;
}

static int reg_error(struct bfuse_register reg)
{
	struct raw r = raw_new(1, 0);
	int ret = ioctl(r.fd, BFUSE_REGISTER, &reg) ? errno : 0;

	close(r.fd);
	return ret;
}

#define expect_register(error, ...)					\
do {									\
	struct bfuse_register reg = good;				\
	reg.__VA_ARGS__;						\
	expect(reg_error(reg) == (error), "not %s", strerror(error));	\
} while (0)

static void bad_registrations(void)
{
	struct raw r = raw_new(1, 0);
	struct bfuse_register good = r.reg;
	struct { struct bfuse_register reg; uint64_t tail; } longer = { good, 0 };

	close(r.fd);
	expect_register(0, flags = 0);
	expect_register(EPROTO, abi = 99);
	expect_register(EOPNOTSUPP, features = 1ull << 63);
	expect_register(EINVAL, name[0] = 0);
	expect_register(EINVAL, name[0] = '/');
	expect_register(EINVAL, altitude = 0);
	expect_register(EINVAL, altitude = BFUSE_ALTITUDE_MAX + 1);
	expect_register(EINVAL, flags = 1u << 31);
	expect_register(EINVAL, nr_queues = 0);
	expect_register(EINVAL, nr_queues = BFUSE_QUEUES_MAX + 1);
	expect_register(EINVAL, depth = 3);
	expect_register(EINVAL, depth = 0);
	expect_register(EINVAL, depth = 1u << 31);
	expect_register(EINVAL, slot_size = 512);
	expect_register(EINVAL, slot_size = 1u << 31);
	expect_register(EINVAL, unknown = BFUSE_POLICY_HOLD);
	expect_register(EINVAL, call_ms = 1);
	expect_register(EINVAL, spin_us = BFUSE_SPIN_MAX + 1);
	expect_register(EINVAL, defaults.ops = 1u << 31);
	expect_register(EINVAL, defaults.payload = 1u << BFUSE_OP_WRITE);
	expect_register(EINVAL, defaults.verdicts = 1u << 31);
	expect_register(EINVAL, defaults.policy = 99);
	expect_register(EINVAL, defaults.deadline_ms = BFUSE_DEADLINE_MAX + 1);
	expect_register(EINVAL, defaults.__reserved[3] = 1);
	expect_register(EINVAL, size = 8);
	good.depth = BFUSE_DEPTH_MAX;
	expect_register(E2BIG, slot_size = BFUSE_SLOT_MAX);

	longer.reg.size = sizeof(longer);
	r = raw_new(1, 0);
	longer.tail = 1;
	expect(ioctl(r.fd, BFUSE_REGISTER, &longer) && errno == E2BIG, "a longer argument: %s", strerror(errno));
	longer.tail = 0;
	expect(!ioctl(r.fd, BFUSE_REGISTER, &longer), "a longer argument with zeroes: %s", strerror(errno));
	expect(ioctl(r.fd, BFUSE_REGISTER, &longer) && errno == EBUSY, "twice: %s", strerror(errno));
	expect(ioctl(r.fd, _IO(BFUSE_IOCTL_TYPE, 99)) && errno == ENOTTY, "an unknown call: %s", strerror(errno));
	expect(ioctl(r.fd, BFUSE_NEXT, NULL) && errno == EFAULT, "no argument: %s", strerror(errno));
	close(r.fd);
}

static void bad_calls(struct raw *r)
{
	struct bfuse_attach a = { .size = sizeof(a), .fd = -1, .flags = BFUSE_ATTACH_DEFAULTS };
	struct bfuse_detach d = { .size = sizeof(d), .attachment = r->attachment + 1000 };
	struct bfuse_data data = { .size = sizeof(data), .tag = 12345 };
	struct bfuse_enter e = { .size = sizeof(e), .queue = 1 };

	expect(ioctl(r->fd, BFUSE_ATTACH, &a) && errno == EBADF, "%s", strerror(errno));
	a.fd = r->fd;
	expect(ioctl(r->fd, BFUSE_ATTACH, &a) && errno == ENOTBLK, "%s", strerror(errno));
	expect(raw_attach(r, device) == -EEXIST, "attached twice");
	expect(ioctl(r->fd, BFUSE_DETACH, &d) && errno == ENOENT, "%s", strerror(errno));
	expect(ioctl(r->fd, BFUSE_DATA, &data) && errno == ENOENT, "%s", strerror(errno));
	expect(ioctl(r->fd, BFUSE_ENTER, &e) && errno == EINVAL, "%s", strerror(errno));
	expect(mmap(NULL, 4096, PROT_READ, MAP_SHARED, r->fd, 0) == MAP_FAILED, "a part of a queue was mapped");
	expect(mmap(NULL, r->reg.queue_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, r->fd, 0) == MAP_FAILED, "MAP_PRIVATE");
	expect(mmap(NULL, r->reg.queue_bytes, PROT_READ, MAP_SHARED, r->fd, r->reg.queue_bytes) == MAP_FAILED, "queue 1 of 1");
	expect(mremap(r->map[0], r->reg.queue_bytes, 2 * r->reg.queue_bytes, MREMAP_MAYMOVE) == MAP_FAILED, "a queue grew");
}

/* A tag of one queue is nothing in another. */
static void verdict_for_another_queue(void)
{
	struct raw r = raw_new(700, 1u << BFUSE_OP_READ);
	struct bfuse_enter e;
	struct bfuse_request rq;
	pid_t reader;
	int q, ret;

	r.reg.nr_queues = 2;
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	raw_register(&r);
	expect(!raw_attach(&r, device), "attach");
	reader = start_reader();
	for (q = 0; !raw_pop(&r, q, &rq); q = !q)
		usleep(1000);
	raw_push(&r, !q, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = rq.tag });
	e = (struct bfuse_enter){ .size = sizeof(e), .queue = !q };
	ret = ioctl(r.fd, BFUSE_ENTER, &e) ? errno : 0;
	expect(ret == EINVAL && (e.reason == BFUSE_REASON_TAG || e.reason == BFUSE_REASON_STATE), "%d, reason %u", ret, e.reason);
	raw_push(&r, q, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = rq.tag });
	e = (struct bfuse_enter){ .size = sizeof(e), .queue = q };
	expect(!ioctl(r.fd, BFUSE_ENTER, &e) && e.verdicts == 1, "%u", e.verdicts);
	expect(!reader_status(reader), "the reader failed");
	for (q = 0; q < 2; q++)
		munmap(r.map[q], r.reg.queue_bytes);
	close(r.fd);
}

int main(int argc, char **argv)
{
	struct raw r;

	if (argc != 2)
		errx(2, "usage: hostile DEVICE");
	device = argv[1];
	bad_registrations();
	r = raw_new(500, 1u << BFUSE_OP_READ);
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	r.reg.defaults.deadline_ms = 2000;
	raw_register(&r);
	if (raw_attach(&r, device))
		errx(1, "attach");
	bad_calls(&r);
	malformed_verdicts(&r);
	tag_twice(&r);
	verdict_index_jumps(&r);
	request_index_jumps(&r);
	kernel_indexes_overwritten(&r);
	spoiled_head_for_good(&r);
	verdict_for_another_queue();
	return failures != 0;
}
