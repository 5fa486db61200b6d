// SPDX-License-Identifier: GPL-2.0
/*
 * Data of large requests in the windows of their tags: what is shown there, and when it is not. Exits with 1 at the first thing
 * that is wrong.
 */
#include "window.h"

#include <sys/uio.h>

#define LENGTH (256u << 10)
#define WINDOW (1u << 20)
#define SLOT (512u << 10)

static const char *device;
static unsigned char *buffer; /* shared with the children that do the I/O */

static int scribble(void *at)
{
	int sig = sigsetjmp(window_fell, 1);

	if (!sig)
		*(volatile unsigned char *)at = 1;
	return -sig;
}

/* One direct I/O of the data at @from; for a read they shall have the pattern then. */
static pid_t start(bool write, unsigned char *from, uint32_t bytes, unsigned int seed)
{
	pid_t pid = fork();

	if (!pid) {
		int fd = open(device, O_RDWR | O_DIRECT);
		ssize_t done;

		if (write)
			done = pwrite(fd, from, bytes, 0);
		else
			done = pread(fd, from, bytes, 0);
		if (done != (ssize_t)bytes)
			_exit(errno);
		_exit(write || is_pattern(from, bytes, seed) ? 0 : 200);
	}
	return pid;
}

static pid_t start_write(unsigned int seed)
{
	fill(buffer, LENGTH, seed);
	return start(true, buffer, LENGTH, seed);
}

static unsigned char *windows;

static unsigned char *window(const struct raw *r, const struct bfuse_request *rq)
{
	return windows + (rq->tag & (r->reg.depth - 1)) * r->reg.window_size;
}

static unsigned char *slot(struct raw *r, const struct bfuse_request *rq)
{
	return r->map[0] + r->reg.off_slots + (rq->tag & (r->reg.depth - 1)) * r->reg.slot_size;
}

static void answer(struct raw *r, const struct bfuse_request *rq, struct bfuse_verdict verdict)
{
	struct bfuse_enter e;

	verdict.tag = rq->tag;
	raw_push(r, 0, &verdict);
	require(!raw_enter(r, &e, 0, 0));
}

static void pass(struct raw *r, const struct bfuse_request *rq, uint16_t flags)
{
	answer(r, rq, (struct bfuse_verdict){ .type = BFUSE_PASS, .flags = flags });
}

static void next_done(struct raw *r, struct bfuse_request *rq)
{
	struct bfuse_enter e;

	do {
		while (!raw_pop(r, 0, rq))
			require(!raw_enter(r, &e, 1, 0));
	} while (rq->kind != BFUSE_DONE);
}

/* The disk has this pattern now. */
static void written(struct raw *r, unsigned int seed)
{
	unsigned char *mine = buffer + (2u << 20);
	struct bfuse_request rq;
	pid_t pid;

	memset(mine, 0, LENGTH);
	pid = start(false, mine, LENGTH, seed);
	raw_next(r, &rq);
	pass(r, &rq, 0);
	require(!end(pid));
}

static void shown(struct raw *r)
{
	pid_t pid = start_write(1);
	struct bfuse_request rq;

	raw_next(r, &rq);
	require(rq.length == LENGTH && rq.flags & BFUSE_RQ_MAPPED && !(rq.flags & BFUSE_RQ_PAYLOAD));
	require(is_pattern(window(r, &rq), LENGTH, 1));
	require(touch(slot(r, &rq)) == 0);
	/* Behind the data, and where no request is. */
	require(touch(window(r, &rq) + LENGTH) == -SIGBUS);
	require(touch(window(r, &rq) + WINDOW - 1) == -SIGBUS);
	for (uint64_t other = 0; other < r->reg.depth; other++)
		if (windows + other * WINDOW != window(r, &rq))
			require(touch(windows + other * WINDOW) == -SIGBUS);
	/* It is the submitter's memory. */
	buffer[LENGTH - 1] ^= 0xff;
	require(touch(window(r, &rq) + LENGTH - 1) == buffer[LENGTH - 1]);
	buffer[LENGTH - 1] ^= 0xff;
	require(scribble(window(r, &rq)) == -SIGSEGV);
	pass(r, &rq, 0);
	require(touch(window(r, &rq)) == -SIGBUS);
	require(!end(pid));
	written(r, 1);
}

