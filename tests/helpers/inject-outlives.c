// SPDX-License-Identifier: MIT
/*
 * A request of a filter that is under way while its device is removed: inject-outlives UPPER LOWER COMMAND
 *
 * A filter reads from UPPER, and another keeps that on LOWER, where it comes; then COMMAND is run. Prints "waits", or the status with
 * which it has ended within a second; and its status once more when the read is done.
 */
#include <sys/wait.h>

#include "raw.h"

/* Says that it has the read, and passes it when it is told to. */
static void keep(const char *device, int in, int out)
{
	struct raw r = raw_new(300, 1u << BFUSE_OP_READ);
	struct bfuse_request rq;
	struct bfuse_enter e;
	char c = 0;

	r.reg.defaults.deadline_ms = 600000;
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	raw_register(&r);
	if (raw_attach(&r, device) || write(out, &c, 1) != 1)
		errx(1, "attach to %s", device);
	raw_next(&r, &rq);
	if (write(out, &c, 1) != 1 || read(in, &c, 1) != 1)
		err(1, "pipe");
	raw_push(&r, 0, &(struct bfuse_verdict){ .tag = rq.tag });
	if (raw_enter(&r, &e, 0, 0))
		errx(1, "BFUSE_ENTER: reason %u", e.reason);
	while (read(in, &c, 1) == 1)
		;
	exit(0);
}

static void inject(struct raw *r, void *buffer)
{
	struct bfuse_inject i = {
		.size = sizeof(i), .attachment = r->attachment, .op = BFUSE_OP_READ, .address = (uintptr_t)buffer, .length = 4096,
	};

	if (ioctl(r->fd, BFUSE_INJECT, &i))
		err(1, "BFUSE_INJECT");
}

static void await_injected(struct raw *r)
{
	struct bfuse_request rq = {};
	struct bfuse_enter e;

	while (rq.kind != BFUSE_INJECTED)
		if (!raw_pop(r, 0, &rq) && raw_enter(r, &e, 1, 0))
			err(1, "BFUSE_ENTER");
	if (rq.status)
		errx(1, "the read: %s", strerror(-rq.status));
}

static int status_of(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	int in[2], out[2], status;
	struct raw upper;
	pid_t keeper, pid;
	char c = 0;

	if (argc != 4)
		errx(2, "usage: inject-outlives UPPER LOWER COMMAND");
	setlinebuf(stdout);
	if (pipe(in) || pipe(out))
		err(1, "pipe");
	keeper = fork();
	if (!keeper) {
		close(in[1]);
		keep(argv[2], in[0], out[1]);
	}
	if (read(out[0], &c, 1) != 1)
		err(1, "pipe");
	upper = raw_new(500, 1u << BFUSE_OP_WRITE);
	upper.reg.defaults.policy = BFUSE_POLICY_PASS;
	raw_register(&upper);
	if (raw_attach(&upper, argv[1]))
		errx(1, "attach to %s", argv[1]);
	inject(&upper, aligned_alloc(4096, 4096));
	if (read(out[0], &c, 1) != 1)
		err(1, "pipe");

	pid = fork();
	if (!pid)
		execl("/bin/sh", "sh", "-c", argv[3], NULL);
	sleep(1);
	if (waitpid(pid, &status, WNOHANG) == pid) {
		printf("%d\n", WEXITSTATUS(status));
		pid = 0;
	} else {
		puts("waits");
	}
	if (write(in[1], &c, 1) != 1)
		err(1, "pipe");
	await_injected(&upper);
	if (!pid) {
		munmap(upper.map[0], upper.reg.queue_bytes);
		close(upper.fd);
	}
	printf("%d\n", pid ? status_of(pid) : 0);
	close(in[1]);
	return status_of(keeper);
}
