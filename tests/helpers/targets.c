// SPDX-License-Identifier: MIT
/*
 * What REDIRECT, MIRROR and COPY_BEFORE do, how they fail and which of them are refused, on the bare ABI:
 * targets DEVICE OTHER FILE
 *
 * OTHER is filtered, too, by a child: the gate, which shows what comes there and answers as it is told, so that things
 * happen there when the test wants them to, or fail.
 */
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

static int add_fd(struct raw *r, int fd, uint32_t flags, uint32_t *id)
{
	struct bfuse_target t = { .size = sizeof(t), .fd = fd, .flags = flags };
	int err = ioctl(r->fd, BFUSE_TARGET, &t) ? errno : 0;

	*id = t.target;
	return err;
}

static int add(struct raw *r, const char *path, int mode, uint32_t flags, uint32_t *id)
{
	int fd = open(path, mode | O_CLOEXEC), ret;

	if (fd < 0)
		err(1, "%s", path);
	ret = add_fd(r, fd, flags, id);
	close(fd);
	return ret;
}

static int drop(struct raw *r, uint32_t id)
{
	struct bfuse_untarget u = { .size = sizeof(u), .target = id };

	return ioctl(r->fd, BFUSE_UNTARGET, &u) ? errno : 0;
}

/* Not all file systems have direct I/O. */
static int open_directly(const char *path, int mode)
{
	int fd = open(path, mode | O_DIRECT);

	if (fd < 0)
		fd = open(path, mode);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* Is it @want there? */
static bool holds(const char *path, uint64_t sector, unsigned char want, uint32_t bytes)
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

static void put(const char *path, uint64_t sector, unsigned char c, uint32_t bytes)
{
	unsigned char *data = memset(aligned_alloc(K4, bytes), c, bytes);
	int fd = open_directly(path, O_WRONLY);

	if (pwrite(fd, data, bytes, sector * 512) != bytes)
		err(1, "%s", path);
	close(fd);
	free(data);
}

static pid_t start_write(uint64_t sector, unsigned char c, uint32_t bytes)
{
	unsigned char *data = bytes_of(c, bytes);
	pid_t pid = start_io(true, sector, bytes, data);

	free(data);
	return pid;
}

/* BLKDISCARD, BLKZEROOUT, or 0: fsync. */
static pid_t start_ioctl(unsigned long request, uint64_t sector, uint64_t bytes)
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
static bool is_under_way(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	usleep(200000);
	return !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && !info.si_pid;
}

static int serve_gate(int in, int out)
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

static struct bfuse_request gate_next(void)
{
	struct bfuse_request rq;

	if (read(from_gate, &rq, sizeof(rq)) != sizeof(rq))
		errx(1, "the gate is gone");
	return rq;
}

static void gate_answer(uint64_t tag, int status)
{
	struct bfuse_verdict v = { .type = status ? BFUSE_COMPLETE : BFUSE_PASS, .status = status, .tag = tag };

	if (write(to_gate, &v, sizeof(v)) < 0)
		err(1, "gate");
}

static void gate_open(void)
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

static void gate_close(void)
{
	close(to_gate);
	expect(result(gate) == 0, "gate");
	close(from_gate);
}

static struct bfuse_request next_done(struct raw *r, uint64_t tag)
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

static void making_targets(struct raw *r)
{
	struct bfuse_target bad = { .size = sizeof(bad), .fd = -1, .__reserved = 1 };
	uint32_t id, ids[BFUSE_TARGETS_MAX];
	unsigned int n = 0;
	int fd;

	expect(ioctl(r->fd, BFUSE_TARGET, &bad) && errno == EINVAL, "reserved");
	expect(add_fd(r, -1, 0, &id) == EBADF, "no file");
	expect(add_fd(r, -1, 2, &id) == EINVAL, "unknown flag");
	expect(add(r, "/dev/null", O_RDWR, 0, &id) == EINVAL, "character device");
	expect(add(r, "/dev", O_RDONLY, BFUSE_TARGET_READ_ONLY, &id) == EINVAL, "directory");
	expect(add(r, other, O_RDONLY, 0, &id) == EACCES, "not for writing");
	expect(add(r, other, O_WRONLY, 0, &id) == EACCES, "not for reading");
	expect(drop(r, 0) == ENOENT && drop(r, 4711) == ENOENT, "no such target");
	fd = open(other, O_RDONLY | O_CLOEXEC);
	while (n < BFUSE_TARGETS_MAX && !add_fd(r, fd, BFUSE_TARGET_READ_ONLY, &ids[n]))
		n++;
	expect(n == BFUSE_TARGETS_MAX, "%u targets", n);
	expect(add_fd(r, fd, BFUSE_TARGET_READ_ONLY, &id) == ENOSPC, "one too many");
	close(fd);
	while (n)
		expect(!drop(r, ids[--n]), "untarget %u", ids[n]);
	expect(!add(r, other, O_RDWR, 0, &disk), "device");
	expect(!add(r, file, O_RDWR, 0, &backing), "file");
	expect(disk && backing && disk != backing, "%u %u", disk, backing);
}

static void redirected_writes(struct raw *r)
{
	struct bfuse_request rq;
	pid_t pid;

	put(device, 0, 'd', 4 * K4);
	put(other, 64, 'o', 4 * K4);
	pid = start_write(0, 'a', K4);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = disk, .sector = 64);
	expect(result(pid) == 0, "write");
	expect(holds(other, 64, 'a', K4) && holds(other, 72, 'o', K4), "the other");
	expect(holds(device, 0, 'd', 4 * K4), "the device");

	pid = start_write(0, 'b', 2 * K4);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = backing, .sector = 8);
	expect(result(pid) == 0, "write");
	expect(holds(file, 8, 'b', 2 * K4) && holds(file, 0, 0, K4), "the file");

	pid = start_write(0, 'c', K4);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .sector = 16, .flags = BFUSE_VERDICT_NOTIFY);
	expect(result(pid) == 0, "write");
	expect(next_done(r, rq.tag).status == 0, "done");
	expect(holds(device, 16, 'c', K4) && holds(device, 0, 'd', 2 * K4), "the device");

	/* With other data, in more than one part. */
	pid = start_write(0, 'e', 2 * K4);
	raw_next(r, &rq);
	memset(r->map[0] + r->reg.off_slots + (rq.tag & (r->reg.depth - 1)) * r->reg.slot_size, 'E', 2 * K4);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = disk, .sector = 64, .flags = BFUSE_VERDICT_MODIFY);
	expect(result(pid) == 0, "write");
	expect(holds(other, 64, 'E', 2 * K4), "the other");
}

