// SPDX-License-Identifier: MIT
/*
 * A filter that keeps a request while its place is taken over again and again: heirs DEVICE COUNT
 *
 * Each attachment holds its successor as long as it exists, so when the first lets go all of them go at once.
 */
#include <sys/wait.h>

#include "raw.h"

static const char *device;

static struct raw filter_new(bool replace)
{
	struct raw r = raw_new(500, 1u << BFUSE_OP_READ);
	struct bfuse_attach a = { .size = sizeof(a), .flags = BFUSE_ATTACH_DEFAULTS };

	r.reg.slot_size = 0;
	r.reg.depth = 4;
	r.reg.defaults.verdicts = 1;
	r.reg.defaults.deadline_ms = 600000;
	raw_register(&r);
	a.fd = open(device, O_RDONLY | O_CLOEXEC);
	a.flags |= replace ? BFUSE_ATTACH_REPLACE : 0;
	if (ioctl(r.fd, BFUSE_ATTACH, &a))
		err(1, "BFUSE_ATTACH");
	close(a.fd);
	return r;
}

static void end(struct raw *r)
{
	munmap(r->map[0], r->reg.queue_bytes);
	close(r->fd);
}

int main(int argc, char **argv)
{
	struct raw first, last;
	struct bfuse_request rq;
	struct bfuse_enter e;
	int status;
	pid_t pid;

	if (argc != 3)
		errx(2, "usage: heirs DEVICE COUNT");
	device = argv[1];
	first = filter_new(false);
	pid = raw_read(device, 0);
	raw_next(&first, &rq);
	last = filter_new(true);
	for (int i = 1; i < atoi(argv[2]); i++) {
		struct raw next = filter_new(true);

		end(&last);
		last = next;
	}
	raw_push(&first, 0, &(struct bfuse_verdict){ .tag = rq.tag });
	if (raw_enter(&first, &e, 0, 0))
		errx(1, "reason %u", e.reason);
	if (waitpid(pid, &status, 0) != pid || status)
		errx(1, "the reader ended with %#x", status);
	do
		while (!raw_pop(&first, 0, &rq))
			raw_enter(&first, &e, 1, 0);
	while (rq.kind != BFUSE_EVENT || rq.status != -ESTALE);
	end(&first);
	end(&last);
	return 0;
}
