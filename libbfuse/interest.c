// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Interest beyond operations: ranges, chunk bitmaps, and marks.
 */
#include "internal.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PIECE_WORDS 8192u /* of a mark bitmap, read at once */

static int fail_interest(struct bfuse *bfuse, uint32_t attachment, const char *what, int err)
{
	switch (err) {
	case -ENOENT:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_NOT_FOUND, "attachment %u: not one of this filter, or it has no %s",
				   attachment, what);
	case -EINVAL:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_USAGE, "attachment %u: bad %s; see <blkfilter.h>", attachment, what);
	case -E2BIG:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_USAGE, "attachment %u: too many %s; choose greater ones", attachment,
				   what);
	case -ETIMEDOUT:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER,
				   "attachment %u: what was submitted before did not complete in time, so it has no %s; dmesg says "
				   "what it waited for; try again when there is less I/O",
				   attachment, what);
	case -EOPNOTSUPP:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_UNFILTERABLE,
				   "attachment %u: no %s, as nobody can tell when what was submitted before has completed: the device's "
				   "driver does not count its I/O; write 1 to queue/iostats in its directory in /sys/block",
				   attachment, what);
	case -ENOTTY:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_ABI, "attachment %u: the module has no %s; see: bfuse features",
				   attachment, what);
	case -EEXIST:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "attachment %u: has %s already", attachment, what);
	default:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "attachment %u: can't set %s: %s", attachment, what,
				   strerror(-err));
	}
}

int bfuse_set_ranges(struct bfuse *bfuse, uint32_t attachment, const struct bfuse_range *ranges, uint32_t count)
{
	struct bfuse_ranges arg = {
		.size = sizeof(arg), .attachment = attachment, .count = count, .ranges = count ? (uintptr_t)ranges : 0,
	};
	int err = bfuse__ioctl(bfuse, BFUSE_RANGES, &arg);

	return err ? fail_interest(bfuse, attachment, "ranges", err) : 0;
}

int bfuse_map_chunks(struct bfuse *bfuse, uint32_t attachment, unsigned int chunk_shift, bool set, struct bfuse_chunk_map *map)
{
	struct bfuse_chunks arg = {
		.size = sizeof(arg), .attachment = attachment, .chunk_shift = chunk_shift, .flags = set ? BFUSE_CHUNKS_SET : 0,
	};
	int err = bfuse__ioctl(bfuse, BFUSE_CHUNKS, &arg);
	void *words;

	if (err)
		return fail_interest(bfuse, attachment, "chunks", err);
	words = mmap(NULL, arg.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bfuse->fd, (off_t)arg.offset);
	if (words == MAP_FAILED) {
		err = -errno;
		/* A bitmap that nobody can set would hide all of the device. */
		arg = (struct bfuse_chunks){ .size = sizeof(arg), .attachment = attachment };
		bfuse__ioctl(bfuse, BFUSE_CHUNKS, &arg);
		return fail_interest(bfuse, attachment, "chunks", err);
	}
	map->words = words;
	map->chunks = arg.chunks;
	map->bytes = arg.bytes;
	map->chunk_shift = chunk_shift;
	return 0;
}

void bfuse_unmap_chunks(struct bfuse_chunk_map *map)
{
	if (map->words)
		munmap(map->words, map->bytes);
	memset(map, 0, sizeof(*map));
}

int bfuse_end_chunks(struct bfuse *bfuse, uint32_t attachment)
{
	struct bfuse_chunks arg = { .size = sizeof(arg), .attachment = attachment };
	int err = bfuse__ioctl(bfuse, BFUSE_CHUNKS, &arg);

	return err ? fail_interest(bfuse, attachment, "chunks", err) : 0;
}

int bfuse_mark_begin(struct bfuse *bfuse, uint32_t attachment, unsigned int chunk_shift, uint32_t drain_ms,
		     struct bfuse_mark *mark)
{
	struct bfuse_mark arg = {
		.size = sizeof(arg), .attachment = attachment, .command = BFUSE_MARK_BEGIN, .chunk_shift = chunk_shift,
		.flags = drain_ms ? BFUSE_MARK_DRAIN : 0, .drain_ms = drain_ms,
	};
	int err = bfuse__ioctl(bfuse, BFUSE_MARK, &arg);

	if (err)
		return fail_interest(bfuse, attachment, "marks", err);
	if (mark)
		*mark = arg;
	return 0;
}

