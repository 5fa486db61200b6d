// SPDX-License-Identifier: MIT
/*
 * The chunk bitmap:
 *
 *	chunks model DEVICE SHIFT TRIES		is presented what has a bit set? does CLEAR clear the right bits?
 *	chunks cow DEVICE SHIFT			copy on write, by several writers to the same chunks at the same time
 *	chunks hostile DEVICE MILLISECONDS	the filter writes anything to it, while it is looked at
 *	chunks refuse DEVICE			what the kernel must refuse
 *	chunks grow DEVICE FILE			a loop device grows, and shrinks
 */
#include "interest.h"

#include <errno.h>
#include <sys/resource.h>
#include <time.h>

static struct watcher watcher;
static struct bfuse_chunk_map map;

static void map_chunks(unsigned int shift, bool set)
{
	watcher_check(&watcher, bfuse_map_chunks(watcher.bfuse, watcher.attachment, shift, set, &map), "chunks");
}

static uint64_t first_chunk(const struct work *work)
{
	return work->sector >> (map.chunk_shift - 9);
}

static uint64_t last_chunk(const struct work *work)
{
	return (work->sector + work->length / 512 - 1) >> (map.chunk_shift - 9);
}

static unsigned int count_set(uint64_t first, uint64_t last)
{
	unsigned int n = 0;

	for (; first <= last; first++)
		n += bfuse_chunk_test(&map, first);
	return n;
}

/* Near the edge of a chunk. */
static struct work choose(void)
{
	uint64_t chunk_sectors = 1ull << (map.chunk_shift - 9);
	uint64_t sector = (1 + below(map.chunks - 1)) * chunk_sectors;
	uint32_t n = 1 + (uint32_t)below(below(2) ? 8 : MAX_BYTES / 512);
	uint64_t back;

	back = below(3) ? below(n + 1) : below(chunk_sectors);
	sector -= back < sector ? back : sector;
	if (sector + n > watcher.sectors)
		sector = watcher.sectors - n;
	return (struct work){ .sector = sector, .length = n * 512, .write = below(2) };
}

static void try_one(void)
{
	struct work work = choose();
	uint64_t first = first_chunk(&work), last = last_chunk(&work), chunk;
	uint64_t from = first ? first - 1 : 0, to = last + 1 < map.chunks ? last + 1 : last;
	unsigned int set, around;
	bool clear;

	for (chunk = from; chunk <= to; chunk++) {
		if (below(2 + last - first))
			bfuse_chunk_clear(&map, chunk);
		else
			bfuse_chunk_set(&map, chunk);
	}
	set = count_set(first, last);
	around = count_set(from, to);
	watcher.verdict = below(2) ? BFUSE_VERDICT_CLEAR : 0;
	watcher.complete = !below(4);
	expect_seen(&watcher, work, set, "chunks");
	clear = set && work.write && watcher.verdict;
	if (count_set(first, last) != (clear ? 0 : set) || count_set(from, to) != around - (clear ? set : 0))
		errx(1, "chunks %llu to %llu: %u set, and after CLEAR=%d %u", (unsigned long long)first, (unsigned long long)last,
		     set, clear, count_set(first, last));
}

static int test_model(unsigned int shift, unsigned int tries)
{
	watcher_attach(&watcher, NULL);
	map_chunks(shift, true);
	if (map.chunks != (watcher.sectors + (1ull << (shift - 9)) - 1) >> (shift - 9) || map.bytes * 8 < map.chunks)
		errx(1, "%llu chunks, %llu bytes", (unsigned long long)map.chunks, (unsigned long long)map.bytes);
	printf("%llu chunks, %llu bytes\n", (unsigned long long)map.chunks, (unsigned long long)map.bytes);
	expect_seen(&watcher, (struct work){ watcher.sectors - 8, 4096, true, false }, true, "the last chunk, set");
	memset(map.words, 0, map.bytes);
	expect_seen(&watcher, (struct work){ watcher.sectors - 8, 4096, true, false }, false, "the last chunk, clear");
	while (tries--)
		try_one();
	watcher_check(&watcher, bfuse_end_chunks(watcher.bfuse, watcher.attachment), "end");
	watcher.verdict = 0;
	expect_seen(&watcher, (struct work){ 0, 4096, true, false }, true, "no chunks");
	/* The mapping is ours, whatever became of the bitmap. */
	map.words[map.bytes / 8 - 1] = 1;
	bfuse_unmap_chunks(&map);
	return 0;
}

/*
 * Copy on write. Each word of the device says where it is, until a writer comes.
 */

#define WRITERS 4

static struct {
	int fd;
	pthread_mutex_t lock;
	unsigned char *saved;	/* of the whole device */
	bool *is_saved;
	unsigned int again;
} cow;

