// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that look into the windows of all tags at any time, while others write, and their buffers hold poison whenever the
 * write is not under way: nobody must ever see that. usage: mapped-race DEVICE SECONDS [late]
 *
 * With "late" verdicts come about when the deadline does. At the end it tells how often a thread saw something.
 */
#include "window.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

#define LENGTH (128u << 10)
#define WRITERS 3
#define LOOKERS 2
#define POISON 0xee

static struct raw r;
static unsigned char *windows;
static volatile bool over;
static unsigned long seen, missed;

/* All bytes of a write are the same, and change from write to write. */
static void write_on(const char *device, int number, pid_t parent)
{
	unsigned char *buffer = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(device, O_WRONLY | O_DIRECT);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Or it was killed before. Then nobody would end this, and the filter's descriptor with it. */
	if (getppid() != parent)
		_exit(1);
	for (unsigned int turn = 1;; turn++) {
		memset(buffer, (int)(turn % 200 + 1), LENGTH);
		if (pwrite(fd, buffer, LENGTH, (off_t)number * LENGTH) != LENGTH)
			_exit(1);
		memset(buffer, POISON, LENGTH);
	}
}

static void look(const unsigned char *at)
{
	int byte = touch(at);

	if (byte == POISON || !byte)
		errx(1, "saw %#x, which is not the data of a write under way", byte);
	__atomic_fetch_add(byte < 0 ? &missed : &seen, 1, __ATOMIC_RELAXED);
}

static void *look_around(void *arg)
{
	unsigned int random = (unsigned int)(uintptr_t)arg;

	while (!over) {
		random = random * 1103515245 + 12345;
		look(windows + (random >> 8) % r.reg.depth * r.reg.window_size + (random >> 16) % (LENGTH / PAGE) * PAGE);
	}
	return NULL;
}

/*
 * Another thread's mmap_lock, page tables and trees are in motion meanwhile: it tries to move them, which is refused when they
 * are half way, and has them in a second place for a while.
 */
static void *move_around(void *place)
{
	size_t bytes = (size_t)r.reg.depth * r.reg.window_size;
	unsigned char *twin;

	for (unsigned int turn = 1; !over; turn++) {
		if (mremap(windows, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, place) != MAP_FAILED || errno != EINVAL)
			err(1, "mremap");
		/* It was unmapped; nobody else's memory is to come there. */
		mmap(place, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
		twin = map_windows(&r, PROT_READ, MAP_SHARED, bytes);
		if (twin == MAP_FAILED)
			err(1, "mmap");
		for (size_t at = 0; at < bytes; at += LENGTH / 4)
			look(twin + at);
		usleep(2000);
		munmap(twin, bytes);
	}
	return NULL;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void serve(double end, bool late)
{
	struct bfuse_request rq;
	struct bfuse_enter e;
	int ret;

	while (now() < end) {
		raw_enter(&r, &e, 1, 100);
		while (raw_pop(&r, 0, &rq)) {
			if (rq.kind != BFUSE_REQUEST)
				continue;
			if (late)
				usleep(4000 + rand() % 12000);
			else if (rand() % 2)
				sched_yield();
			raw_push(&r, 0, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = rq.tag });
			ret = raw_enter(&r, &e, 0, 0);
			if (ret)
				errx(1, "verdict: %d, reason %u", ret, e.reason);
		}
	}
}

int main(int argc, char **argv)
{
	bool late = argc > 3 && !strcmp(argv[3], "late");
	pthread_t threads[LOOKERS + 1];
	pid_t parent = getpid();
	size_t bytes;

	if (argc < 3)
		errx(2, "usage: mapped-race DEVICE SECONDS [late]");
	window_catch();
	r = raw_new(500, 1u << BFUSE_OP_WRITE);
	r.reg.features = BFUSE_F_MAPPED;
	r.reg.depth = 4;
	r.reg.window_size = 256u << 10;
	r.reg.defaults.payload = r.reg.defaults.ops;
	r.reg.defaults.verdicts = 1u << BFUSE_PASS;
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	r.reg.defaults.deadline_ms = late ? 10 : 0;
	raw_register(&r);
	bytes = (size_t)r.reg.depth * r.reg.window_size;
	windows = map_windows(&r, PROT_READ, MAP_SHARED, bytes);
	if (windows == MAP_FAILED || raw_attach(&r, argv[1]))
		err(1, "mmap or attach");
	/* Who is killed before it has entered once serves nothing: the writers, who have the descriptor too, would wait for the deadline. */
	raw_enter(&r, &(struct bfuse_enter){ 0 }, 0, 0);
	for (int i = 0; i < WRITERS; i++)
		if (!fork())
			write_on(argv[1], i, parent);
	for (uintptr_t i = 0; i < LOOKERS; i++)
		pthread_create(&threads[i], NULL, look_around, (void *)(i + 1));
	pthread_create(&threads[LOOKERS], NULL, move_around,
		       mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	serve(now() + atof(argv[2]), late);
	over = true;
	for (int i = 0; i <= LOOKERS; i++)
		pthread_join(threads[i], NULL);
	printf("seen %lu, missed %lu\n", seen, missed);
	return 0;
}
