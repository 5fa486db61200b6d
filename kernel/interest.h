/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an attachment wants to see beyond operations, and what it has the kernel mark: interest.c, chunks.c, change.c, changeset.c.
 */
#ifndef BLKFILTER_INTEREST_H
#define BLKFILTER_INTEREST_H

#include "types.h"

/* interest.c: what an attachment wants to see beyond operations */
#define BF_BY_FLAGS	(1u << 0)
#define BF_BY_PROCESS	(1u << 1)
#define BF_BY_CGROUP	(1u << 2)
#define BF_BY_PLACE	(1u << 3)	/* ranges, chunks, or both */
bool bf_interest_is_valid(const struct bfuse_interest *in);
void bf_interest_init(struct bf_attachment *att);
void bf_interest_end(struct bf_attachment *att);
void bf_interest_sum_up(struct bf_attachment *att);
bool bf_ranges_have(const struct bf_ranges *ranges, u64 first, u64 last);
bool bf_interest_excludes(const struct bf_attachment *att, struct bio *bio, pid_t tgid);
long bf_ranges(struct bf_filter *f, const struct bfuse_ranges *arg);
u32 bf_ranges_count(const struct bf_attachment *att);

/* Of the 64 bits of @word those from bit @first to bit @last of the whole. */
static __always_inline u64 bf_bits(u64 word, u64 first, u64 last)
{
	u64 bits = ~0ull;

	if (word == first / 64)
		bits &= ~0ull << (first % 64);
	if (word == last / 64)
		bits &= ~0ull >> (63 - last % 64);
	return bits;
}

/* chunks.c: which chunks it wants to see */
struct bf_chunks {
	u32		shift;	/* of sectors */
	u64		nr;
	__le64		*words;	/* shared: hostile */
	u64		bytes;	/* whole pages */
	u64		offset;	/* for mmap(2) */
	struct rcu_head	rcu;
};

bool bf_chunks_want(const struct bf_chunks *chunks, u64 first, u64 last);

/*
 * The mask says what the processor does anyway. Kernels that look for shifts that are too wide (UBSAN_SHIFT) would call somebody then,
 * and for that call the hook's callback would save registers, for each bio in the system.
 */
static __always_inline u64 bf_chunk_of(const struct bf_chunks *chunks, u64 sector)
{
	return sector >> (chunks->shift & 63);
}

/* Sectors that lie in one chunk, and that is not wanted? Under RCU. */
static __always_inline bool bf_chunk_is_clear(const struct bf_chunks *chunks, u64 first, u64 last)
{
	first = bf_chunk_of(chunks, first);
	last = bf_chunk_of(chunks, last);
	return last < chunks->nr && first == last &&
	       !(le64_to_cpu(READ_ONCE(chunks->words[first / 64])) >> (first % 64) & 1);
}

/* Does @first to @last lie where @att does not look? Under RCU (in the hook: with preemption disabled). */
static __always_inline bool bf_is_elsewhere(const struct bf_attachment *att, u64 first, u64 last)
{
	const struct bf_chunks *chunks = rcu_dereference_check(att->chunks, rcu_read_lock_any_held());
	const struct bf_ranges *ranges;

	if (chunks && !bf_chunks_want(chunks, first, last))
		return true;
	ranges = rcu_dereference_check(att->ranges, rcu_read_lock_any_held());
	return ranges && !bf_ranges_have(ranges, first, last);
}

void bf_chunks_clear(struct bf_attachment *att, u64 sector, u32 length);
void bf_chunks_end(struct bf_attachment *att);
long bf_chunks(struct bf_filter *f, struct bfuse_chunks *arg);
bool bf_chunks_is_offset(u64 offset);
int bf_chunks_mmap(struct bf_filter *f, struct vm_area_struct *vma);
u32 bf_chunks_shift(const struct bf_attachment *att);

/* change.c: bios in flight that may change data */
#define BF_CHANGE_ALL	U64_MAX	/* as the last sector: the whole disk */
typedef void bf_change_fn(void *arg, u64 first, u64 last);
void bf_change_track(struct bf_device *dev, struct bio *bio);
void bf_change_endio(struct bio *bio);
void bf_changes_in_flight(struct bf_device *dev, bf_change_fn *fn, void *arg);
void bf_change_forget(struct bf_device *dev);
void bf_change_exit(void);

/* changeset.c: which chunks have changed */
void bf_changesets_mark(struct bf_device *dev, u64 first, u64 last);
void bf_changeset_end(struct bf_attachment *att);
void bf_changeset_inherit(struct bf_attachment *heir, struct bf_attachment *att);
u32 bf_changeset_shift(const struct bf_attachment *att);
long bf_mark(struct bf_filter *f, struct bfuse_mark *arg);

#endif
