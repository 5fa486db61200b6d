// SPDX-License-Identifier: MIT
/*
 * Commands of io_uring that the module must refuse, each with the right error, and what must be so of those that wait, and of
 * poll and epoll: ring-hostile DEVICE
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "ring.h"

static struct raw r;
static struct io_uring ring;
static int failures;

#define expect(got, want)										\
do {													\
	long long got_ = (got), want_ = (want);								\
	if (got_ != want_) {										\
		failures++;										\
		fprintf(stderr, "line %d: %s is %lld, not %lld\n", __LINE__, #got, got_, want_);	\
	}												\
} while (0)

static struct bfuse_uring_enter *prep(int fd, unsigned int op, uint64_t user)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe)
		errx(1, "the submission queue is full");
	return ring_prep(sqe, fd, op, user);
}

/* A command of these fields must not wait. */
static int try(struct bfuse_uring_enter enter)
{
	*prep(r.fd, BFUSE_ENTER, 1) = enter;
	return ring_run(&ring, 1);
}

static int try_op(int fd, unsigned int op)
{
	prep(fd, op, 1);
	return ring_run(&ring, 1);
}

static void garbage(void)
{
	int other = open(BFUSE_PATH, O_RDWR);

	expect(try((struct bfuse_uring_enter){ .queue = 1 }), -EINVAL);
	expect(try((struct bfuse_uring_enter){ .queue = 65535 }), -EINVAL);
	expect(try((struct bfuse_uring_enter){ .flags = 0x8000 }), -EINVAL);
	expect(try((struct bfuse_uring_enter){ .min_requests = r.reg.depth + 1 }), -EINVAL);
	expect(try((struct bfuse_uring_enter){ .min_requests = UINT32_MAX }), -EINVAL);
	expect(try((struct bfuse_uring_enter){ .refusal = 1 }), 0);
	expect(try_op(r.fd, BFUSE_ENTER ^ 1 << 16), 0); /* of any size */
	expect(try_op(r.fd, BFUSE_DETACH), -ENOTTY);
	expect(try_op(r.fd, BFUSE_DATA), -ENOTTY);
	expect(try_op(r.fd, BFUSE_GET_INFO), -ENOTTY);
	expect(try_op(r.fd, 0), -ENOTTY);
	expect(try_op(r.fd, ~0u), -ENOTTY);
	expect(try_op(other, BFUSE_ENTER), -ENOENT);
	close(other);
}

static void refused_verdict(void)
{
	struct bfuse_refusal refusal = { 0 };
	uint32_t entry = raw_head(&r, 0)->verdict_tail;

	raw_push(&r, 0, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = ~0ull });
	expect(try((struct bfuse_uring_enter){ .min_requests = 1, .refusal = (uintptr_t)&refusal }), -EINVAL);
	expect(refusal.reason, BFUSE_REASON_TAG);
	expect(refusal.entry, entry);
	raw_push(&r, 0, &(struct bfuse_verdict){ .type = 77 });
	expect(try((struct bfuse_uring_enter){ .refusal = 8 }), -EFAULT);
	raw_head(&r, 0)->verdict_tail += r.reg.entries + 1;
	expect(try((struct bfuse_uring_enter){ .refusal = (uintptr_t)&refusal }), -EINVAL);
	expect(refusal.reason, BFUSE_REASON_RING);
	raw_head(&r, 0)->verdict_tail -= r.reg.entries + 1;
	expect(try((struct bfuse_uring_enter){ 0 }), 0);
}

/* On kernels that can't cancel it ends by itself, after a second. */
static void second_command(void)
{
	struct bfuse_enter wake = { .size = sizeof(wake), .flags = BFUSE_ENTER_WAKE };

	prep(r.fd, BFUSE_ENTER, 2)->min_requests = 1;
	prep(r.fd, BFUSE_ENTER, 3)->min_requests = 2;
	expect(ring_run(&ring, 3), -EBUSY);
	expect(ioctl(r.fd, BFUSE_ENTER, &wake), 0);
	expect(ring_run(&ring, 2), 0);
	prep(r.fd, BFUSE_ENTER, 2)->min_requests = 1;
	expect(try((struct bfuse_uring_enter){ .flags = BFUSE_ENTER_WAKE }), 0);
	expect(ring_run(&ring, 2), 0);
}