static void redirected_reads(struct raw *r)
{
	unsigned char *want = bytes_of('E', 2 * K4);
	struct bfuse_request rq;
	pid_t pid = start_io(false, 0, 2 * K4, want);

	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = disk, .sector = 64, .flags = BFUSE_VERDICT_NOTIFY);
	expect(result(pid) == 0, "read");
	rq = next_done(r, rq.tag);
	expect(!memcmp(r->map[0] + r->reg.off_slots + (rq.tag & (r->reg.depth - 1)) * r->reg.slot_size, want, 2 * K4), "payload");

	memset(want, 'b', 2 * K4);
	pid = start_io(false, 0, 2 * K4, want);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = backing, .sector = 8);
	expect(result(pid) == 0, "read");

	/* Behind the end of a file there are zeroes. */
	memset(want, 0, 2 * K4);
	memset(want, 'b', K4);
	pid = start_io(false, 0, 2 * K4, want);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = backing, .sector = 16);
	expect(result(pid) == 0, "read");

	memset(want, 'c', K4);
	pid = start_io(false, 0, K4, want);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .sector = 16, .flags = BFUSE_VERDICT_HOLD);
	rq = next_done(r, rq.tag);
	expect(rq.flags & BFUSE_RQ_HELD, "held");
	REFUSED(r, BFUSE_REASON_OP, .tag = rq.tag, .type = BFUSE_REDIRECT, .sector = 16);
	ACCEPTED(r, .tag = rq.tag);
	expect(result(pid) == 0, "read");
	free(want);
}