/* Who does not look finds nothing there later. */
static void unseen(struct raw *r)
{
	pid_t pid = start_write(2);
	struct bfuse_request rq;

	raw_next(r, &rq);
	require(rq.flags & BFUSE_RQ_MAPPED);
	pass(r, &rq, 0);
	require(touch(window(r, &rq)) == -SIGBUS);
	require(!end(pid));
	written(r, 2);
}

/* What is not whole pages, or too short or long, is copied. */
static void copied(struct raw *r, uint32_t offset, uint32_t bytes)
{
	struct bfuse_request rq;
	pid_t pid;

	fill(buffer + offset, bytes, 3);
	pid = start(true, buffer + offset, bytes, 3);
	raw_next(r, &rq);
	require(rq.length == bytes && rq.flags & BFUSE_RQ_PAYLOAD && !(rq.flags & BFUSE_RQ_MAPPED));
	require(is_pattern(slot(r, &rq), bytes < SLOT ? bytes : SLOT, 3));
	require(touch(window(r, &rq)) == -SIGBUS);
	pass(r, &rq, 0);
	require(!end(pid));
}

/* What was there before stays. */
static void failed(struct raw *r)
{
	pid_t pid = start_write(4);
	struct bfuse_request rq;

	raw_next(r, &rq);
	require(touch(window(r, &rq)) == pattern(0, 4));
	answer(r, &rq, (struct bfuse_verdict){ .type = BFUSE_COMPLETE, .status = -EIO });
	require(touch(window(r, &rq)) == -SIGBUS);
	require(end(pid) == EIO);
	written(r, 2);
}

static void store(struct raw *r, const struct bfuse_request *rq, const void *data, uint32_t offset, uint32_t length)
{
	struct bfuse_data d = { .size = sizeof(d), .tag = rq->tag, .address = (uintptr_t)data, .offset = offset,
				.length = length, .flags = BFUSE_DATA_STORE };

	require(!ioctl(r->fd, BFUSE_DATA, &d));
}

/* From the slot, which has nothing before, or stored, in part. */
static void modified(struct raw *r, bool stored)
{
	pid_t pid = start_write(5);
	struct bfuse_request rq;
	unsigned char *mine = malloc(LENGTH);

	raw_next(r, &rq);
	require(is_pattern(window(r, &rq), LENGTH, 5));
	fill(mine, LENGTH, 6);
	if (stored)
		store(r, &rq, mine, 0, LENGTH);
	else
		memcpy(slot(r, &rq), mine, LENGTH);
	require(is_pattern(window(r, &rq), LENGTH, 5));
	pass(r, &rq, BFUSE_VERDICT_MODIFY | (stored ? BFUSE_VERDICT_STORED : 0));
	require(touch(window(r, &rq)) == -SIGBUS);
	require(!end(pid));
	require(is_pattern(buffer, LENGTH, 5));
	written(r, 6);
	memset(slot(r, &rq), 0, LENGTH);
	free(mine);
}

static void fetched(struct raw *r)
{
	unsigned char *mine = malloc(LENGTH);
	pid_t pid = start_write(7);
	struct bfuse_request rq;
	struct bfuse_data d;

	raw_next(r, &rq);
	require(touch(window(r, &rq)) == pattern(0, 7));
	d = (struct bfuse_data){ .size = sizeof(d), .tag = rq.tag, .address = (uintptr_t)mine, .length = LENGTH };
	require(!ioctl(r->fd, BFUSE_DATA, &d) && is_pattern(mine, LENGTH, 7));
	require(touch(window(r, &rq)) == pattern(0, 7));
	pass(r, &rq, 0);
	require(touch(window(r, &rq)) == -SIGBUS);
	require(!end(pid));
	free(mine);
}

/* A read has nothing to show before it is done; then it has, if it is held. @how: the second verdict. */
static void held(struct raw *r, struct bfuse_verdict how, unsigned int seed, int status)
{
	struct bfuse_request rq, done;
	pid_t pid;

	memset(buffer, 0xee, LENGTH);
	pid = start(false, buffer, LENGTH, seed);
	raw_next(r, &rq);
	require(!(rq.flags & (BFUSE_RQ_MAPPED | BFUSE_RQ_PAYLOAD)));
	require(touch(window(r, &rq)) == -SIGBUS);
	pass(r, &rq, BFUSE_VERDICT_HOLD);
	next_done(r, &done);
	require(done.flags & BFUSE_RQ_HELD && done.flags & BFUSE_RQ_MAPPED && !(done.flags & BFUSE_RQ_PAYLOAD));
	require(is_pattern(window(r, &rq), LENGTH, 7));
	require(scribble(window(r, &rq)) == -SIGSEGV);
	fill(slot(r, &rq), LENGTH, 8);
	answer(r, &rq, how);
	require(touch(window(r, &rq)) == -SIGBUS);
	require(end(pid) == status);
	memset(slot(r, &rq), 0, LENGTH);
}

