// SPDX-License-Identifier: GPL-2.0
/*
 * What is shown of requests whose filter is late, replaced or dead: to the filter nothing any more, to its successor all.
 */
#include "window.h"

#include <sys/prctl.h>

#define LENGTH (128u << 10)
#define WINDOW (128u << 10)

static const char *device;
static unsigned char *buffer; /* shared with the children */
static int own = -1;	      /* this filter's file */

static struct raw filter(uint32_t policy, uint32_t deadline_ms, uint32_t depth, unsigned char **windows)
{
	struct raw r = raw_new(500, 1u << BFUSE_OP_WRITE);

	r.reg.features = BFUSE_F_MAPPED;
	r.reg.depth = depth;
	r.reg.window_size = WINDOW;
	r.reg.defaults.payload = r.reg.defaults.ops;
	r.reg.defaults.policy = policy;
	r.reg.defaults.deadline_ms = deadline_ms;
	raw_register(&r);
	own = r.fd;
	*windows = map_windows(&r, PROT_READ, MAP_SHARED, all_windows(&r));
	require(*windows != MAP_FAILED);
	return r;
}

static const unsigned char *window(const struct raw *r, const unsigned char *windows, const struct bfuse_request *rq)
{
	return windows + (rq->tag & (r->reg.depth - 1)) * r->reg.window_size;
}

static pid_t start_write(unsigned int seed)
{
	pid_t pid;

	fill(buffer, LENGTH, seed);
	pid = fork();
	if (!pid) {
		int fd = open(device, O_WRONLY | O_DIRECT);

		/* Or the last close is ours. */
		if (own >= 0)
			close(own);
		if (pwrite(fd, buffer, LENGTH, 0) != LENGTH)
			err(1, "%s: write", device);
		_exit(0);
	}
	return pid;
}

static void pass(struct raw *r, const struct bfuse_request *rq)
{
	struct bfuse_enter e;

	raw_push(r, 0, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = rq->tag });
	require(!raw_enter(r, &e, 0, 0));
}

static void leave(struct raw *r, unsigned char *windows)
{
	close(r->fd);
	own = -1;
	munmap(windows, all_windows(r));
	munmap(r->map[0], r->reg.queue_bytes);
}

/* The deadline takes away what is being looked at, and the only tag is good again when its verdict has come. */
static void late(void)
{
	unsigned char *windows;
	struct raw r = filter(BFUSE_POLICY_PASS, 200, 1, &windows);
	struct bfuse_request rq;
	pid_t writer;

	require(!raw_attach(&r, device));
	for (unsigned int seed = 1; seed < 5; seed++) {
		writer = start_write(seed);
		raw_next(&r, &rq);
		require(rq.flags & BFUSE_RQ_MAPPED && is_pattern(window(&r, windows, &rq), LENGTH, seed));
		while (touch(windows + LENGTH - 1) == pattern(LENGTH - 1, seed))
			usleep(1000);
		require(touch(windows) == -SIGBUS);
		require(!end(writer));
		memset(buffer, 0xee, LENGTH);
		require(touch(windows) == -SIGBUS);
		pass(&r, &rq);
		require(touch(windows) == -SIGBUS);
	}
	leave(&r, windows);
}

/* Its last descriptor is closed, the mappings stay. */
static void closed(void)
{
	unsigned char *windows;
	struct bfuse_request rq;
	struct raw r;
	pid_t writer, pid = fork();

	if (!pid) {
		r = filter(BFUSE_POLICY_PASS, 0, 4, &windows);
		require(!raw_attach(&r, device));
		writer = start_write(6);
		raw_next(&r, &rq);
		require(is_pattern(window(&r, windows, &rq), LENGTH, 6));
		close(r.fd);
		require(touch(window(&r, windows, &rq)) == -SIGBUS);
		require(!end(writer));
		_exit(0);
	}
	require(!end(pid));
}

/* A filter that looks at its first request, says so, and waits for its end. */
static pid_t start_looker(int to, uint32_t policy)
{
	unsigned char *windows;
	struct bfuse_request rq;
	struct raw r;
	pid_t pid = fork();
	bool good;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = filter(policy, 0, 4, &windows);
	require(!raw_attach(&r, device));
	require(write(to, "a", 1) == 1);
	raw_next(&r, &rq);
	good = is_pattern(window(&r, windows, &rq), LENGTH, 7);
	require(write(to, good ? "l" : "x", 1) == 1);
	for (;;)
		touch(window(&r, windows, &rq));
}

static char hear(int from)
{
	char said = 0;

	require(read(from, &said, 1) == 1);
	return said;
}

static void attach(struct raw *r, uint32_t flags)
{
	struct bfuse_attach a = { .size = sizeof(a), .flags = BFUSE_ATTACH_DEFAULTS | flags, .fd = open(device, O_RDONLY) };

	require(!ioctl(r->fd, BFUSE_ATTACH, &a));
	close(a.fd);
}

static void detach_all(int fd)
{
	struct bfuse_next next = { .size = sizeof(next) };
	struct bfuse_detach d = { .size = sizeof(d) };

	while (!ioctl(fd, BFUSE_NEXT, &next)) {
		d.attachment = next.attachment;
		ioctl(fd, BFUSE_DETACH, &d);
	}
}

/* The successor of one that was looking gets it all, before the death or after it. */
static void succeeded(bool replaced)
{
	unsigned char *windows;
	struct bfuse_request rq;
	pid_t looker, writer;
	struct raw r;
	int pipes[2];

	require(!pipe(pipes));
	looker = start_looker(pipes[1], BFUSE_POLICY_HOLD);
	require(hear(pipes[0]) == 'a');
	writer = start_write(7);
	require(hear(pipes[0]) == 'l');
	r = filter(BFUSE_POLICY_HOLD, 0, 8, &windows);
	if (replaced)
		attach(&r, BFUSE_ATTACH_REPLACE);
	kill(looker, SIGKILL);
	end(looker);
	if (!replaced)
		attach(&r, 0);
	raw_next(&r, &rq);
	require(rq.flags & BFUSE_RQ_REDELIVERED && rq.flags & BFUSE_RQ_MAPPED);
	require(is_pattern(window(&r, windows, &rq), LENGTH, 7));
	pass(&r, &rq);
	require(touch(window(&r, windows, &rq)) == -SIGBUS);
	require(!end(writer));
	detach_all(r.fd);
	leave(&r, windows);
	close(pipes[0]);
	close(pipes[1]);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: mapped-death DEVICE");
	device = argv[1];
	alarm(100);
	window_catch();
	buffer = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	late();
	closed();
	succeeded(false);
	succeeded(true);
	return 0;
}
