// SPDX-License-Identifier: MIT
/*
 * A filter that comes when the only one goes: attach-race DEVICE SECONDS
 *
 * Two processes take turns: one attaches, and somewhen during that the other detaches. Prints "N attachments".
 */
#include <sys/wait.h>
#include <time.h>

#include "raw.h"

struct shared {
	unsigned long attachments;
	unsigned int coming[2];	/* how often each has begun to attach */
	bool enough;
};

static struct shared *shared;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void detach(struct raw *r)
{
	struct bfuse_detach detach = { .size = sizeof(detach), .attachment = r->attachment };
	struct bfuse_request rq;
	struct bfuse_enter e;

	if (ioctl(r->fd, BFUSE_DETACH, &detach))
		err(1, "BFUSE_DETACH");
	do {
		while (!raw_pop(r, 0, &rq))
			if (raw_enter(r, &e, 1, 0))
				err(1, "BFUSE_ENTER");
	} while (rq.kind != BFUSE_EVENT || rq.op != BFUSE_EVENT_DETACHED || rq.attachment != r->attachment);
}

/* Until the other has begun to attach, and then up to @ns. */
static void wait_for_other(const unsigned int *coming, unsigned int seen, uint64_t ns)
{
	uint64_t until;

	while (__atomic_load_n(coming, __ATOMIC_ACQUIRE) == seen && !__atomic_load_n(&shared->enough, __ATOMIC_RELAXED))
		;
	until = now() + random() % ns;
	while (now() < until)
		;
}

static void race(int self, const char *device)
{
	unsigned int *coming = shared->coming, seen = 0;
	struct raw r = raw_new(100 * (self + 1), 0);
	uint64_t began;
	int ret;

	srandom(self);
	raw_register(&r);
	while (!__atomic_load_n(&shared->enough, __ATOMIC_RELAXED)) {
		began = now();
		__atomic_add_fetch(&coming[self], 1, __ATOMIC_RELEASE);
		ret = raw_attach(&r, device);
		if (ret)
			errx(1, "attach: %s", strerror(-ret));
		__atomic_add_fetch(&shared->attachments, 1, __ATOMIC_RELAXED);
		wait_for_other(&coming[!self], seen, now() - began);
		seen = __atomic_load_n(&coming[!self], __ATOMIC_RELAXED);
		detach(&r);
	}
	exit(0);
}

int main(int argc, char **argv)
{
	int status, result = 0;

	if (argc != 3)
		errx(2, "usage: attach-race DEVICE SECONDS");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		err(1, "mmap");
	for (int i = 0; i < 2; i++)
		if (!fork())
			race(i, argv[1]);
	sleep(atoi(argv[2]));
	__atomic_store_n(&shared->enough, true, __ATOMIC_RELAXED);
	while (wait(&status) > 0)
		result |= status;
	printf("%lu attachments\n", shared->attachments);
	return !!result;
}
