// SPDX-License-Identifier: MIT
/*
 * Who has a descriptor of a filter, and who closes his: descriptors DEVICE. As long as one is open, and the process that serves it does
 * not exit, the filter lives, whoever waits in BFUSE_ENTER meanwhile.
 */
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "raw.h"

#define ROUNDS 50

static const char *device;

static struct raw filter(void)
{
	struct raw r = raw_new(500, 1u << BFUSE_OP_READ);

	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	raw_register(&r);
	if (raw_attach(&r, device))
		errx(1, "%s: not attached", device);
	return r;
}

static void unmap(struct raw *r)
{
	munmap(r->map[0], r->reg.queue_bytes);
}

static void must_end(pid_t pid, const char *who)
{
	int status = -1;

	if (waitpid(pid, &status, 0) != pid || status)
		errx(1, "%s: status %#x", who, status);
}

static pid_t start_reader(void)
{
	pid_t pid = fork();
	void *buffer;
	int fd;

	if (pid)
		return pid;
	fd = open(device, O_RDONLY | O_DIRECT);
	_exit(fd < 0 || posix_memalign(&buffer, 4096, 4096) || pread(fd, buffer, 4096, 65536) != 4096);
}

/* One request, with patience. */
static void serve_one(struct raw *r)
{
	struct bfuse_request rq;
	struct bfuse_enter e;
	int ret = raw_enter(r, &e, 1, 20000);

	if (ret || !raw_pop(r, 0, &rq))
		errx(1, "no request: %d", ret);
	raw_push(r, 0, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = rq.tag });
	ret = raw_enter(r, &e, 0, 0);
	if (ret)
		errx(1, "verdict: %d", ret);
}

/* A child, which inherited one by chance, closes it when its parent enters for the first time. */
static void inherited(void)
{
	struct bfuse_enter e;
	struct raw r;
	pid_t pid;
	int ret;

	for (int round = 0; round < ROUNDS; round++) {
		r = filter();
		pid = fork();
		if (!pid) {
			usleep(round * 10);
			close(r.fd);
			_exit(0);
		}
		raw_enter(&r, &e, 1, 5);
		must_end(pid, "who closes");
		ret = raw_enter(&r, &e, 0, 0);
		if (ret)
			errx(1, "round %d: the filter is dead: %d", round, ret);
		close(r.fd);
		unmap(&r);
	}
}

/* The process that served first hands it on to another one, which waits already, and closes its own. */
static void handed_on(void)
{
	struct raw r = filter();
	struct bfuse_enter e;
	pid_t pid, reader;

	raw_enter(&r, &e, 0, 0);
	pid = fork();
	if (!pid) {
		/* The memory of the queue is not inherited. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		r.map[0] = mmap(NULL, r.reg.queue_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
		if (r.map[0] == MAP_FAILED)
			err(1, "mmap");
		serve_one(&r);
		_exit(0);
	}
	usleep(500000);
	close(r.fd);
	unmap(&r);
	reader = start_reader();
	must_end(reader, "the reader");
	must_end(pid, "who serves");
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: descriptors DEVICE");
	device = argv[1];
	handed_on();
	inherited();
	return 0;
}
