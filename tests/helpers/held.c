// SPDX-License-Identifier: MIT
/*
 * Completions on hold and a filter that fails: held DEVICE ring|flush|zone
 *
 * ring		the filter spoils its ring's index, so it can't be told of a completion that it wants to hold: the deadline ends it
 * flush	DEVICE has no write cache, and a filter dies on the held completion of a flush: its successor gets a flush, too
 * zone		DEVICE is zoned: a write at the write pointer can't be done again, so it can't be held
 */
#include "raw.h"

#include <sys/wait.h>

static const char *device;
static int filter_fd;	/* of the first */

static int do_io(const char *what)
{
	unsigned char *buffer = aligned_alloc(4096, 4096);
	int fd = open(device, O_RDWR | O_DIRECT);

	memset(buffer, 0, 4096);
	if (fd < 0)
		return errno;
	if (!strcmp(what, "flush"))
		return fsync(fd) ? errno : 0;
	if (!strcmp(what, "write"))
		return pwrite(fd, buffer, 4096, 0) == 4096 ? 0 : errno;
	return pread(fd, buffer, 4096, 0) == 4096 ? 0 : errno;
}

/* A child whose status is the errno. It must not keep the filter's file. */
static pid_t start_io(const char *what)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	close(filter_fd);
	_exit(do_io(what));
}

static void must_end(pid_t pid, int want)
{
	int status, i;

	for (i = 0; i < 100 && waitpid(pid, &status, WNOHANG) == 0; i++)
		usleep(100000);
	if (i == 100)
		errx(1, "the submitter still waits");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != want)
		errx(1, "the submitter ended with %#x, not with errno %d", status, want);
}

static struct raw filter_new(uint32_t ops, uint32_t policy)
{
	struct raw r = raw_new(500, ops);

	r.reg.defaults.verdicts = 1u << BFUSE_PASS | 1u << BFUSE_HOLD;
	r.reg.defaults.policy = policy;
	r.reg.defaults.deadline_ms = 2000;
	if (policy == BFUSE_POLICY_HOLD)
		r.reg.defaults.hold_ms = 20000;
	raw_register(&r);
	if (raw_attach(&r, device))
		errx(1, "attach");
	return r;
}

static int answer(struct raw *r, uint64_t tag, uint16_t flags, uint32_t *reason)
{
	struct bfuse_enter e;
	int ret;

	raw_push(r, 0, &(struct bfuse_verdict){ .tag = tag, .flags = flags });
	ret = raw_enter(r, &e, 0, 0);
	*reason = e.reason;
	return ret;
}

static void pass(struct raw *r, uint64_t tag, uint16_t flags)
{
	uint32_t reason;

	if (answer(r, tag, flags, &reason))
		errx(1, "a verdict with flags %#x was refused: reason %u", flags, reason);
}

/* It must leave no orphan. */
static void leave(struct raw *r)
{
	struct bfuse_detach d = { .size = sizeof(d), .attachment = r->attachment };

	if (ioctl(r->fd, BFUSE_DETACH, &d))
		err(1, "BFUSE_DETACH");
}

static void ring(void)
{
	struct raw r = filter_new(1u << BFUSE_OP_READ, BFUSE_POLICY_ERROR);
	struct bfuse_queue_head *h = raw_head(&r, 0);
	struct bfuse_request rq;
	struct bfuse_enter e;
	uint32_t reason;
	pid_t pid;

	filter_fd = r.fd;
	for (int i = 0; i < 20; i++) {
		pid = start_io("read");
		raw_next(&r, &rq);
		h->request_head += 5;
		if (answer(&r, rq.tag, BFUSE_VERDICT_HOLD, &reason) != -EINVAL || reason != BFUSE_REASON_RING)
			errx(1, "reason %u", reason);
		/* Once a deadline; the rest end with the index mended, as they should. */
		if (i) {
			h->request_head -= 5;
			while (!raw_pop(&r, 0, &rq) || rq.kind != BFUSE_DONE)
				raw_enter(&r, &e, 1, 0);
			pass(&r, rq.tag, 0);
		}
		must_end(pid, i ? 0 : EIO);
		if (!i) {
			/* Looking again ends the stall, in which the next read would fail at once. */
			h->request_head -= 5;
			raw_enter(&r, &e, 0, 0);
		}
	}
	leave(&r);
}

static void flush(void)
{
	struct raw r = filter_new(1u << BFUSE_OP_FLUSH | 1u << BFUSE_OP_WRITE, BFUSE_POLICY_HOLD);
	struct raw heir;
	struct bfuse_request rq;
	struct bfuse_enter e;
	pid_t pid;

	filter_fd = r.fd;
	pid = start_io("flush");
	raw_next(&r, &rq);
	if (rq.op != BFUSE_OP_FLUSH)
		errx(1, "operation %u is no flush", rq.op);
	pass(&r, rq.tag, BFUSE_VERDICT_HOLD);
	while (!raw_pop(&r, 0, &rq))
		raw_enter(&r, &e, 1, 0);
	if (rq.kind != BFUSE_DONE || !(rq.flags & BFUSE_RQ_HELD))
		errx(1, "kind %u", rq.kind);
	close(r.fd);

	heir = filter_new(1u << BFUSE_OP_FLUSH | 1u << BFUSE_OP_WRITE, BFUSE_POLICY_HOLD);
	raw_next(&heir, &rq);
	if (rq.op != BFUSE_OP_FLUSH || rq.length || !(rq.flags & BFUSE_RQ_REDELIVERED))
		errx(1, "operation %u of %u bytes, flags %#x", rq.op, rq.length, rq.flags);
	pass(&heir, rq.tag, 0);
	must_end(pid, 0);
	leave(&heir);
}

static void zone(void)
{
	struct raw r = filter_new(1u << BFUSE_OP_WRITE, BFUSE_POLICY_HOLD);
	struct bfuse_request rq;
	uint32_t reason;
	pid_t pid;

	filter_fd = r.fd;
	pid = start_io("write");
	raw_next(&r, &rq);
	if (answer(&r, rq.tag, BFUSE_VERDICT_HOLD, &reason) != -EINVAL || reason != BFUSE_REASON_OP)
		errx(1, "reason %u", reason);
	pass(&r, rq.tag, 0);
	must_end(pid, 0);
	leave(&r);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: held DEVICE ring|flush|zone");
	device = argv[1];
	if (!strcmp(argv[2], "ring"))
		ring();
	else if (!strcmp(argv[2], "flush"))
		flush();
	else
		zone();
	return 0;
}
