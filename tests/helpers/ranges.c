// SPDX-License-Identifier: MIT
/*
 * Ranges, flags, processes and cgroups: is presented what should be, and nothing else?
 *
 *	ranges model DEVICE COUNT TRIES		against a model, at random places and at the edges
 *	ranges replace DEVICE MILLISECONDS	new ranges all the time, while others write
 *	ranges refuse DEVICE			what the kernel must refuse
 *	ranges flags DEVICE			flags and processes
 *	ranges cgroup DEVICE DIRECTORY		of a cgroup that has one below it, "sub"
 */
#include "interest.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

static struct watcher watcher;

/* Sorted, with a gap in front of each but some. */
static struct bfuse_range *make_ranges(uint32_t count, uint64_t sectors)
{
	struct bfuse_range *ranges = calloc(count, sizeof(*ranges));
	uint64_t step = sectors / count, first;
	uint32_t i;

	if (!ranges || step < 2)
		errx(1, "%u ranges are too many", count);
	for (i = 0; i < count; i++) {
		first = i * step + (i % 7 ? below(step / 2 + 1) : 0);
		ranges[i].first = first;
		ranges[i].sectors = 1 + below((i + 1) * step - first);
	}
	return ranges;
}

static bool touches(const struct bfuse_range *ranges, uint32_t count, const struct work *work)
{
	uint64_t end = work->sector + work->length / 512;
	uint32_t i;

	for (i = 0; i < count && ranges[i].first < end; i++)
		if (ranges[i].first + ranges[i].sectors > work->sector)
			return true;
	return false;
}

/* Half of them at the edge of a range, from a sector before to a sector behind. */
static struct work choose(const struct bfuse_range *ranges, uint32_t count)
{
	uint32_t n = 1 + (uint32_t)below(below(4) ? 8 : MAX_BYTES / 512);
	const struct bfuse_range *range = &ranges[below(count)];
	uint64_t edge = range->first + (below(2) ? range->sectors : 0) + below(3);
	uint64_t back = below(2) ? n : 0;

	if (below(2) || edge < 1 + back)
		edge = below(watcher.sectors) + 1 + back;
	edge -= 1 + back;
	if (edge + n > watcher.sectors)
		edge = watcher.sectors - n;
	return (struct work){ .sector = edge, .length = n * 512, .write = below(2) };
}

static int test_model(uint32_t count, unsigned int tries)
{
	struct bfuse_range *ranges = make_ranges(count, watcher.sectors);
	unsigned int hits = 0;

	watcher_attach(&watcher, NULL);
	watcher_check(&watcher, bfuse_set_ranges(watcher.bfuse, watcher.attachment, ranges, count), "ranges");
	while (tries--) {
		struct work work = choose(ranges, count);
		bool want = touches(ranges, count, &work);

		hits += want;
		expect_seen(&watcher, work, want, "ranges");
	}
	watcher_check(&watcher, bfuse_set_ranges(watcher.bfuse, watcher.attachment, NULL, 0), "no ranges");
	expect_seen(&watcher, (struct work){ 0, 512, false, false }, true, "no ranges");
	printf("%u hits\n", hits);
	return hits ? 0 : 1;
}

static void write_at(int fd, const void *data, uint64_t mib)
{
	if (pwrite(fd, data, 4096, (off_t)(mib << 20)) != 4096)
		err(1, "write");
}

/* Counts in @done how often it wrote to MiB 0, which is in all ranges; MiB 1 is in some, MiB 2 in none. */
static void write_all_the_time(const char *device, atomic_uint *done)
{
	int fd = open(device, O_RDWR | O_DIRECT | O_CLOEXEC);
	void *data;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || posix_memalign(&data, 4096, 4096))
		err(1, "%s", device);
	while (done[1] == 0) {
		write_at(fd, data, 0);
		done[0]++;
		write_at(fd, data, 1);
		write_at(fd, data, 2);
	}
	_exit(0);
}

static atomic_uint at[3];

