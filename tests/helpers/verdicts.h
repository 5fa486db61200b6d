/* SPDX-License-Identifier: MIT */
/* Verdicts on the bare ABI, one by one, and what then is on the device: for tests that count their failures. */
#ifndef VERDICTS_H
#define VERDICTS_H

#include "raw.h"

#include <sys/wait.h>

static const char *device;
static int failures;

#define expect(condition, ...) do { if (!(condition)) { failures++; printf("line %d: ", __LINE__); \
	printf(__VA_ARGS__); printf(": %s\n", #condition); } } while (0)

/* A child reads or writes @bytes at @sector directly; its status is the errno, or 100 if a read had other data than @want. */
static inline pid_t start_io(bool write, uint64_t sector, uint32_t bytes, const unsigned char *data)
{
	unsigned char *buffer = aligned_alloc(4096, bytes);
	ssize_t n;
	pid_t pid;
	int fd;

	memcpy(buffer, data, bytes);
	pid = fork();
	if (pid)
		return free(buffer), pid;
	fd = open(device, O_RDWR | O_DIRECT);
	n = write ? pwrite(fd, buffer, bytes, sector * 512) : pread(fd, buffer, bytes, sector * 512);
	_exit(n != bytes ? errno : write || !memcmp(buffer, data, bytes) ? 0 : 100);
}

static inline int result(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static inline int give(struct raw *r, struct bfuse_verdict v, uint32_t *reason)
{
	struct bfuse_enter e;
	int ret;

	raw_push(r, 0, &v);
	ret = raw_enter(r, &e, 0, 0);
	*reason = e.reason;
	return ret;
}

static inline void accepted(struct raw *r, struct bfuse_verdict v, int line)
{
	uint32_t reason;

	if (give(r, v, &reason)) {
		failures++;
		printf("line %d: refused, reason %u\n", line, reason);
	}
}

static inline void refused(struct raw *r, struct bfuse_verdict v, uint32_t want, int line)
{
	uint32_t reason;

	if (give(r, v, &reason) != -EINVAL || reason != want) {
		failures++;
		printf("line %d: reason %u, not %u\n", line, reason, want);
	}
}

#define ACCEPTED(r, ...) accepted(r, (struct bfuse_verdict){ __VA_ARGS__ }, __LINE__)
#define REFUSED(r, reason, ...) refused(r, (struct bfuse_verdict){ __VA_ARGS__ }, reason, __LINE__)

static inline int move(struct raw *r, uint64_t tag, void *buffer, uint32_t offset, uint32_t length, uint32_t flags)
{
	struct bfuse_data d = { .size = sizeof(d), .tag = tag, .address = (uintptr_t)buffer, .offset = offset, .length = length,
				.flags = flags };

	return ioctl(r->fd, BFUSE_DATA, &d) ? errno : 0;
}

/* What is on the device: our own I/O is not for us. */
static inline bool device_has(uint64_t sector, const unsigned char *want, uint32_t bytes)
{
	unsigned char *buffer = aligned_alloc(4096, bytes);
	int fd = open(device, O_RDONLY | O_DIRECT);
	bool same = pread(fd, buffer, bytes, sector * 512) == bytes && !memcmp(buffer, want, bytes);

	close(fd);
	free(buffer);
	return same;
}

static inline unsigned char *bytes_of(unsigned char c, uint32_t bytes)
{
	return memset(malloc(bytes), c, bytes);
}

/* The completion of @tag; what else comes meanwhile is dropped. */
static inline struct bfuse_request next_done(struct raw *r, uint64_t tag)
{
	struct bfuse_request rq;
	struct bfuse_enter e;

	do {
		while (!raw_pop(r, 0, &rq))
			if (raw_enter(r, &e, 1, 0))
				err(1, "BFUSE_ENTER");
	} while (rq.kind != BFUSE_DONE || rq.tag != tag);
	return rq;
}

#endif