static void redirected_rest(struct raw *r)
{
	struct bfuse_request rq;
	pid_t pid;

	put(file, 8, 'f', 4 * K4);
	pid = start_ioctl(BLKDISCARD, 0, K4);
	raw_next(r, &rq);
	expect(rq.op == BFUSE_OP_DISCARD, "op %u", rq.op);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = backing, .sector = 8);
	expect(result(pid) == 0, "discard");
	expect(holds(file, 8, 0, K4) && holds(file, 16, 'f', 3 * K4), "the file");

	put(other, 64, 'o', 4 * K4);
	pid = start_ioctl(BLKZEROOUT, 0, K4);
	raw_next(r, &rq);
	expect(rq.op == BFUSE_OP_WRITE_ZEROES, "op %u", rq.op);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = disk, .sector = 72);
	expect(result(pid) == 0, "zeroes");
	expect(holds(other, 72, 0, K4) && holds(other, 64, 'o', K4) && holds(other, 80, 'o', K4), "the other");

	for (uint32_t i = 0; i < 3; i++) {
		pid = start_ioctl(0, 0, 0);
		raw_next(r, &rq);
		expect(rq.op == BFUSE_OP_FLUSH, "op %u", rq.op);
		REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = disk, .sector = 8);
		ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = i == 2 ? 0 : i ? backing : disk);
		expect(result(pid) == 0, "flush");
	}
	expect(holds(device, 0, 'd', 2 * K4), "the device");
}

