// SPDX-License-Identifier: MIT
/*
 * A filter dies with a read that its successor does not care for, or does not know: unwanted DEVICE
 *
 * The former goes on below unseen, the latter fails, as one that comes now would.
 */
#include <sys/wait.h>

#include "raw.h"

static const char *device;

static struct raw filter_new(uint32_t ops, uint32_t known, uint32_t flags)
{
	struct raw r = raw_new(500, ops);
	struct bfuse_attach a = { .size = sizeof(a), .flags = BFUSE_ATTACH_DEFAULTS | flags };

	r.reg.known_ops = known;
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	r.reg.unknown = BFUSE_POLICY_ERROR;
	raw_register(&r);
	a.fd = open(device, O_RDONLY | O_CLOEXEC);
	if (ioctl(r.fd, BFUSE_ATTACH, &a))
		err(1, "BFUSE_ATTACH");
	close(a.fd);
	r.attachment = a.attachment;
	return r;
}

static void end(struct raw *r)
{
	munmap(r->map[0], r->reg.queue_bytes);
	close(r->fd);
}

/* What the reader ends with. */
static int hand_over(uint32_t known)
{
	struct raw first = filter_new(1u << BFUSE_OP_READ, BFUSE_OPS_ALL, 0), second;
	struct bfuse_request rq;
	int status, waited = 0;
	pid_t pid = raw_read(device, 0);

	raw_next(&first, &rq);
	second = filter_new(1u << BFUSE_OP_WRITE, known, BFUSE_ATTACH_REPLACE);
	end(&first);
	while (!waitpid(pid, &status, WNOHANG) && waited++ < 100)
		usleep(50000);
	while (raw_pop(&second, 0, &rq))
		if (rq.kind == BFUSE_REQUEST)
			errx(1, "the successor was given operation %u", rq.op);
	end(&second);
	return waited > 100 ? -1 : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	int result;

	if (argc != 2)
		errx(2, "usage: unwanted DEVICE");
	device = argv[1];
	result = hand_over(BFUSE_OPS_ALL);
	if (result)
		errx(1, "not wanted: %d", result);
	result = hand_over(BFUSE_OPS_ALL & ~(1u << BFUSE_OP_READ));
	if (result != EOPNOTSUPP)
		errx(1, "not known: %d", result);
	return 0;
}