static void *count_places(void *arg)
{
	struct bfuse_queue *queue = arg;
	struct bfuse_request request;

	while (bfuse_queue_wait(queue, 1, 0) >= 0)
		while (bfuse_queue_get(queue, &request, 1))
			if (request.kind == BFUSE_REQUEST) {
				at[request.sector >> 11]++;
				bfuse_queue_pass(queue, request.tag, 0);
			}
	return NULL;
}

static int test_replace(const char *device, unsigned int ms)
{
	static const struct bfuse_range sets[2][3] = { { { 0, 8 }, { 2048, 8 }, { 8192, 1 } }, { { 0, 2048 }, { 4 << 20, 1 } } };
	atomic_uint *done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct bfuse_register reg = {
		.name = "replace", .altitude = 400, .nr_queues = 1, .known_ops = BFUSE_OPS_ALL, .unknown = BFUSE_POLICY_PASS,
		.defaults = { .ops = BFUSE_OPS_ALL },
	};
	struct bfuse *bfuse = bfuse_new();
	unsigned int turns = 0, before, passed;
	struct timespec begin, now;
	pid_t pid = fork();
	uint32_t attachment;
	pthread_t thread;

	if (!pid) {
		while (!done[2])
			usleep(1000);
		write_all_the_time(device, done);
	}
	if (bfuse_open(bfuse) || bfuse_register(bfuse, &reg) ||
	    pthread_create(&thread, NULL, count_places, bfuse_queue(bfuse, 0)) ||
	    bfuse_attach(bfuse, device, NULL, &attachment) ||
	    bfuse_set_ranges(bfuse, attachment, sets[0], 3))
		errx(1, "%s", bfuse_error(bfuse));
	before = at[0];
	done[2] = 1;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		turns++;
		if (bfuse_set_ranges(bfuse, attachment, sets[turns % 2], turns % 2 ? 2 : 3))
			errx(1, "%s", bfuse_error(bfuse));
		clock_gettime(CLOCK_MONOTONIC, &now);
		passed = (unsigned int)((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000);
	} while (passed < ms || (done[0] < 100 && passed < 20 * ms));
	done[1] = 1;
	waitpid(pid, NULL, 0);
	printf("%u turns, %u writes: seen %u, %u and %u\n", turns, done[0], at[0] - before, at[1], at[2]);
	return at[0] - before == done[0] && at[1] && at[2] == 0 ? 0 : 1;
}

static void refuse(int want, const struct bfuse_range *ranges, uint32_t count, const char *what)
{
	int ret = bfuse_set_ranges(watcher.bfuse, watcher.attachment, ranges, count);

	if (ret != -want)
		errx(1, "%s: %d, not %d", what, ret, -want);
}

static void refuse_interest(struct bfuse_interest interest, const char *what)
{
	interest.ops = BFUSE_OPS_ALL;
	if (bfuse_attach(watcher.bfuse, watcher.device, &interest, &watcher.attachment) != -EINVAL)
		errx(1, "%s was accepted", what);
}

static int test_refuse(void)
{
	const struct bfuse_range good[] = { { 0, 1 }, { 1, 2 }, { 5, UINT64_MAX - 5 } };

	refuse_interest((struct bfuse_interest){ .flags = BFUSE_RQ_HELD }, "a flag of ours");
	refuse_interest((struct bfuse_interest){ .except = BFUSE_EXCEPT_PROCESS }, "all but process 0");
	refuse_interest((struct bfuse_interest){ .except = BFUSE_EXCEPT_CGROUP }, "all but cgroup 0");
	refuse_interest((struct bfuse_interest){ .process = 1, .except = 4 }, "an unknown exception");
	watcher.attachment = 0;
	refuse(ENOENT, good, 3, "no attachment");
	watcher_attach(&watcher, NULL);
	refuse(0, good, 3, "good");
	refuse(EINVAL, (struct bfuse_range[]){ { 1, 0 } }, 1, "empty");
	refuse(EINVAL, (struct bfuse_range[]){ { 2, UINT64_MAX - 1 } }, 1, "beyond 2^64");
	refuse(EINVAL, (struct bfuse_range[]){ { 2, 2 }, { 3, 1 } }, 2, "overlapping");
	refuse(EINVAL, (struct bfuse_range[]){ { 4, 1 }, { 3, 1 } }, 2, "in disorder");
	refuse(EFAULT, (const struct bfuse_range *)8, 2, "a bad address");
	refuse(E2BIG, good, BFUSE_RANGES_MAX + 1, "too many");
	/* The last good ones hold. */
	expect_seen(&watcher, (struct work){ 3, 1024, false, false }, false, "outside");
	expect_seen(&watcher, (struct work){ 4, 1024, false, false }, true, "inside");
	return 0;
}

