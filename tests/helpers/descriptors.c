// SPDX-License-Identifier: MIT
/*
 * Who has a descriptor of a filter, and who closes his: descriptors DEVICE. As long as one is open, and the process that serves it does
 * not exit, the filter lives, whoever waits in BFUSE_ENTER meanwhile.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

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

struct waiter {
	pthread_t thread;
	struct raw *r;
	int result;
};

static void *wait_for_requests(void *arg)
{
	struct waiter *w = arg;
	struct bfuse_enter e;

	w->result = raw_enter(w->r, &e, 1, 20000);
	return NULL;
}

/* One of two is closed while a thread waits, which then gets what comes. */
static void one_of_two(void)
{
	struct raw r = filter();
	struct waiter w = { .r = &r };
	struct bfuse_request rq;
	pid_t reader;
	int twin = dup(r.fd);

	pthread_create(&w.thread, NULL, wait_for_requests, &w);
	usleep(200000);
	close(twin);
	reader = start_reader();
	pthread_join(w.thread, NULL);
	if (w.result || !raw_pop(&r, 0, &rq))
		errx(1, "one of two: %d", w.result);
	raw_push(&r, 0, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = rq.tag });
	if (raw_enter(&r, &(struct bfuse_enter){ 0 }, 0, 0))
		errx(1, "one of two: the filter is dead");
	must_end(reader, "the reader");
	close(r.fd);
	unmap(&r);
}

static bool is_there(int control, uint32_t filter)
{
	struct bfuse_next_filter next = { .size = sizeof(next), .filter = filter - 1 };

	return !ioctl(control, BFUSE_NEXT_FILTER, &next) && next.filter == filter;
}

/* The last one is closed while a thread waits, which has the file all the time. */
static void last_one(void)
{
	struct raw r = filter();
	int control = open(BFUSE_PATH, O_RDWR | O_CLOEXEC);
	struct waiter w = { .r = &r };
	time_t start = time(NULL);

	pthread_create(&w.thread, NULL, wait_for_requests, &w);
	usleep(200000);
	close(r.fd);
	pthread_join(w.thread, NULL);
	if (time(NULL) - start > 10 || is_there(control, r.reg.filter))
		errx(1, "the last one: %d after %ld s", w.result, (long)(time(NULL) - start));
	close(control);
	unmap(&r);
}

static pthread_barrier_t barrier;

static void *close_one(void *fd)
{
	pthread_barrier_wait(&barrier);
	close((int)(intptr_t)fd);
	return NULL;
}

/* Two close the last two at a time, so that each sees the other's; the mappings stay. */
static void both_at_once(void)
{
	int control = open(BFUSE_PATH, O_RDWR | O_CLOEXEC);
	pthread_t thread;
	struct raw r;
	int twin;

	pthread_barrier_init(&barrier, NULL, 2);
	for (int round = 0; round < ROUNDS; round++) {
		r = filter();
		twin = dup(r.fd);
		pthread_create(&thread, NULL, close_one, (void *)(intptr_t)twin);
		close_one((void *)(intptr_t)r.fd);
		pthread_join(thread, NULL);
		for (int i = 0; is_there(control, r.reg.filter); i++, usleep(10000))
			if (i > 3000)
				errx(1, "round %d: nobody has it, and it is there", round);
		unmap(&r);
	}
	close(control);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: descriptors DEVICE");
	device = argv[1];
	handed_on();
	inherited();
	one_of_two();
	last_one();
	both_at_once();
	return 0;
}