static void senseless(struct raw *r)
{
	uint64_t end = lseek(open(other, O_RDONLY | O_CLOEXEC), 0, SEEK_END) / 512;
	uint32_t itself, read_only;
	struct bfuse_request rq;
	pid_t pid;

	expect(!add(r, device, O_RDWR, 0, &itself), "itself");
	expect(!add(r, other, O_RDONLY, BFUSE_TARGET_READ_ONLY, &read_only), "read-only");
	pid = start_write(0, 'x', K4);
	raw_next(r, &rq);
	REFUSED(r, BFUSE_REASON_RESERVED, .tag = rq.tag, .target = disk);
	REFUSED(r, BFUSE_REASON_RESERVED, .tag = rq.tag, .sector = 8);
	REFUSED(r, BFUSE_REASON_RESERVED, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = disk, .mirror = disk);
	REFUSED(r, BFUSE_REASON_RESERVED, .tag = rq.tag, .mirror_sector = 8);
	REFUSED(r, BFUSE_REASON_RESERVED, .tag = rq.tag, .copy_target = disk);
	REFUSED(r, BFUSE_REASON_RESERVED, .tag = rq.tag, .copy_length = K4, .flags = BFUSE_VERDICT_MIRROR, .mirror = disk);
	REFUSED(r, BFUSE_REASON_RESERVED, .tag = rq.tag, .copy_source = 8);
	REFUSED(r, BFUSE_REASON_RESERVED, .tag = rq.tag, .copy_sector = 8);
	REFUSED(r, BFUSE_REASON_RESERVED, .tag = rq.tag, .type = BFUSE_COMPLETE, .target = disk);
	REFUSED(r, BFUSE_REASON_TYPE, .tag = rq.tag, .type = 3);
	REFUSED(r, BFUSE_REASON_FLAGS, .tag = rq.tag, .flags = BFUSE_VERDICT_LENIENT);
	REFUSED(r, BFUSE_REASON_FLAGS, .tag = rq.tag, .type = BFUSE_COMPLETE, .flags = BFUSE_VERDICT_MIRROR, .mirror = disk);
	REFUSED(r, BFUSE_REASON_STATUS, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = disk, .status = -EIO);
	for (uint32_t i = 0; i < 3; i++) {
		static const uint32_t none[] = { 4711, ~0u, 1u << 31 };

		REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = none[i]);
		REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .flags = BFUSE_VERDICT_MIRROR, .mirror = none[i]);
		REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .flags = BFUSE_VERDICT_COPY_BEFORE, .copy_target = none[i],
			.copy_length = K4);
	}
	for (uint32_t i = 0; i < 5; i++) {
		const uint64_t behind[] = { end, end - 7, ~0ull, ~0ull - 7, 1ull << 55 };

		REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = disk, .sector = behind[i]);
		REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .type = BFUSE_REDIRECT, .sector = behind[i]);
		REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .flags = BFUSE_VERDICT_MIRROR, .mirror = disk,
			.mirror_sector = behind[i]);
		REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .flags = BFUSE_VERDICT_COPY_BEFORE, .copy_target = disk,
			.copy_length = K4, .copy_sector = behind[i]);
		REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .flags = BFUSE_VERDICT_COPY_BEFORE, .copy_target = disk,
			.copy_length = K4, .copy_source = behind[i]);
	}
	REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .flags = BFUSE_VERDICT_MIRROR);
	REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .flags = BFUSE_VERDICT_COPY_BEFORE, .copy_target = disk);
	REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .flags = BFUSE_VERDICT_COPY_BEFORE, .copy_target = disk, .copy_length = 100);
	REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .flags = BFUSE_VERDICT_COPY_BEFORE, .copy_target = disk,
		.copy_length = ~511u);
	REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = read_only);
	REFUSED(r, BFUSE_REASON_LOOP, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = itself, .sector = 64);
	REFUSED(r, BFUSE_REASON_LOOP, .tag = rq.tag, .flags = BFUSE_VERDICT_MIRROR, .mirror = itself, .mirror_sector = 64);
	/* What was refused keeps nothing. */
	expect(!drop(r, itself) && !drop(r, read_only), "untarget");
	REFUSED(r, BFUSE_REASON_TARGET, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = itself, .sector = 64);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_COMPLETE);
	expect(result(pid) == 0, "write");

	pid = start_ioctl(0, 0, 0);
	raw_next(r, &rq);
	REFUSED(r, BFUSE_REASON_OP, .tag = rq.tag, .flags = BFUSE_VERDICT_COPY_BEFORE, .copy_target = disk, .copy_length = K4);
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_MIRROR, .mirror = disk);
	expect(result(pid) == 0, "flush");
	pid = start_io(false, 0, K4, r->map[0]);
	raw_next(r, &rq);
	REFUSED(r, BFUSE_REASON_OP, .tag = rq.tag, .flags = BFUSE_VERDICT_COPY_BEFORE, .copy_target = disk, .copy_length = K4);
	REFUSED(r, BFUSE_REASON_OP, .tag = rq.tag, .flags = BFUSE_VERDICT_MIRROR, .mirror = disk);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_COMPLETE, .status = -EIO);
	expect(result(pid) == EIO, "read");
}

static void mirrored(struct raw *r)
{
	struct bfuse_request rq;
	pid_t pid = start_write(0, 'm', 2 * K4);

	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_MIRROR | BFUSE_VERDICT_NOTIFY, .mirror = disk, .mirror_sector = 128);
	expect(result(pid) == 0, "write");
	rq = next_done(r, rq.tag);
	expect(!rq.status && !rq.flags && !rq.other_status, "%d %#x %d", rq.status, rq.flags, rq.other_status);
	expect(holds(device, 0, 'm', 2 * K4) && holds(other, 128, 'm', 2 * K4), "both");

	/* Other data, to a third place and its mirror. */
	pid = start_write(0, 'n', 2 * K4);
	raw_next(r, &rq);
	memset(r->map[0] + r->reg.off_slots + (rq.tag & (r->reg.depth - 1)) * r->reg.slot_size, 'N', 2 * K4);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .sector = 64, .mirror = backing, .mirror_sector = 64,
		 .flags = BFUSE_VERDICT_MIRROR | BFUSE_VERDICT_MODIFY | BFUSE_VERDICT_HOLD);
	rq = next_done(r, rq.tag);
	expect(rq.flags == BFUSE_RQ_HELD && !rq.status, "%#x %d", rq.flags, rq.status);
	expect(holds(device, 64, 'N', 2 * K4) && holds(file, 64, 'N', 2 * K4) && holds(device, 0, 'm', 2 * K4), "all three");
	ACCEPTED(r, .tag = rq.tag);
	expect(result(pid) == 0, "write");

	pid = start_ioctl(BLKZEROOUT, 0, K4);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_MIRROR, .mirror = disk, .mirror_sector = 128);
	expect(result(pid) == 0, "zeroes");
	expect(holds(device, 0, 0, K4) && holds(other, 128, 0, K4) && holds(other, 136, 'm', K4), "both");
}