/* The submitter has its data back when a BFUSE_DONE comes: that shows a copy. */
static void notified(struct raw *r)
{
	struct bfuse_request rq, done;
	pid_t pid = start(false, buffer, LENGTH, 7);

	raw_next(r, &rq);
	pass(r, &rq, BFUSE_VERDICT_NOTIFY);
	next_done(r, &done);
	require(done.flags & BFUSE_RQ_PAYLOAD && !(done.flags & BFUSE_RQ_MAPPED));
	require(is_pattern(slot(r, &rq), LENGTH, 7));
	require(touch(window(r, &rq)) == -SIGBUS);
	require(!end(pid));
	memset(slot(r, &rq), 0, LENGTH);
}

/* Of a write that is held nothing is shown when it is done. */
static void held_write(struct raw *r)
{
	pid_t pid = start_write(7);
	struct bfuse_request rq, done;

	raw_next(r, &rq);
	require(touch(window(r, &rq)) == pattern(0, 7));
	pass(r, &rq, BFUSE_VERDICT_HOLD);
	next_done(r, &done);
	require(done.flags & BFUSE_RQ_HELD && !(done.flags & (BFUSE_RQ_MAPPED | BFUSE_RQ_PAYLOAD)));
	require(touch(window(r, &rq)) == -SIGBUS);
	pass(r, &rq, 0);
	require(!end(pid));
}

static void refused_mappings(struct raw *r)
{
	require(map_windows(r, PROT_READ | PROT_WRITE, MAP_SHARED, all_windows(r)) == MAP_FAILED && errno == EACCES);
	require(map_windows(r, PROT_READ | PROT_EXEC, MAP_SHARED, all_windows(r)) == MAP_FAILED && errno == EACCES);
	require(map_windows(r, PROT_READ, MAP_PRIVATE, all_windows(r)) == MAP_FAILED && errno == EINVAL);
	require(map_windows(r, PROT_READ, MAP_SHARED, all_windows(r) - PAGE) == MAP_FAILED && errno == EINVAL);
	require(map_windows(r, PROT_READ, MAP_SHARED, 2 * all_windows(r)) == MAP_FAILED && errno == EINVAL);
	require(mmap(NULL, all_windows(r), PROT_READ, MAP_SHARED, r->fd, (off_t)(r->reg.off_windows + PAGE)) == MAP_FAILED);
	require(mmap(NULL, all_windows(r), PROT_READ, MAP_SHARED, r->fd, (off_t)(r->reg.off_windows + all_windows(r))) == MAP_FAILED);
	require(mprotect(windows, all_windows(r), PROT_READ | PROT_WRITE) && errno == EACCES);
	require(mprotect(windows, all_windows(r), PROT_READ | PROT_EXEC) && errno == EACCES);
	require(mprotect(windows, PAGE, PROT_READ | PROT_WRITE) && errno == EACCES);
	require(mprotect(windows, PAGE, PROT_NONE) && errno == EINVAL);
	require(munmap(windows, PAGE) && errno == EINVAL);
	require(mremap(windows, all_windows(r), 2 * all_windows(r), MREMAP_MAYMOVE) == MAP_FAILED);
	require(mremap(windows, 0, all_windows(r), MREMAP_MAYMOVE) == MAP_FAILED);
	require(madvise(windows, all_windows(r), MADV_DOFORK));
}

static void many_mappings(struct raw *r)
{
	unsigned char *more[1000];
	int n = 0;

	while (n < 1000 && (more[n] = map_windows(r, PROT_READ, MAP_SHARED, all_windows(r))) != MAP_FAILED)
		n++;
	require(n > 2 && n < 100 && errno == EMFILE);
	while (n--)
		require(!munmap(more[n], all_windows(r)));
}

