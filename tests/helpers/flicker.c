// SPDX-License-Identifier: MIT
/*
 * A filter that comes and goes: flicker DEVICE ALTITUDE COUNT detach|kill
 *
 * COUNT times it attaches, serves some requests (for a second at most), and then detaches while it goes on serving what
 * is left, or is killed by SIGKILL as it stands. Prints "COUNT lives, N requests".
 */
#include <signal.h>
#include <sys/wait.h>

#include "raw.h"

#define LIFE_MS 1000

static unsigned long *requests; /* shared with the children that are killed */

static void answer(struct raw *r, const struct bfuse_request *rq)
{
	raw_push(r, 0, &(struct bfuse_verdict){ .tag = rq->tag, .flags = rq->tag & 1 ? BFUSE_VERDICT_NOTIFY : 0 });
	__atomic_add_fetch(requests, 1, __ATOMIC_RELAXED);
}

/* Passes what comes until @count requests or @ms milliseconds are over, or the attachment is gone: true. */
static bool serve(struct raw *r, unsigned long count, int ms)
{
	unsigned long last = *requests + count;
	struct bfuse_request rq;
	struct bfuse_enter e;

	for (int i = 0; i < ms && *requests < last; i++) {
		while (raw_pop(r, 0, &rq)) {
			if (rq.kind == BFUSE_REQUEST)
				answer(r, &rq);
			else if (rq.kind == BFUSE_EVENT && rq.op == BFUSE_EVENT_DETACHED && rq.attachment == r->attachment)
				return true;
		}
		if (raw_enter(r, &e, 1, 1))
			errx(1, "BFUSE_ENTER: reason %u", e.reason);
	}
	return false;
}

static struct raw filter_new(uint32_t altitude)
{
	struct raw r = raw_new(altitude, BFUSE_OPS_ALL);

	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	r.reg.defaults.payload = altitude & 1 ? 1u << BFUSE_OP_WRITE | 1u << BFUSE_OP_READ : 0;
	raw_register(&r);
	return r;
}

static void attach(struct raw *r, const char *device)
{
	int ret = raw_attach(r, device);

	if (ret)
		errx(1, "attach: %s", strerror(-ret));
}

static void come_and_detach(struct raw *r, const char *device, unsigned long count)
{
	struct bfuse_detach detach = { .size = sizeof(detach) };

	attach(r, device);
	if (serve(r, count, LIFE_MS))
		errx(1, "detached before its time");
	detach.attachment = r->attachment;
	if (ioctl(r->fd, BFUSE_DETACH, &detach))
		err(1, "BFUSE_DETACH");
	if (!serve(r, UINT32_MAX, 20000))
		errx(1, "not detached within 20 s");
}

static void live(uint32_t altitude, const char *device, int ready)
{
	struct raw r = filter_new(altitude);

	attach(&r, device);
	if (write(ready, "", 1) != 1)
		err(1, "pipe");
	for (;;)
		serve(&r, UINT32_MAX, LIFE_MS);
}

static void come_and_be_killed(uint32_t altitude, const char *device, unsigned long count)
{
	unsigned long last = *requests + count;
	int ready[2], status;
	pid_t pid;
	char c;

	if (pipe(ready))
		err(1, "pipe");
	pid = fork();
	if (!pid)
		live(altitude, device, ready[1]);
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		errx(1, "the filter did not attach");
	for (int i = 0; i < LIFE_MS && __atomic_load_n(requests, __ATOMIC_RELAXED) < last; i++)
		usleep(1000);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		errx(1, "the filter ended by itself: status %#x", status);
	close(ready[0]);
}

int main(int argc, char **argv)
{
	unsigned int count, i;
	uint32_t altitude;
	struct raw r;

	if (argc != 5)
		errx(2, "usage: flicker DEVICE ALTITUDE COUNT detach|kill");
	altitude = strtoul(argv[2], NULL, 10);
	count = strtoul(argv[3], NULL, 10);
	requests = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (requests == MAP_FAILED)
		err(1, "mmap");
	srandom(altitude);
	if (!strcmp(argv[4], "detach"))
		r = filter_new(altitude);
	for (i = 0; i < count; i++) {
		if (!strcmp(argv[4], "detach"))
			come_and_detach(&r, argv[1], random() % 16);
		else
			come_and_be_killed(altitude, argv[1], random() % 16);
	}
	printf("%u lives, %lu requests\n", i, *requests);
	return 0;
}