static const struct work plain = { 8, 4096, true, false }, forced = { 8, 4096, true, true };

static void expect_both(struct bfuse_interest interest, bool want_plain, bool want_forced, const char *what)
{
	interest.ops = 1u << BFUSE_OP_WRITE;
	watcher_attach(&watcher, &interest);
	expect_seen(&watcher, plain, want_plain, what);
	expect_seen(&watcher, forced, want_forced, what);
	watcher_detach(&watcher);
}

static int test_flags(void)
{
	uint32_t pid = (uint32_t)watcher.worker.pid;

	expect_both((struct bfuse_interest){ .flags = BFUSE_RQ_FUA }, false, true, "fua");
	expect_both((struct bfuse_interest){ .flags = BFUSE_RQ_SYNC | BFUSE_RQ_PRIO }, true, true, "sync or prio");
	expect_both((struct bfuse_interest){ .flags = BFUSE_RQ_META | BFUSE_RQ_PRIO }, false, false, "meta or prio");
	expect_both((struct bfuse_interest){ .flags = BFUSE_RQ_ENCRYPTED }, false, false, "encrypted");
	expect_both((struct bfuse_interest){ .process = pid }, true, true, "the process");
	expect_both((struct bfuse_interest){ .process = 1 }, false, false, "another process");
	expect_both((struct bfuse_interest){ .process = pid, .except = BFUSE_EXCEPT_PROCESS }, false, false, "all but the process");
	expect_both((struct bfuse_interest){ .process = 1, .except = BFUSE_EXCEPT_PROCESS }, true, true, "all but another");
	expect_both((struct bfuse_interest){ .process = pid, .flags = BFUSE_RQ_FUA }, false, true, "fua by the process");
	return 0;
}

static uint64_t id_of(const char *directory)
{
	struct stat st;

	if (stat(directory, &st))
		err(1, "%s", directory);
	return st.st_ino;
}

static void move_worker(const char *directory)
{
	char path[600];
	FILE *file;

	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	file = fopen(path, "w");
	if (!file || fprintf(file, "%d", watcher.worker.pid) < 0 || fclose(file))
		err(1, "%s", path);
}

static void expect_cgroup(uint64_t id, bool except, bool want, const char *what)
{
	expect_both((struct bfuse_interest){ .cgroup = id, .except = except ? BFUSE_EXCEPT_CGROUP : 0 }, want, want, what);
}

static int test_cgroup(const char *directory)
{
	char sub[512];
	uint64_t id = id_of(directory), sub_id;

	snprintf(sub, sizeof(sub), "%s/sub", directory);
	sub_id = id_of(sub);
	expect_cgroup(id, false, false, "outside");
	expect_cgroup(id, true, true, "all but the cgroup, outside");
	move_worker(sub);
	expect_cgroup(id, false, true, "below");
	expect_cgroup(sub_id, false, true, "in it");
	expect_cgroup(id, true, false, "all but the cgroup, below");
	expect_cgroup(1, false, true, "the root");
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc < 3)
		errx(2, "usage: see the source");
	if (!strcmp(argv[1], "replace") && argc == 4)
		return test_replace(argv[2], (unsigned int)atoi(argv[3]));
	watcher_start(&watcher, argv[2]);
	if (!strcmp(argv[1], "model") && argc == 5)
		return test_model((uint32_t)atoi(argv[3]), (unsigned int)atoi(argv[4]));
	if (!strcmp(argv[1], "refuse"))
		return test_refuse();
	if (!strcmp(argv[1], "flags"))
		return test_flags();
	if (!strcmp(argv[1], "cgroup") && argc == 4)
		return test_cgroup(argv[3]);
	errx(2, "usage: see the source");
}