/* What pins or copies pages gets none. */
static void uses(struct raw *r)
{
	int direct = open(device, O_WRONLY | O_DIRECT), pipes[2];
	pid_t pid = start_write(9), child;
	struct bfuse_request rq;
	unsigned char byte;
	struct iovec to = { &byte, 1 }, from;

	raw_next(r, &rq);
	require(pwrite(direct, window(r, &rq), PAGE, 0) == -1 && errno == EFAULT);
	require(!pipe(pipes) && write(pipes[1], window(r, &rq), 1) == 1 && read(pipes[0], &byte, 1) == 1);
	require(byte == pattern(0, 9));
	from = (struct iovec){ window(r, &rq), 1 };
	require(process_vm_readv(getpid(), &to, 1, &from, 1, 0) == -1);
	child = fork();
	if (!child)
		_exit(touch(window(r, &rq)) == -SIGSEGV ? 0 : 1);
	require(!end(child));
	require(touch(window(r, &rq)) == pattern(0, 9));
	pass(r, &rq, 0);
	require(write(pipes[1], window(r, &rq), 1) == -1 && errno == EFAULT);
	require(touch(window(r, &rq)) == -SIGBUS);
	require(!end(pid));
	close(direct);
	close(pipes[0]);
	close(pipes[1]);
}