/* The gate sees what comes to OTHER, from its top, and by whom; until it has answered nothing is done, nor is the target let go. */
static void seen_by_the_chain(struct raw *r)
{
	struct bfuse_inject inject = { .size = sizeof(inject), .op = BFUSE_OP_WRITE, .cookie = 77, .target = disk, .sector = 256,
				       .address = (uintptr_t)memset(aligned_alloc(K4, K4), 'i', K4), .length = K4 };
	struct bfuse_request rq, at_gate;
	struct bfuse_enter e;
	pid_t pid = start_write(0, 'g', K4);

	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = disk, .sector = 200);
	at_gate = gate_next();
	expect(at_gate.op == BFUSE_OP_WRITE && at_gate.sector == 200 && at_gate.length == K4, "%u %llu", at_gate.op, at_gate.sector);
	expect(at_gate.flags & BFUSE_RQ_INJECTED && at_gate.injector == r->reg.filter, "%#x %u", at_gate.flags, at_gate.injector);
	expect(is_under_way(pid), "done already");
	expect(drop(r, disk) == EBUSY, "let go");
	gate_answer(at_gate.tag, 0);
	expect(result(pid) == 0, "write");
	expect(holds(other, 200, 'g', K4), "the other");

	expect(!ioctl(r->fd, BFUSE_INJECT, &inject), "inject: %d", errno);
	at_gate = gate_next();
	expect(at_gate.sector == 256 && at_gate.injector == r->reg.filter, "%llu %u", at_gate.sector, at_gate.injector);
	gate_answer(at_gate.tag, 0);
	do {
		while (!raw_pop(r, 0, &rq))
			raw_enter(r, &e, 1, 0);
	} while (rq.kind != BFUSE_INJECTED);
	expect(rq.tag == 77 && rq.status == 0, "%llu %d", rq.tag, rq.status);
	expect(holds(other, 256, 'i', K4), "the other");
	inject.attachment = r->attachment;
	expect(ioctl(r->fd, BFUSE_INJECT, &inject) && errno == EINVAL, "inject to two places");
	inject.attachment = 0;
	inject.target = backing;
	expect(ioctl(r->fd, BFUSE_INJECT, &inject) && errno == ENOTBLK, "inject to a file");
	inject.target = 4711;
	expect(ioctl(r->fd, BFUSE_INJECT, &inject) && errno == ENOENT, "inject to nowhere");
	inject.target = disk;
	inject.sector = ~0ull;
	expect(ioctl(r->fd, BFUSE_INJECT, &inject) && errno == EINVAL, "inject behind the end");
}

static void failing_mirror(struct raw *r)
{
	struct bfuse_request rq;
	pid_t pid;

	for (int lenient = 0; lenient < 2; lenient++) {
		pid = start_write(0, 'u' + lenient, K4);
		raw_next(r, &rq);
		ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_MIRROR | (lenient ? BFUSE_VERDICT_LENIENT : 0), .mirror = disk,
			 .mirror_sector = 300);
		gate_answer(gate_next().tag, -ENOSPC);
		expect(result(pid) == (lenient ? 0 : ENOSPC), "write");
		rq = next_done(r, rq.tag);
		expect(rq.flags == BFUSE_RQ_MIRROR_FAILED && rq.other_status == -ENOSPC, "%#x %d", rq.flags, rq.other_status);
		expect(rq.status == (lenient ? 0 : -ENOSPC), "%d", rq.status);
		expect(holds(device, 0, 'u' + lenient, K4), "the device");
	}
	pid = start_write(0, 'w', K4);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = disk, .sector = 300);
	gate_answer(gate_next().tag, -EILSEQ);
	expect(result(pid) == EILSEQ, "redirected write");
}