int bfuse_mark_switch(struct bfuse *bfuse, uint32_t attachment, uint32_t flags, struct bfuse_mark *mark)
{
	struct bfuse_mark arg = {
		.size = sizeof(arg), .attachment = attachment, .command = BFUSE_MARK_SWITCH, .flags = flags,
	};
	int err = bfuse__ioctl(bfuse, BFUSE_MARK, &arg);

	if (err)
		return fail_interest(bfuse, attachment, "marks", err);
	*mark = arg;
	return 0;
}

int bfuse_mark_end(struct bfuse *bfuse, uint32_t attachment)
{
	struct bfuse_mark arg = { .size = sizeof(arg), .attachment = attachment, .command = BFUSE_MARK_END };
	int err = bfuse__ioctl(bfuse, BFUSE_MARK, &arg);

	return err ? fail_interest(bfuse, attachment, "marks", err) : 0;
}

/* What has been found, from @first to before @end, and is not told yet. */
struct run {
	const struct bfuse_mark *mark;
	bfuse_mark_fn fn;
	void *user;
	uint64_t first, end;
};

/* @end of UINT64_MAX is the end of the device, wherever that is. */
static int flush_run(struct run *run)
{
	unsigned int shift = run->mark->chunk_shift - 9;
	uint64_t sectors = run->end == UINT64_MAX ? UINT64_MAX - (run->first << shift) : (run->end - run->first) << shift;
	int ret = 0;

	if (run->end > run->first)
		ret = run->fn(run->first << shift, sectors, run->user);
	run->first = run->end;
	return ret;
}

static int add_run(struct run *run, uint64_t first, uint64_t end)
{
	int ret = 0;

	if (first != run->end) {
		ret = flush_run(run);
		run->first = first;
	}
	run->end = end;
	return ret;
}

static int add_word(struct run *run, uint64_t word, uint64_t bits)
{
	while (bits) {
		unsigned int from = (unsigned int)__builtin_ctzll(bits);
		uint64_t rest = ~(bits >> from);
		unsigned int n = rest ? (unsigned int)__builtin_ctzll(rest) : 64;
		int ret = add_run(run, word * 64 + from, word * 64 + from + n);

		if (ret)
			return ret;
		bits = from + n < 64 ? bits & ~0ull << (from + n) : 0;
	}
	return 0;
}

/* Returns as fn does. The generation must still be the one that @mark tells of. */
static int read_piece(struct bfuse *bfuse, struct run *run, uint64_t *words, uint64_t offset, uint64_t *got)
{
	struct bfuse_mark arg = {
		.size = sizeof(arg), .attachment = run->mark->attachment, .command = BFUSE_MARK_READ, .offset = offset,
		.address = (uintptr_t)words, .length = PIECE_WORDS * sizeof(*words),
	};
	int err = bfuse__ioctl(bfuse, BFUSE_MARK, &arg);
	uint64_t i;

	if (!err && arg.generation != run->mark->generation)
		err = -ESTALE;
	if (err)
		return fail_interest(bfuse, arg.attachment, "marks", err);
	*got = arg.length;
	for (i = 0; i < arg.length / sizeof(*words) && !err; i++)
		err = add_word(run, offset / 8 + i, le64toh(words[i]));
	return err;
}

int bfuse_mark_read(struct bfuse *bfuse, const struct bfuse_mark *mark, bfuse_mark_fn fn, void *user)
{
	struct run run = { .mark = mark, .fn = fn, .user = user };
	uint64_t *words = malloc(PIECE_WORDS * sizeof(*words));
	uint64_t offset = 0, got = 1;
	int ret = 0;

	if (!words)
		return fail_interest(bfuse, mark->attachment, "marks", -ENOMEM);
	if (mark->flags & BFUSE_MARK_ALL)
		ret = add_run(&run, 0, UINT64_MAX);
	while (!ret && got && !(mark->flags & BFUSE_MARK_ALL)) {
		ret = read_piece(bfuse, &run, words, offset, &got);
		offset += got;
	}
	free(words);
	if (!ret && (mark->flags & (BFUSE_MARK_ALL | BFUSE_MARK_BEYOND)) == BFUSE_MARK_BEYOND)
		ret = add_run(&run, mark->chunks, UINT64_MAX);
	return ret ? ret : flush_run(&run);
}
