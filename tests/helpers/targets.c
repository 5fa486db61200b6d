// SPDX-License-Identifier: GPL-2.0
/*
 * What REDIRECT and MIRROR do, how they fail and which verdicts with targets are refused, on the bare ABI: targets DEVICE OTHER FILE
 */
#include "gate.h"

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

/* What goes to a target passes by who has no interest there: once. */
static void counted_once(struct raw *r)
{
	struct bfuse_next next = { .size = sizeof(next) };
	struct raw reader = raw_new(700, 1u << BFUSE_OP_READ);
	struct bfuse_request rq;
	pid_t pid;

	raw_register(&reader);
	expect(!raw_attach(&reader, other), "attach");
	for (unsigned int i = 0; i < 5; i++) {
		pid = start_write(0, 'p', K4);
		raw_next(r, &rq);
		ACCEPTED(r, .tag = rq.tag, .type = BFUSE_REDIRECT, .target = disk, .sector = 200);
		expect(result(pid) == 0, "write");
	}
	next.attachment = reader.attachment - 1;
	expect(!ioctl(reader.fd, BFUSE_NEXT, &next), "next");
	expect(next.stat.seen == 5 && next.stat.bypassed == 5, "%llu seen, %llu bypassed", next.stat.seen, next.stat.bypassed);
	ioctl(reader.fd, BFUSE_DETACH, &(struct bfuse_detach){ .size = sizeof(struct bfuse_detach), .attachment = reader.attachment });
	close(reader.fd);
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
	struct raw r = gate_filter(argc, argv);

	making_targets(&r);
	redirected_writes(&r);
	redirected_reads(&r);
	redirected_rest(&r);
	senseless(&r);
	mirrored(&r);
	counted_once(&r);
	gate_open();
	seen_by_the_chain(&r);
	failing_mirror(&r);
	gate_close();
	gate_leave(&r);
	not_promised();
	printf("%d failures\n", failures);
	return failures != 0;
}