static bool to_copy(struct raw *r, uint64_t tag, uint64_t source, uint32_t length, uint64_t to, uint16_t flags)
{
	uint32_t reason;

	return !give(r, (struct bfuse_verdict){ .tag = tag, .flags = BFUSE_VERDICT_COPY_BEFORE | flags, .copy_target = disk,
						.copy_source = source, .copy_length = length, .copy_sector = to }, &reason);
}

/* While a copy is under way nothing else changes the range, and all else goes on. */
static void copying(struct raw *r)
{
	struct bfuse_request rq, at_gate;
	pid_t first, second, elsewhere;

	put(device, 0, 'D', 16 * K4);
	first = start_write(0, '1', K4);
	raw_next(r, &rq);
	expect(to_copy(r, rq.tag, 0, 8 * K4, 512, BFUSE_VERDICT_NOTIFY), "copy");
	at_gate = gate_next();
	expect(at_gate.sector == 512 && at_gate.length == 8 * K4 && at_gate.flags & BFUSE_RQ_INJECTED, "%llu %u", at_gate.sector,
	       at_gate.length);
	second = start_write(56, '2', 2 * K4);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag);
	elsewhere = start_write(72, '3', K4);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag);
	expect(result(elsewhere) == 0, "write elsewhere");
	expect(is_under_way(first) && is_under_way(second), "done already");
	expect(holds(device, 0, 'D', 9 * K4) && holds(device, 72, '3', K4), "the device");
	gate_answer(at_gate.tag, 0);
	expect(result(first) == 0 && result(second) == 0, "writes");
	expect(holds(other, 512, 'D', 8 * K4), "the copy");
	expect(holds(device, 0, '1', K4) && holds(device, 8, 'D', 6 * K4) && holds(device, 56, '2', 2 * K4), "the device");

	/* Below: the same device. */
	first = start_write(0, '4', K4);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_COPY_BEFORE, .copy_source = 0, .copy_length = 2 * K4, .copy_sector = 1024);
	expect(result(first) == 0, "write");
	expect(holds(device, 1024, '1', K4) && holds(device, 1032, 'D', K4) && holds(device, 0, '4', K4), "the device");
}

/* A copy that has to wait for another one protects what it is to copy, too. */
static void waiting_copy(struct raw *r)
{
	struct bfuse_request rq, at_gate;
	pid_t first, second, third;

	put(device, 0, 'D', 16 * K4);
	first = start_write(0, '1', K4);
	raw_next(r, &rq);
	expect(to_copy(r, rq.tag, 0, 8 * K4, 512, 0), "copy");
	at_gate = gate_next();
	second = start_write(56, '2', 2 * K4);
	raw_next(r, &rq);
	expect(to_copy(r, rq.tag, 64, 2 * K4, 768, 0), "second copy");
	third = start_write(72, '3', K4);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag);
	expect(is_under_way(second) && is_under_way(third), "done already");
	gate_answer(at_gate.tag, 0);
	expect(result(first) == 0, "first");
	at_gate = gate_next();
	expect(at_gate.sector == 768 && at_gate.length == 2 * K4, "%llu %u", at_gate.sector, at_gate.length);
	expect(is_under_way(second) && is_under_way(third), "done already");
	gate_answer(at_gate.tag, 0);
	expect(result(second) == 0 && result(third) == 0, "writes");
	expect(holds(other, 768, 'D', 2 * K4), "the copy");
	expect(holds(device, 56, '2', 2 * K4) && holds(device, 72, '3', K4), "the device");
}