/* Mapped twice, looked at in both, and mapped again: it is taken away everywhere. It can't be moved. */
static void scattered(struct raw *r)
{
	unsigned char *twin = map_windows(r, PROT_READ, MAP_SHARED, all_windows(r)), *place;
	pid_t pid = start_write(10);
	struct bfuse_request rq;

	require(twin != MAP_FAILED);
	raw_next(r, &rq);
	require(touch(window(r, &rq) + PAGE) == pattern(PAGE, 10));
	require(touch(twin + (window(r, &rq) - windows)) == pattern(0, 10));
	place = mmap(NULL, all_windows(r), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	require(mremap(windows, all_windows(r), all_windows(r), MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED && errno == EINVAL);
	require(is_pattern(window(r, &rq), LENGTH, 10));
	pass(r, &rq, 0);
	require(touch(window(r, &rq)) == -SIGBUS);
	require(touch(twin + (window(r, &rq) - windows)) == -SIGBUS);
	require(!end(pid));
	require(!munmap(twin, all_windows(r)));

	pid = start_write(11);
	raw_next(r, &rq);
	require(touch(window(r, &rq)) == pattern(0, 11));
	require(!munmap(windows, all_windows(r)));
	windows = map_windows(r, PROT_READ, MAP_SHARED, all_windows(r));
	require(windows != MAP_FAILED && is_pattern(window(r, &rq), LENGTH, 11));
	require(!munmap(windows, all_windows(r)));
	pass(r, &rq, 0);
	require(!end(pid));
	windows = map_windows(r, PROT_READ, MAP_SHARED, all_windows(r));
	require(windows != MAP_FAILED && touch(window(r, &rq)) == -SIGBUS);
}

/* Registrations that make no sense. */
static int try(uint64_t features, uint32_t window_size, uint32_t map_min, uint32_t slot_size, uint32_t depth, uint64_t off)
{
	struct raw r = raw_new(400, 0);
	int err;

	r.reg.features = features;
	r.reg.window_size = window_size;
	r.reg.map_min = map_min;
	r.reg.slot_size = slot_size;
	r.reg.depth = depth;
	r.reg.nr_queues = depth == 4096 ? 16 : 1;
	r.reg.off_windows = off;
	err = ioctl(r.fd, BFUSE_REGISTER, &r.reg) ? errno : 0;
	close(r.fd);
	return err;
}

static void registrations(void)
{
	require(try(BFUSE_F_MAPPED, WINDOW, 0, PAGE, 16, 0) == 0);
	require(try(BFUSE_F_MAPPED, WINDOW, WINDOW, PAGE, 16, 0) == 0);
	require(try(BFUSE_F_MAPPED, PAGE, 0, PAGE, 16, 0) == 0);
	require(try(0, WINDOW, 0, PAGE, 16, 0) == EINVAL);
	require(try(0, 0, PAGE, PAGE, 16, 0) == EINVAL);
	require(try(0, 0, 0, PAGE, 16, PAGE) == EINVAL);
	require(try(BFUSE_F_MAPPED, 0, 0, PAGE, 16, 0) == EINVAL);
	require(try(BFUSE_F_MAPPED, WINDOW, 0, 0, 16, 0) == EINVAL);
	require(try(BFUSE_F_MAPPED, WINDOW, WINDOW + 1, PAGE, 16, 0) == EINVAL);
	require(try(BFUSE_F_MAPPED, WINDOW - PAGE, 0, PAGE, 16, 0) == EINVAL);
	require(try(BFUSE_F_MAPPED, 2048, 0, PAGE, 16, 0) == EINVAL);
	require(try(BFUSE_F_MAPPED, BFUSE_WINDOW_MAX * 2, 0, PAGE, 16, 0) == EINVAL);
	require(try(BFUSE_F_MAPPED, BFUSE_WINDOW_MAX, 0, PAGE, 4096, 0) == E2BIG);
	require(try(BFUSE_F_MAPPED, WINDOW, 0, PAGE, 16, PAGE) == EINVAL);
}

/* The page cache's memory, by a file system's or the device's own write-back. */
static void written_back(struct raw *r)
{
	pid_t pid = fork();
	struct bfuse_request rq;
	uint32_t done = 0;
	bool any = false;

	if (!pid) {
		int fd = open(device, O_RDWR);

		fill(buffer, LENGTH, 12);
		_exit(pwrite(fd, buffer, LENGTH, 0) != LENGTH || fsync(fd));
	}
	while (done < LENGTH) {
		raw_next(r, &rq);
		if (rq.op == BFUSE_OP_WRITE) {
			for (uint32_t i = 0; rq.flags & BFUSE_RQ_MAPPED && i < rq.length; i += 97)
				require(touch(window(r, &rq) + i) == pattern(rq.sector * 512 + i, 12));
			any |= rq.flags & BFUSE_RQ_MAPPED;
			done += rq.length;
		}
		pass(r, &rq, 0);
	}
	while (!waitpid(pid, NULL, WNOHANG)) {
		struct bfuse_enter e;

		raw_enter(r, &e, 1, 50);
		while (raw_pop(r, 0, &rq))
			pass(r, &rq, 0);
	}
	require(any);
}

static struct raw filter(uint32_t map_min)
{
	struct raw r = raw_new(500, 1u << BFUSE_OP_READ | 1u << BFUSE_OP_WRITE);

	r.reg.features = BFUSE_F_MAPPED;
	r.reg.depth = 16;
	r.reg.slot_size = SLOT;
	r.reg.window_size = WINDOW;
	r.reg.map_min = map_min;
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	r.reg.defaults.payload = r.reg.defaults.ops;
	r.reg.defaults.verdicts |= 1u << BFUSE_MODIFY | 1u << BFUSE_HOLD;
	raw_register(&r);
	windows = map_windows(&r, PROT_READ, MAP_SHARED, all_windows(&r));
	if (windows == MAP_FAILED)
		err(1, "windows");
	return r;
}

static void leave(struct raw *r)
{
	munmap(windows, all_windows(r));
	munmap(r->map[0], r->reg.queue_bytes);
	close(r->fd);
}

/* A kernel that checks page tables has it otherwise. */
static void nothing_is_shown(void)
{
	struct raw r = filter(0);

	if (raw_attach(&r, device))
		errx(1, "attach");
	copied(&r, 0, LENGTH);
	leave(&r);
}

static void all(void)
{
	struct raw r;

	registrations();
	r = filter(0);
	refused_mappings(&r);
	many_mappings(&r);
	if (raw_attach(&r, device))
		errx(1, "attach");
	shown(&r);
	unseen(&r);
	failed(&r);
	copied(&r, 512, LENGTH);
	copied(&r, 0, LENGTH + 512);
	copied(&r, 0, (64u << 10) - PAGE);
	modified(&r, false);
	modified(&r, true);
	fetched(&r);
	held(&r, (struct bfuse_verdict){ .type = BFUSE_PASS }, 7, 0);
	held(&r, (struct bfuse_verdict){ .type = BFUSE_PASS, .flags = BFUSE_VERDICT_MODIFY }, 8, 0);
	held(&r, (struct bfuse_verdict){ .type = BFUSE_COMPLETE, .status = -EIO }, 0, EIO);
	notified(&r);
	held_write(&r);
	uses(&r);
	scattered(&r);
	leave(&r);
	r = filter(PAGE);
	if (raw_attach(&r, device))
		errx(1, "attach");
	written_back(&r);
}

int main(int argc, char **argv)
{
	bool copy = argc == 3 && !strcmp(argv[1], "--copied");

	if (argc != 2 + copy)
		errx(2, "usage: mapped [--copied] DEVICE");
	device = argv[1 + copy];
	alarm(100);
	window_catch();
	buffer = mmap(NULL, 4u << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (copy)
		nothing_is_shown();
	else
		all();
	return 0;
}