static size_t chunk_bytes(void)
{
	return (size_t)1 << map.chunk_shift;
}

static void save(uint64_t chunk)
{
	pthread_mutex_lock(&cow.lock);
	if (cow.is_saved[chunk])
		cow.again++;
	else if (pread(cow.fd, cow.saved + chunk * chunk_bytes(), chunk_bytes(), (off_t)(chunk << map.chunk_shift)) !=
		 (ssize_t)chunk_bytes())
		err(1, "chunk %llu", (unsigned long long)chunk);
	cow.is_saved[chunk] = true;
	pthread_mutex_unlock(&cow.lock);
}

static void *copy_on_write(void *arg)
{
	struct bfuse_queue *queue = arg;
	struct bfuse_request request;
	uint64_t chunk;

	while (bfuse_queue_wait(queue, 1, 0) >= 0) {
		while (bfuse_queue_get(queue, &request, 1)) {
			struct work work = { .sector = request.sector, .length = request.length };

			if (request.kind != BFUSE_REQUEST)
				continue;
			for (chunk = first_chunk(&work); chunk <= last_chunk(&work); chunk++)
				save(chunk);
			bfuse_queue_pass(queue, request.tag, BFUSE_VERDICT_CLEAR);
		}
	}
	return NULL;
}

static void fill_device(const char *device, uint64_t bytes)
{
	int fd = open(device, O_RDWR | O_CLOEXEC);
	uint64_t words[512], at;
	unsigned int i;

	for (at = 0; at < bytes; at += sizeof(words)) {
		for (i = 0; i < 512; i++)
			words[i] = at + i;
		if (pwrite(fd, words, sizeof(words), (off_t)at) != sizeof(words))
			err(1, "%s", device);
	}
	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		err(1, "%s", device);
	close(fd);
}

/* All go over the same half of the chunks, in the same order. */
static void overwrite(const char *device, uint64_t bytes, size_t step, unsigned int number)
{
	int fd = open(device, O_RDWR | O_DIRECT | O_CLOEXEC);
	uint64_t at;
	void *data;

	srandom(number);
	if (fd < 0 || posix_memalign(&data, 4096, 4 * step))
		err(1, "%s", device);
	memset(data, 0xff, 4 * step);
	for (at = 0; at + 4 * step <= bytes; at += 2 * step)
		if (pwrite(fd, data, 4096 + 4096 * below(2 * step / 4096), (off_t)at) < 0)
			err(1, "%s", device);
	_exit(0);
}

static void expect_original(const uint64_t *words, uint64_t chunk, const char *what)
{
	uint64_t at = chunk << map.chunk_shift, i;

	for (i = 0; i < chunk_bytes() / 8; i++)
		if (words[i] != at + i / 512 * 4096 + i % 512)
			errx(1, "chunk %llu: %s, word %llu", (unsigned long long)chunk, what, (unsigned long long)i);
}