static void failing_copies(struct raw *r)
{
	struct bfuse_request rq, at_gate, waiting;
	pid_t first, second;

	put(device, 0, 'D', 16 * K4);
	for (int lenient = 0; lenient < 2; lenient++) {
		int want = lenient ? 0 : ENOSPC;

		first = start_write(0, '1', K4);
		raw_next(r, &rq);
		expect(to_copy(r, rq.tag, 0, 8 * K4, 512, lenient ? BFUSE_VERDICT_LENIENT : 0), "copy");
		at_gate = gate_next();
		second = start_write(8, '2', K4);
		raw_next(r, &waiting);
		ACCEPTED(r, .tag = waiting.tag);
		gate_answer(at_gate.tag, -ENOSPC);
		expect(result(first) == want && result(second) == want, "writes");
		rq = next_done(r, rq.tag);
		expect(rq.flags == BFUSE_RQ_COPY_FAILED && rq.other_status == -ENOSPC && rq.status == -want, "%#x %d %d", rq.flags,
		       rq.other_status, rq.status);
		if (!lenient) {
			rq = next_done(r, waiting.tag);
			expect(rq.flags == BFUSE_RQ_COPY_FAILED && rq.status == -ENOSPC, "%#x %d", rq.flags, rq.status);
		}
		expect(holds(device, 0, lenient ? '1' : 'D', K4) && holds(device, 8, lenient ? '2' : 'D', K4), "the device");
	}
}

/* Larger than a piece, for a discard; all at once. */
static void large_copy(struct raw *r)
{
	struct bfuse_request rq;
	uint32_t length = 3 * (1 << 20) + K4;
	pid_t pid;

	put(device, 0, 'L', length);
	pid = start_ioctl(BLKDISCARD, 0, length);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_COPY_BEFORE, .copy_target = backing, .copy_length = length,
		 .copy_sector = 1000);
	expect(result(pid) == 0, "discard");
	expect(holds(file, 1000, 'L', length), "the copy");
}

static void not_promised(void)
{
	struct raw r = raw_new(450, CHANGES);
	struct bfuse_request rq;
	uint32_t id;
	pid_t pid;

	raw_register(&r);
	expect(!raw_attach(&r, device) && !add(&r, other, O_RDWR, 0, &id), "attach");
	pid = start_write(128, 'q', K4);
	raw_next(&r, &rq);
	REFUSED(&r, BFUSE_REASON_TYPE, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = id);
	REFUSED(&r, BFUSE_REASON_TYPE, .tag = rq.tag, .flags = BFUSE_VERDICT_MIRROR, .mirror = id);
	REFUSED(&r, BFUSE_REASON_TYPE, .tag = rq.tag, .flags = BFUSE_VERDICT_COPY_BEFORE, .copy_target = id, .copy_length = K4);
	ACCEPTED(&r, .tag = rq.tag);
	expect(result(pid) == 0, "write");
	ioctl(r.fd, BFUSE_DETACH, &(struct bfuse_detach){ .size = sizeof(struct bfuse_detach), .attachment = r.attachment });
	close(r.fd);
}

int main(int argc, char **argv)
{
	struct raw r = raw_new(500, CHANGES | 1u << BFUSE_OP_READ);

	if (argc != 4)
		errx(2, "usage: targets DEVICE OTHER FILE");
	setlinebuf(stdout);
	device = argv[1];
	other = argv[2];
	file = argv[3];
	r.reg.features = BFUSE_F_TARGETS;
	r.reg.defaults.payload = 1u << BFUSE_OP_READ | 1u << BFUSE_OP_WRITE;
	r.reg.defaults.verdicts = ALL;
	raw_register(&r);
	if (raw_attach(&r, device))
		errx(1, "attach");
	making_targets(&r);
	redirected_writes(&r);
	redirected_reads(&r);
	redirected_rest(&r);
	senseless(&r);
	mirrored(&r);
	large_copy(&r);
	gate_open();
	seen_by_the_chain(&r);
	failing_mirror(&r);
	copying(&r);
	waiting_copy(&r);
	failing_copies(&r);
	gate_close();
	expect(!drop(&r, disk), "untarget");
	ioctl(r.fd, BFUSE_DETACH, &(struct bfuse_detach){ .size = sizeof(struct bfuse_detach), .attachment = r.attachment });
	not_promised();
	printf("%d failures\n", failures);
	return failures != 0;
}
