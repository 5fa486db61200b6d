/* SPDX-License-Identifier: MIT */
/* A filter by hand, on the bare ABI, for tests of what the library would never do. */
#ifndef RAW_H
#define RAW_H

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../include/uapi/blkfilter.h"

struct raw {
	int fd;
	struct bfuse_register reg;
	unsigned char *map[BFUSE_QUEUES_MAX];
	uint32_t attachment;
};

static inline struct bfuse_queue_head *raw_head(struct raw *r, int q)
{
	return (void *)r->map[q];
}

static inline struct raw raw_new(uint32_t altitude, uint32_t ops)
{
	struct raw r = { .fd = open(BFUSE_PATH, O_RDWR | O_CLOEXEC) };

	if (r.fd < 0)
		err(1, BFUSE_PATH);
	r.reg = (struct bfuse_register){
		.size = sizeof(r.reg), .abi = BFUSE_ABI_VERSION, .name = "raw", .altitude = altitude,
		.nr_queues = 1, .depth = 64, .slot_size = 65536, .known_ops = BFUSE_OPS_ALL, .unknown = BFUSE_POLICY_PASS,
		.defaults = { .ops = ops, .verdicts = 3 },
	};
	return r;
}

static inline void raw_register(struct raw *r)
{
	if (ioctl(r->fd, BFUSE_REGISTER, &r->reg))
		err(1, "BFUSE_REGISTER");
	for (uint32_t q = 0; q < r->reg.nr_queues; q++) {
		r->map[q] = mmap(NULL, r->reg.queue_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, q * r->reg.queue_bytes);
		if (r->map[q] == MAP_FAILED)
			err(1, "mmap");
	}
}

static inline int raw_attach(struct raw *r, const char *device)
{
	struct bfuse_attach a = { .size = sizeof(a), .flags = BFUSE_ATTACH_DEFAULTS, .fd = open(device, O_RDONLY | O_CLOEXEC) };
	int ret;

	if (a.fd < 0)
		err(1, "%s", device);
	ret = ioctl(r->fd, BFUSE_ATTACH, &a) ? -errno : 0;
	close(a.fd);
	r->attachment = a.attachment;
	return ret;
}

static inline int raw_enter(struct raw *r, struct bfuse_enter *e, uint32_t min, uint64_t timeout_ms)
{
	*e = (struct bfuse_enter){ .size = sizeof(*e), .min_requests = min, .timeout_ns = timeout_ms * 1000000 };
	return ioctl(r->fd, BFUSE_ENTER, e) ? -errno : 0;
}

static inline bool raw_pop(struct raw *r, int q, struct bfuse_request *out)
{
	struct bfuse_queue_head *h = raw_head(r, q);
	const struct bfuse_request *ring = (void *)(r->map[q] + r->reg.off_requests);

	if (h->request_head == __atomic_load_n(&h->request_tail, __ATOMIC_ACQUIRE))
		return false;
	*out = ring[h->request_head & (r->reg.entries - 1)];
	__atomic_store_n(&h->request_head, h->request_head + 1, __ATOMIC_RELEASE);
	return true;
}

static inline void raw_push(struct raw *r, int q, const struct bfuse_verdict *v)
{
	struct bfuse_queue_head *h = raw_head(r, q);
	struct bfuse_verdict *ring = (void *)(r->map[q] + r->reg.off_verdicts);

	ring[h->verdict_tail & (r->reg.entries - 1)] = *v;
	__atomic_store_n(&h->verdict_tail, h->verdict_tail + 1, __ATOMIC_RELEASE);
}

/* A child, without the filter's files, reads a block at @offset; its status is 0 or an errno. */
static inline pid_t raw_read(const char *device, off_t offset)
{
	pid_t pid = fork();
	void *buffer;
	int fd;

	if (pid)
		return pid;
	close_range(3, ~0u, 0);
	fd = open(device, O_RDONLY | O_DIRECT);
	buffer = aligned_alloc(4096, 4096);
	_exit(pread(fd, buffer, 4096, offset) == 4096 ? 0 : errno);
}

/* Waits for the next entry of kind BFUSE_REQUEST. */
static inline void raw_next(struct raw *r, struct bfuse_request *rq)
{
	struct bfuse_enter e;

	do {
		while (!raw_pop(r, 0, rq))
			if (raw_enter(r, &e, 1, 0))
				err(1, "BFUSE_ENTER");
	} while (rq->kind != BFUSE_REQUEST);
}

#endif