static int test_cow(const char *device, unsigned int shift)
{
	struct bfuse_register reg = {
		.name = "cow", .altitude = 500, .nr_queues = 2, .known_ops = BFUSE_OPS_ALL, .unknown = BFUSE_POLICY_PASS,
		.defaults = { .ops = 1u << BFUSE_OP_WRITE }, .features = BFUSE_F_CHUNKS,
	};
	uint64_t bytes, chunk, *now;
	pid_t writers[WRITERS];
	int i, status, bad = 0, gate[2];
	pthread_t thread;
	char c;

	cow.fd = open(device, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (cow.fd < 0 || ioctl(cow.fd, BLKGETSIZE64, &bytes) || pipe(gate))
		err(1, "%s", device);
	fill_device(device, bytes);
	for (i = 0; i < WRITERS; i++) {
		writers[i] = fork();
		if (!writers[i]) {
			close(gate[1]);
			if (read(gate[0], &c, 1) < 0)
				_exit(1);
			overwrite(device, bytes, (size_t)1 << shift, (unsigned int)i);
		}
	}
	watcher.bfuse = bfuse_new();
	watcher_check(&watcher, bfuse_open(watcher.bfuse), "open");
	watcher_check(&watcher, bfuse_register(watcher.bfuse, &reg), "register");
	map.chunk_shift = shift;
	cow.is_saved = calloc(bytes >> shift, sizeof(bool));
	if (posix_memalign((void **)&cow.saved, 4096, bytes) || posix_memalign((void **)&now, 4096, chunk_bytes()))
		errx(1, "no memory");
	pthread_mutex_init(&cow.lock, NULL);
	for (i = 0; i < 2; i++)
		pthread_create(&thread, NULL, copy_on_write, bfuse_queue(watcher.bfuse, (unsigned int)i));
	watcher_check(&watcher, bfuse_attach(watcher.bfuse, device, NULL, &watcher.attachment), "attach");
	map_chunks(shift, true);
	close(gate[1]);
	for (i = 0; i < WRITERS; i++) {
		waitpid(writers[i], &status, 0);
		bad |= status;
	}
	if (bad)
		errx(1, "a writer failed");
	for (chunk = 0; chunk < map.chunks; chunk++) {
		if (bfuse_chunk_test(&map, chunk) == cow.is_saved[chunk])
			errx(1, "chunk %llu: saved %d, and its bit says no", (unsigned long long)chunk, cow.is_saved[chunk]);
		if (cow.is_saved[chunk]) {
			expect_original((uint64_t *)(cow.saved + chunk * chunk_bytes()), chunk, "saved too late");
			continue;
		}
		if (pread(cow.fd, now, chunk_bytes(), (off_t)(chunk << shift)) != (ssize_t)chunk_bytes())
			err(1, "%s", device);
		expect_original(now, chunk, "never saved");
	}
	printf("%u times again\n", cow.again);
	return 0;
}

/*
 * Misuse
 */

static atomic_bool over;

static void *scribble(void *arg)
{
	(void)arg;
	while (!over) {
		map.words[below(map.bytes / 8)] = (uint64_t)random() << 32;
		if (!below(100))
			memset(map.words, (int)below(256), map.bytes);
		if (!below(50) && mprotect(map.words, map.bytes, PROT_READ | PROT_WRITE))
			err(1, "mprotect");
	}
	return NULL;
}

static int test_hostile(unsigned int ms)
{
	struct timespec begin, now;
	unsigned int n = 0, seen = 0;
	pthread_t thread;

	watcher_attach(&watcher, NULL);
	map_chunks(12, true);
	watcher.verdict = BFUSE_VERDICT_CLEAR;
	pthread_create(&thread, NULL, scribble, NULL);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		seen += is_seen(&watcher, choose());
		n++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < ms);
	over = true;
	pthread_join(thread, NULL);
	printf("%u of %u presented\n", seen, n);
	return 0;
}

static void expect_chunks(struct bfuse_chunks arg, int want, const char *what)
{
	int ret;

	arg.size = sizeof(arg);
	if (!arg.attachment)
		arg.attachment = watcher.attachment;
	ret = ioctl(bfuse_fd(watcher.bfuse), BFUSE_CHUNKS, &arg) ? errno : 0;
	if (ret != want)
		errx(1, "%s: %s, not %s", what, strerror(ret), strerror(want));
}

static void expect_mmap(size_t bytes, int flags, uint64_t offset, int want, const char *what)
{
	void *mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, bfuse_fd(watcher.bfuse), (off_t)offset);
	int ret = mapping == MAP_FAILED ? errno : 0;

	if (ret != want)
		errx(1, "%s: %s, not %s", what, strerror(ret), strerror(want));
	if (!ret)
		munmap(mapping, bytes);
}

/* Old ones that are never unmapped must not fill the memory. */
static void map_too_many(void)
{
	void *mappings[64];
	int n;

	for (n = 0; n < 64; n++) {
		struct bfuse_chunks arg = { .size = sizeof(arg), .attachment = watcher.attachment, .chunk_shift = 12 };

		if (ioctl(bfuse_fd(watcher.bfuse), BFUSE_CHUNKS, &arg))
			err(1, "BFUSE_CHUNKS");
		mappings[n] = mmap(NULL, arg.bytes, PROT_READ, MAP_SHARED, bfuse_fd(watcher.bfuse), (off_t)arg.offset);
		if (mappings[n] == MAP_FAILED)
			break;
	}
	if (n < 16 || n == 64 || errno != EMFILE)
		errx(1, "%d mappings, and %s", n, strerror(errno));
	while (n--)
		munmap(mappings[n], 4096);
}

static atomic_uint refused;

static void note_refusal(void *user, int level, const char *line)
{
	(void)user;
	(void)level;
	(void)line;
	refused++;
}

/* Without room for a bitmap that hides everything there is none, and nothing is hidden. */
static void map_none(void)
{
	struct rlimit usual, none;
	int ret;

	getrlimit(RLIMIT_AS, &usual);
	none = usual;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_AS, &none);
	ret = bfuse_map_chunks(watcher.bfuse, watcher.attachment, 16, false, &map);
	setrlimit(RLIMIT_AS, &usual);
	if (ret != -ENOMEM)
		errx(1, "a bitmap without memory: %d", ret);
	expect_seen(&watcher, (struct work){ 0, 4096, true, false }, true, "a write, when the bitmap could not be mapped");
}

