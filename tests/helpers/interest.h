/* SPDX-License-Identifier: MIT */
/*
 * For tests of what is presented: a filter that passes all it sees and counts it, and a child process that does one I/O after
 * the other as it is told. What was presented of an I/O is known when the I/O is done.
 */
#ifndef INTEREST_H
#define INTEREST_H

#include <bfuse.h>
#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_BYTES (256u << 10)

struct work {
	uint64_t sector;
	uint32_t length;
	bool write;
	bool sync;
};

struct worker {
	pid_t pid;
	int to, from;
};

struct watcher {
	struct bfuse *bfuse;
	const char *device;
	uint32_t attachment;
	uint64_t sectors;
	atomic_uint seen;
	_Atomic uint16_t verdict; /* flags for what changes something */
	atomic_int complete; /* with COMPLETE instead of PASS */
	struct worker worker;
	bfuse_log_fn log;
	uint32_t deadline_ms;
};

static inline void do_work(const char *device, int from, int to)
{
	int fd = open(device, O_RDWR | O_DIRECT | O_CLOEXEC);
	struct work work;
	ssize_t n;
	void *data;

	if (fd < 0 || posix_memalign(&data, 4096, MAX_BYTES))
		err(1, "%s", device);
	memset(data, 0x5a, MAX_BYTES);
	while (read(from, &work, sizeof(work)) == sizeof(work)) {
		struct iovec iov = { data, work.length };

		if (work.write)
			n = pwritev2(fd, &iov, 1, (off_t)(work.sector * 512), work.sync ? RWF_DSYNC : 0);
		else
			n = pread(fd, data, work.length, (off_t)(work.sector * 512));
		if (n != (ssize_t)work.length)
			err(1, "%s: %u bytes at sector %llu", device, work.length, (unsigned long long)work.sector);
		if (write(to, &n, 1) != 1)
			err(1, "pipe");
	}
	_exit(0);
}

/* Before the filter is there, so that it inherits nothing of it. */
static inline struct worker worker_start(const char *device)
{
	struct worker worker;
	int in[2], out[2];

	if (pipe(in) || pipe(out))
		err(1, "pipe");
	worker.pid = fork();
	if (!worker.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(in[1]);
		close(out[0]);
		do_work(device, in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	worker.to = in[1];
	worker.from = out[0];
	return worker;
}

static inline void *watcher_serve(void *arg)
{
	struct watcher *w = arg;
	struct bfuse_queue *queue = bfuse_queue(w->bfuse, 0);
	struct bfuse_request request;
	uint16_t flags;

	while (bfuse_queue_wait(queue, 1, 0) >= 0) {
		while (bfuse_queue_get(queue, &request, 1)) {
			if (request.kind != BFUSE_REQUEST)
				continue;
			atomic_fetch_add(&w->seen, 1);
			flags = request.op == BFUSE_OP_WRITE ? w->verdict : 0;
			if (w->complete && request.op == BFUSE_OP_WRITE)
				bfuse_queue_complete(queue, request.tag, 0, flags);
			else
				bfuse_queue_pass(queue, request.tag, flags);
		}
	}
	return NULL;
}

static inline void watcher_check(struct watcher *w, int ret, const char *what)
{
	if (ret < 0)
		errx(1, "%s: %s", what, bfuse_error(w->bfuse));
}

static inline void watcher_attach(struct watcher *w, const struct bfuse_interest *interest)
{
	watcher_check(w, bfuse_attach(w->bfuse, w->device, interest, &w->attachment), "attach");
}

static inline void watcher_detach(struct watcher *w)
{
	watcher_check(w, bfuse_detach(w->bfuse, w->attachment, BFUSE_DETACH_WAIT), "detach");
}

/* Registered and served, but not attached. */
static inline void watcher_start(struct watcher *w, const char *device)
{
	struct bfuse_register reg = {
		.name = "interest", .altitude = 500, .nr_queues = 1, .known_ops = BFUSE_OPS_ALL, .unknown = BFUSE_POLICY_PASS,
		.defaults = { .ops = BFUSE_OPS_ALL, .verdicts = 1u << BFUSE_PASS | 1u << BFUSE_COMPLETE,
			      .policy = BFUSE_POLICY_PASS, .deadline_ms = w->deadline_ms },
		.features = BFUSE_F_RANGES | BFUSE_F_CHUNKS | BFUSE_F_MARK,
	};
	pthread_t thread;
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	uint64_t bytes;

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes))
		err(1, "%s", device);
	close(fd);
	w->device = device;
	w->sectors = bytes / 512;
	w->worker = worker_start(device);
	w->bfuse = bfuse_new();
	bfuse_set_log(w->bfuse, w->log, w);
	watcher_check(w, bfuse_open(w->bfuse), "open");
	watcher_check(w, bfuse_register(w->bfuse, &reg), "register");
	if (pthread_create(&thread, NULL, watcher_serve, w))
		errx(1, "no thread");
}

/* Was any part of it presented? */
static inline bool is_seen(struct watcher *w, struct work work)
{
	unsigned int before = w->seen;
	char c;

	if (write(w->worker.to, &work, sizeof(work)) != sizeof(work) || read(w->worker.from, &c, 1) != 1)
		errx(1, "the worker is gone");
	return w->seen != before;
}

static inline void expect_seen(struct watcher *w, struct work work, bool want, const char *what)
{
	if (is_seen(w, work) != want)
		errx(1, "%s: %s of %u bytes at sector %llu was %spresented", what, work.write ? "write" : "read", work.length,
		     (unsigned long long)work.sector, want ? "not " : "");
}

static inline uint64_t below(uint64_t n)
{
	return (((uint64_t)random() << 31) | (uint64_t)random()) % n;
}

#endif
