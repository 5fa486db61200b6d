/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests of targets: DEVICE, which is filtered, and two places beside it, OTHER and FILE. OTHER is filtered, too, by a child: the
 * gate, which shows what comes there and answers as it is told, so that things happen there when the test wants them to, or fail.
 */
#ifndef GATE_H
#define GATE_H

#include "verdicts.h"

#include <linux/fs.h>
#include <poll.h>
#include <sys/sysmacros.h>

#define K4 4096u
#define ALL ((1u << BFUSE_VERBS) - 1)
#define CHANGES (1u << BFUSE_OP_WRITE | 1u << BFUSE_OP_DISCARD | 1u << BFUSE_OP_WRITE_ZEROES | 1u << BFUSE_OP_FLUSH)

static const char *other, *file;
static uint32_t disk, backing;	/* targets */
static int from_gate, to_gate;
static pid_t gate;

static inline int add_fd(struct raw *r, int fd, uint32_t flags, uint32_t *id)
{
	struct bfuse_target t = { .size = sizeof(t), .fd = fd, .flags = flags };
	int err = ioctl(r->fd, BFUSE_TARGET, &t) ? errno : 0;

	*id = t.target;
	return err;
}

static inline int add(struct raw *r, const char *path, int mode, uint32_t flags, uint32_t *id)
{
	int fd = open(path, mode | O_CLOEXEC), ret;

	if (fd < 0)
		err(1, "%s", path);
	ret = add_fd(r, fd, flags, id);
	close(fd);
	return ret;
}

static inline int drop(struct raw *r, uint32_t id)
{
	struct bfuse_untarget u = { .size = sizeof(u), .target = id };

	return ioctl(r->fd, BFUSE_UNTARGET, &u) ? errno : 0;
}

/* Not all file systems have direct I/O. */
static inline int open_directly(const char *path, int mode)
{
	int fd = open(path, mode | O_DIRECT);

	if (fd < 0)
		fd = open(path, mode);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* Is it @want there? */
static inline bool holds(const char *path, uint64_t sector, unsigned char want, uint32_t bytes)
{
	unsigned char *data = aligned_alloc(K4, bytes);
	int fd = open_directly(path, O_RDONLY);
	bool same = pread(fd, data, bytes, sector * 512) == bytes;

	for (uint32_t i = 0; i < bytes; i++)
		same &= data[i] == want;
	close(fd);
	free(data);
	return same;
}

static inline void put(const char *path, uint64_t sector, unsigned char c, uint32_t bytes)
{
	unsigned char *data = memset(aligned_alloc(K4, bytes), c, bytes);
	int fd = open_directly(path, O_WRONLY);

	if (pwrite(fd, data, bytes, sector * 512) != bytes)
		err(1, "%s", path);
	close(fd);
	free(data);
}

static inline pid_t start_write(uint64_t sector, unsigned char c, uint32_t bytes)
{
	unsigned char *data = bytes_of(c, bytes);
	pid_t pid = start_io(true, sector, bytes, data);

	free(data);
	return pid;
}

/* BLKDISCARD, BLKZEROOUT, or 0: fsync. */
static inline pid_t start_ioctl(unsigned long request, uint64_t sector, uint64_t bytes)
{
	uint64_t range[] = { sector * 512, bytes };
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	fd = open(device, O_RDWR);
	_exit((request ? ioctl(fd, request, range) : fsync(fd)) ? errno : 0);
}

/* A request ends by itself, soon, or not at all. */
static inline bool is_under_way(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	usleep(200000);
	return !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && !info.si_pid;
}

static inline int serve_gate(int in, int out)
{
	struct raw g = raw_new(300, CHANGES);
	struct bfuse_verdict v;
	struct bfuse_request rq = { .kind = 99 };
	struct bfuse_enter e;

	raw_register(&g);
	if (raw_attach(&g, other) || write(out, &rq, sizeof(rq)) < 0)
		return 1;
	for (;;) {
		struct pollfd p[] = { { .fd = in, .events = POLLIN }, { .fd = g.fd, .events = POLLIN } };

		raw_enter(&g, &e, 0, 0);
		poll(p, 2, -1);
		while (raw_pop(&g, 0, &rq))
			if (rq.kind == BFUSE_REQUEST && write(out, &rq, sizeof(rq)) < 0)
				return 1;
		if ((p[0].revents & (POLLIN | POLLHUP)) && read(in, &v, sizeof(v)) != sizeof(v))
			break;
		if (p[0].revents & POLLIN) {
			raw_push(&g, 0, &v);
			raw_enter(&g, &e, 0, 0);
		}
	}
	ioctl(g.fd, BFUSE_DETACH, &(struct bfuse_detach){ .size = sizeof(struct bfuse_detach), .attachment = g.attachment });
	return 0;
}

static inline struct bfuse_request gate_next(void)
{
	struct bfuse_request rq;

	if (read(from_gate, &rq, sizeof(rq)) != sizeof(rq))
		errx(1, "the gate is gone");
	return rq;
}

static inline void gate_answer(uint64_t tag, int status)
{
	struct bfuse_verdict v = { .type = status ? BFUSE_COMPLETE : BFUSE_PASS, .status = status, .tag = tag };

	if (write(to_gate, &v, sizeof(v)) < 0)
		err(1, "gate");
}

static inline void gate_open(void)
{
	int in[2], out[2];

	if (pipe(in) || pipe(out))
		err(1, "pipe");
	gate = fork();
	if (!gate) {
		close(in[1]);
		close(out[0]);
		_exit(serve_gate(in[0], out[1]));
	}
	close(in[0]);
	close(out[1]);
	from_gate = out[0];
	to_gate = in[1];
	expect(gate_next().kind == 99, "gate");
}

static inline void gate_close(void)
{
	close(to_gate);
	expect(result(gate) == 0, "gate");
	close(from_gate);
}

/* Registered, attached, with both targets; the arguments are DEVICE OTHER FILE. */
static inline struct raw gate_filter(int argc, char **argv)
{
	struct raw r = raw_new(500, CHANGES | 1u << BFUSE_OP_READ);

	if (argc != 4)
		errx(2, "usage: %s DEVICE OTHER FILE", argv[0]);
	setlinebuf(stdout);
	device = argv[1];
	other = argv[2];
	file = argv[3];
	r.reg.features = BFUSE_F_TARGETS | BFUSE_F_CHUNKS;
	r.reg.defaults.payload = 1u << BFUSE_OP_READ | 1u << BFUSE_OP_WRITE;
	r.reg.defaults.verdicts = ALL;
	raw_register(&r);
	if (raw_attach(&r, device))
		errx(1, "attach");
	return r;
}

/* At the end. */
static inline void gate_leave(struct raw *r)
{
	expect(!drop(r, disk), "untarget");
	ioctl(r->fd, BFUSE_DETACH, &(struct bfuse_detach){ .size = sizeof(struct bfuse_detach), .attachment = r->attachment });
}

#endif