static void long_sqes(void)
{
	struct io_uring_sqe *sqe;

	io_uring_queue_exit(&ring);
	if (io_uring_queue_init(8, &ring, IORING_SETUP_SQE128))
		errx(1, "no ring with long SQEs");
	for (int garbled = 0; garbled <= 1; garbled++) {
		sqe = &ring.sq.sqes[(ring.sq.sqe_tail++ & 7) * 2];
		ring_prep(sqe, r.fd, BFUSE_ENTER, 1);
		memset(sqe + 1, 0, 64);
		((char *)(sqe + 1))[63] = garbled;
		expect(ring_run(&ring, 1), garbled ? -EINVAL : 0);
	}
	io_uring_queue_exit(&ring);
	if (io_uring_queue_init(8, &ring, 0))
		errx(1, "no ring");
}

static pid_t start_reader(const char *device)
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

static short poll_now(void)
{
	struct pollfd file = { .fd = r.fd, .events = POLLIN };

	poll(&file, 1, 0);
	return file.revents;
}

static int epoll_now(int epoll)
{
	struct epoll_event event;

	return epoll_wait(epoll, &event, 1, 0);
}

/* Who is woken first may look before the others have been. */
static int epoll_soon(int epoll)
{
	struct epoll_event event;

	return epoll_wait(epoll, &event, 1, 5000);
}

static void finish_reader(pid_t pid, uint64_t tag)
{
	int status;

	raw_push(&r, 0, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = tag });
	expect(try((struct bfuse_uring_enter){ 0 }), 0);
	waitpid(pid, &status, 0);
	expect(status, 0);
}

/* One ring, or one epoll, for requests and whatever else there is. */
static void polls(const char *device)
{
	int level = epoll_create1(0), edge = epoll_create1(0);
	struct epoll_event in = { .events = EPOLLIN }, once = { .events = EPOLLIN | EPOLLET };
	struct bfuse_request rq;
	pid_t reader;
	int ready;

	epoll_ctl(level, EPOLL_CTL_ADD, r.fd, &in);
	epoll_ctl(edge, EPOLL_CTL_ADD, r.fd, &once);
	expect(poll_now(), 0);
	expect(epoll_now(level), 0);
	io_uring_prep_poll_add(io_uring_get_sqe(&ring), r.fd, POLLIN);
	ring.sq.sqes[(ring.sq.sqe_tail - 1) & 7].user_data = 4;
	io_uring_submit(&ring);
	reader = start_reader(device);
	expect(ring_run(&ring, 4) & POLLIN, POLLIN);
	expect(poll_now(), POLLIN);
	expect(epoll_soon(level), 1);
	expect(epoll_soon(level), 1);
	expect(epoll_soon(edge), 1);
	expect(epoll_now(edge), 0);
	expect(try((struct bfuse_uring_enter){ .min_requests = 1 }), 1);
	raw_next(&r, &rq);
	expect(poll_now(), 0);
	expect(epoll_now(level), 0);
	finish_reader(reader, rq.tag);

	/* Again, and there is a new edge; the command is told as well. */
	reader = 0;
	/* Where a command can't be cancelled it has an end of its own, on a busy machine before anything comes. */
	for (ready = 0; !ready; ready = ring_run(&ring, 5)) {
		prep(r.fd, BFUSE_ENTER, 5)->min_requests = 1;
		io_uring_submit(&ring);
		reader = reader ?: start_reader(device);
	}
	expect(ready, 1);
	expect(epoll_soon(edge), 1);
	raw_next(&r, &rq);
	finish_reader(reader, rq.tag);
}

int main(int argc, char **argv)
{
	int ret;

	if (argc != 2)
		errx(2, "usage: ring-hostile DEVICE");
	r = raw_new(500, 1u << BFUSE_OP_READ);
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	raw_register(&r);
	ret = io_uring_queue_init(8, &ring, 0);
	if (ret)
		errx(77, "io_uring_setup: %s", strerror(-ret));
	if (raw_attach(&r, argv[1]))
		errx(1, "attach");
	garbage();
	refused_verdict();
	second_command();
	long_sqes();
	polls(argv[1]);
	return failures > 0;
}
