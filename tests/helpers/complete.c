// SPDX-License-Identifier: MIT
/*
 * A filter that completes requests with every status there is: complete DEVICE
 *
 * The submitter, a child, must get the error that the ABI promises; nothing may reach the device (the caller looks at its
 * counters). What is not allowed must be refused.
 */
#include <linux/fs.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "raw.h"

static const char *device;
static int failures;

static void *buffer_new(void)
{
	void *buffer;

	if (posix_memalign(&buffer, 4096, 4096))
		_exit(255);
	memset(buffer, 0xaa, 4096);
	return buffer;
}

/* All return 0 or the errno. */
static int do_read(int fd)
{
	return pread(fd, buffer_new(), 4096, 8192) == 4096 ? 0 : errno;
}

static int do_read_nowait(int fd)
{
	struct iovec iov = { .iov_base = buffer_new(), .iov_len = 4096 };

	return preadv2(fd, &iov, 1, 8192, RWF_NOWAIT) == 4096 ? 0 : errno;
}

static int do_write(int fd)
{
	return pwrite(fd, buffer_new(), 4096, 8192) == 4096 ? 0 : errno;
}

static int do_flush(int fd)
{
	return fdatasync(fd) ? errno : 0;
}

static int do_discard(int fd)
{
	return ioctl(fd, BLKDISCARD, (uint64_t[]){ 1 << 20, 1 << 20 }) ? errno : 0;
}

static const struct submitter {
	const char *name;
	uint8_t op;
	int (*call)(int fd);
} submitters[] = {
	{ "read", BFUSE_OP_READ, do_read },
	{ "write", BFUSE_OP_WRITE, do_write },
	{ "flush", BFUSE_OP_FLUSH, do_flush },
	{ "discard", BFUSE_OP_DISCARD, do_discard },
}, nowait = { "nowait read", BFUSE_OP_READ, do_read_nowait };

static pid_t start(const struct submitter *s)
{
	pid_t pid = fork();

	if (!pid) {
		int fd = open(device, O_RDWR | O_DIRECT);

		_exit(fd < 0 ? 254 : s->call(fd));
	}
	return pid;
}

static int verdict(struct raw *r, const struct bfuse_request *rq, int status)
{
	struct bfuse_enter e;
	int ret;

	raw_push(r, 0, &(struct bfuse_verdict){ .type = BFUSE_COMPLETE, .status = status, .tag = rq->tag });
	ret = raw_enter(r, &e, 0, 0);
	return ret == -EINVAL ? (int)e.reason : ret;
}

static int end(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void completed(struct raw *r, const struct submitter *s, int status, int want)
{
	pid_t pid = start(s);
	struct bfuse_request rq;
	int ret, got;

	raw_next(r, &rq);
	ret = verdict(r, &rq, status);
	got = ret ? 0 : end(pid);
	if (ret || got != want || rq.op != s->op) {
		printf("%s (op %u) completed with %d: verdict %d, the submitter got %d, not %d\n", s->name, rq.op, status, ret,
		       got, want);
		failures++;
	}
	if (ret && verdict(r, &rq, -EIO))
		errx(1, "can't go on");
	if (ret)
		end(pid);
}

/* An allowed status behind it ends the request. */
static void refused(struct raw *r, const struct submitter *s, int status)
{
	pid_t pid = start(s);
	struct bfuse_request rq;
	int ret;

	raw_next(r, &rq);
	ret = verdict(r, &rq, status);
	if (ret != BFUSE_REASON_STATUS) {
		printf("%s completed with %d: verdict %d, not refused\n", s->name, status, ret);
		failures++;
	}
	if (ret && (verdict(r, &rq, -ENOSPC) || end(pid) != ENOSPC))
		errx(1, "%s: after a refused status %d", s->name, status);
}

/* To the kernel's callers a discard is a hint, and a device without a cache has nothing to flush. */
static bool is_success(const struct submitter *s, int error)
{
	return error == EOPNOTSUPP && (s->op == BFUSE_OP_DISCARD || s->op == BFUSE_OP_FLUSH);
}

int main(int argc, char **argv)
{
	static const int allowed[] = { EIO, EOPNOTSUPP, ENOSPC, ENODATA, EBADE, EILSEQ, ENOLINK, EREMOTEIO, ETIMEDOUT, ENOMEM };
	static const int as_eio[] = { EROFS, EPERM };
	static const int bad[] = { -EINVAL, -EACCES, -EINTR, -EBUSY, EIO, 1, -4095, -100000, INT32_MIN };
	struct raw r;

	if (argc != 2)
		errx(2, "usage: complete DEVICE");
	device = argv[1];
	alarm(50);
	r = raw_new(500, BFUSE_OPS_ALL);
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	raw_register(&r);
	if (raw_attach(&r, device))
		errx(1, "attach");
	for (unsigned int i = 0; i < sizeof(submitters) / sizeof(submitters[0]); i++) {
		const struct submitter *s = &submitters[i];

		completed(&r, s, 0, 0);
		for (unsigned int j = 0; j < sizeof(allowed) / sizeof(allowed[0]); j++)
			completed(&r, s, -allowed[j], is_success(s, allowed[j]) ? 0 : allowed[j]);
		for (unsigned int j = 0; j < sizeof(as_eio) / sizeof(as_eio[0]); j++)
			completed(&r, s, -as_eio[j], EIO);
		refused(&r, s, -EAGAIN);
	}
	for (unsigned int j = 0; j < sizeof(bad) / sizeof(bad[0]); j++)
		refused(&r, &submitters[0], bad[j]);
	completed(&r, &nowait, -EAGAIN, EAGAIN);
	completed(&r, &nowait, 0, 0);
	return failures != 0;
}