static int test_refuse(void)
{
	struct bfuse_chunks arg;

	watcher_attach(&watcher, NULL);
	expect_chunks((struct bfuse_chunks){ .chunk_shift = 11 }, EINVAL, "small chunks");
	expect_chunks((struct bfuse_chunks){ .chunk_shift = 21 }, EINVAL, "large chunks");
	expect_chunks((struct bfuse_chunks){ .chunk_shift = 16, .flags = 2 }, EINVAL, "a flag");
	expect_chunks((struct bfuse_chunks){ .chunk_shift = 16, .bytes = 1 }, EINVAL, "what is the kernel's to say");
	expect_chunks((struct bfuse_chunks){ .chunk_shift = 16, .attachment = 4711 }, ENOENT, "no attachment");
	expect_chunks((struct bfuse_chunks){ .chunk_shift = 0 }, 0, "no bitmap any more");
	arg = (struct bfuse_chunks){ .size = sizeof(arg), .attachment = watcher.attachment, .chunk_shift = 12 };
	if (ioctl(bfuse_fd(watcher.bfuse), BFUSE_CHUNKS, &arg))
		err(1, "BFUSE_CHUNKS");
	expect_mmap(arg.bytes, MAP_SHARED, arg.offset, 0, "as it should be");
	expect_mmap(arg.bytes, MAP_PRIVATE, arg.offset, EINVAL, "private");
	expect_mmap(arg.bytes + 4096, MAP_SHARED, arg.offset, EINVAL, "too long");
	expect_mmap(arg.bytes, MAP_SHARED, arg.offset + 4096, EINVAL, "in the middle");
	expect_mmap(arg.bytes, MAP_SHARED, 2 * arg.offset, EINVAL, "another one");
	map_too_many();
	expect_mmap(arg.bytes, MAP_SHARED, arg.offset, EINVAL, "one that was replaced");
	expect_chunks((struct bfuse_chunks){ .chunk_shift = 0 }, 0, "the end");
	expect_mmap(arg.bytes, MAP_SHARED, arg.offset, EINVAL, "one that has gone");
	map_none();
	refused = 0;
	/* A verdict that has nothing to clear is refused, and settled at last by the deadline's policy. */
	watcher.verdict = BFUSE_VERDICT_CLEAR;
	expect_seen(&watcher, (struct work){ 0, 4096, true, false }, true, "a write");
	if (refused != 1)
		errx(1, "%u verdicts refused", refused);
	return 0;
}

static void resize(const char *device, const char *file, uint64_t bytes)
{
	char command[600];

	snprintf(command, sizeof(command), "losetup -c %s", device);
	if (truncate(file, (off_t)bytes) || system(command))
		err(1, "%s", file);
	watcher.sectors = bytes / 512;
}

static int test_grow(const char *device, const char *file)
{
	struct work first = { 0, 4096, true, false }, second = { 128, 4096, true, false }, behind = { 40000, 4096, true, false };
	struct work across = { 32760, 8192, true, false };
	struct bfuse_chunk_map old;

	watcher_attach(&watcher, NULL);
	map_chunks(16, false);
	bfuse_chunk_set(&map, 1);
	resize(device, file, 32 << 20);
	expect_seen(&watcher, first, false, "as before");
	expect_seen(&watcher, behind, true, "behind the end of the bitmap");
	expect_seen(&watcher, across, true, "across the end of the bitmap");
	old = map;
	map_chunks(16, false);
	expect_seen(&watcher, second, true, "a bit that was set before");
	expect_seen(&watcher, first, false, "a bit that was clear before");
	expect_seen(&watcher, behind, false, "new bits are clear");
	bfuse_chunk_set(&old, 0);
	expect_seen(&watcher, first, false, "the old bitmap does not matter");
	bfuse_unmap_chunks(&old);
	map_chunks(12, true);
	expect_seen(&watcher, first, true, "other chunks");
	resize(device, file, 8 << 20);
	map_chunks(12, false);
	if (map.chunks != 2048)
		errx(1, "%llu chunks", (unsigned long long)map.chunks);
	expect_seen(&watcher, first, true, "after shrinking");
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc < 3)
		errx(2, "usage: see the source");
	if (!strcmp(argv[1], "cow") && argc == 4)
		return test_cow(argv[2], (unsigned int)atoi(argv[3]));
	watcher.log = note_refusal;
	if (!strcmp(argv[1], "refuse"))
		watcher.deadline_ms = 500;
	watcher_start(&watcher, argv[2]);
	if (!strcmp(argv[1], "model") && argc == 5)
		return test_model((unsigned int)atoi(argv[3]), (unsigned int)atoi(argv[4]));
	if (!strcmp(argv[1], "hostile") && argc == 4)
		return test_hostile((unsigned int)atoi(argv[3]));
	if (!strcmp(argv[1], "refuse"))
		return test_refuse();
	if (!strcmp(argv[1], "grow") && argc == 4)
		return test_grow(argv[2], argv[3]);
	errx(2, "usage: see the source");
}
