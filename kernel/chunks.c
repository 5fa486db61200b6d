// SPDX-License-Identifier: GPL-2.0
/*
 * The bitmap of the chunks that an attachment wants to see, in memory that it shares with its filter.
 *
 * The filter may write anything to it at any time. So the kernel takes from it only the answer to "is it wanted?", for which
 * any is good; where it ends is known here. Bits are cleared here by atomic operations on whole words, as the filter is told
 * to do.
 *
 * Why no write is lost to a copy-on-write filter: its verdict CLEAR is applied when all that it had to do for the chunk is
 * done (the data saved), and before the request that it answers goes on. A second write to the chunk either found the bit
 * set, then it waits for a verdict of its own, or found it cleared, then the data are saved. The clearing is a full barrier:
 * who sees the bit cleared sees what was done before.
 *
 * Lifetimes: the attachment has one bitmap; a new one takes its place under RCU. Each page of it is also held by the
 * mappings, so what the filter has mapped stays, though nobody looks at it.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/vmalloc.h>

#include "blkfilter.h"

#define FIRST_OFFSET	(1ull << 40)
#define MAX_BITMAPS	(1u << 22)

/* Sectors. Under RCU. */
bool bf_chunks_want(const struct bf_chunks *chunks, u64 first, u64 last)
{
	u64 word;

	first = bf_chunk_of(chunks, first);
	last = bf_chunk_of(chunks, last);
	if (last >= chunks->nr)
		return true;
	for (word = first / 64; word <= last / 64; word++)
		if (READ_ONCE(chunks->words[word]) & cpu_to_le64(bf_bits(word, first, last)))
			return true;
	return false;
}

/* For a verdict. The request keeps @att. Any context. */
void bf_chunks_clear(struct bf_attachment *att, u64 sector, u32 length)
{
	u64 first, last, word;
	struct bf_chunks *chunks;
	__le64 mask;

	rcu_read_lock();
	chunks = rcu_dereference(att->chunks);
	if (chunks && length && bf_chunk_of(chunks, sector) < chunks->nr) {
		first = bf_chunk_of(chunks, sector);
		last = min(bf_chunk_of(chunks, sector + (length >> SECTOR_SHIFT) - 1), chunks->nr - 1);
		for (word = first / 64; word <= last / 64; word++) {
			mask = cpu_to_le64(bf_bits(word, first, last));
			if (READ_ONCE(chunks->words[word]) & mask)
				atomic64_fetch_andnot((__force u64)mask, (atomic64_t *)&chunks->words[word]);
		}
	}
	rcu_read_unlock();
}

static void chunks_free(struct rcu_head *rcu)
{
	struct bf_chunks *chunks = container_of(rcu, struct bf_chunks, rcu);

	vfree(chunks->words);
	kfree(chunks);
}

/* Nobody looks at the attachment any more. */
void bf_chunks_end(struct bf_attachment *att)
{
	struct bf_chunks *chunks = rcu_dereference_protected(att->chunks, true);

	if (chunks)
		chunks_free(&chunks->rcu);
}

/* Clear, and as many as the device has chunks now. May sleep. */
static struct bf_chunks *chunks_alloc(u32 shift, u64 sectors)
{
	u64 nr = DIV_ROUND_UP_ULL(sectors, 1ull << shift), bytes = max(DIV_ROUND_UP_ULL(nr, 64) * 8, 8ull);
	struct bf_chunks *chunks;

	if (bytes > BFUSE_BITMAP_MAX)
		return ERR_PTR(-E2BIG);
	chunks = kzalloc(sizeof(*chunks), GFP_KERNEL);
	if (!chunks)
		return ERR_PTR(-ENOMEM);
	chunks->shift = shift;
	chunks->nr = nr;
	chunks->bytes = PAGE_ALIGN(bytes);
	chunks->words = vmalloc_user(chunks->bytes);
	if (chunks->words)
		return chunks;
	kfree(chunks);
	return ERR_PTR(-ENOMEM);
}

/* The bits that @old knows come from there, the others are set if @set. */
static void fill(struct bf_chunks *chunks, const struct bf_chunks *old, bool set)
{
	u64 kept = old && old->shift == chunks->shift ? min(old->nr, chunks->nr) : 0;
	u64 word = kept / 64;
	__le64 mask;

	if (kept)
		memcpy(chunks->words, old->words, DIV_ROUND_UP_ULL(kept, 64) * 8);
	if (word * 64 >= chunks->nr)
		return;
	/* Where the old ones end within a word. */
	mask = cpu_to_le64(~0ull << (kept % 64));
	chunks->words[word] = (chunks->words[word] & ~mask) | (set ? mask : 0);
	word++;
	memset(&chunks->words[word], set ? 0xff : 0, chunks->bytes - word * 8);
}

/* Under bf_lock. The old one is the caller's. */
static struct bf_chunks *replace(struct bf_attachment *att, struct bf_chunks *chunks, bool set)
{
	struct bf_chunks *old = rcu_dereference_protected(att->chunks, lockdep_is_held(&bf_mutex));

	if (chunks) {
		chunks->offset = FIRST_OFFSET * ++att->filter->nr_bitmaps;
		fill(chunks, old, set);
	}
	rcu_assign_pointer(att->chunks, chunks);
	bf_interest_sum_up(att);
	return old;
}

/* The capacity of the device of an attachment, or 0. */
static u64 capacity(struct bf_filter *f, u32 attachment)
{
	unsigned int noio = bf_lock();
	struct bf_attachment *att = bf_attachment_own(f, attachment);
	u64 sectors = att ? bdev_nr_sectors(att->bdev) : 0;

	bf_unlock(noio);
	return sectors;
}

static void tell(struct bfuse_chunks *arg, const struct bf_chunks *chunks)
{
	arg->chunks = chunks ? chunks->nr : 0;
	arg->bytes = chunks ? chunks->bytes : 0;
	arg->offset = chunks ? chunks->offset : 0;
}

/* BFUSE_CHUNKS. May sleep. */
long bf_chunks(struct bf_filter *f, struct bfuse_chunks *arg)
{
	struct bf_chunks *chunks = NULL, *old;
	struct bf_attachment *att;
	unsigned int noio;
	long err = 0;

	if ((arg->flags & ~BFUSE_CHUNKS_SET) || arg->chunks || arg->bytes || arg->offset ||
	    (arg->chunk_shift && (arg->chunk_shift < BFUSE_CHUNK_SHIFT_MIN || arg->chunk_shift > BFUSE_CHUNK_SHIFT_MAX)) ||
	    (arg->flags && !arg->chunk_shift))
		return -EINVAL;
	/* Who waits for the lock may be the one that is to make memory free. */
	if (mutex_lock_killable(&f->large))
		return -EINTR;
	noio = memalloc_noio_save();
	if (arg->chunk_shift)
		chunks = chunks_alloc(arg->chunk_shift - SECTOR_SHIFT, capacity(f, arg->attachment));
	memalloc_noio_restore(noio);
	if (IS_ERR(chunks)) {
		mutex_unlock(&f->large);
		return PTR_ERR(chunks);
	}
	noio = bf_lock();
	att = bf_attachment_own(f, arg->attachment);
	old = chunks;
	if (!att)
		err = -ENOENT;
	else if (f->nr_bitmaps >= MAX_BITMAPS)
		err = -EOVERFLOW;
	else
		old = replace(att, chunks, arg->flags & BFUSE_CHUNKS_SET);
	if (!err)
		tell(arg, chunks);
	bf_unlock(noio);
	mutex_unlock(&f->large);
	if (old)
		call_rcu(&old->rcu, chunks_free);
	return err;
}

bool bf_chunks_is_offset(u64 offset)
{
	return offset >= FIRST_OFFSET;
}

/* Under mmap_lock. A bitmap of one of @f's attachments, whole and shared. */
int bf_chunks_mmap(struct bf_filter *f, struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	struct bf_attachment *att;
	struct bf_chunks *chunks;
	unsigned int noio;
	int err = -EINVAL;

	noio = bf_lock();
	/* They hold what was replaced, too; who may only serve shall not fill the memory with it. */
	if (!bf_filter_may_map(f)) {
		bf_unlock(noio);
		return -EMFILE;
	}
	list_for_each_entry(att, &f->attachments, of_filter) {
		chunks = rcu_dereference_protected(att->chunks, lockdep_is_held(&bf_mutex));
		if (chunks && chunks->offset == offset && vma->vm_end - vma->vm_start == chunks->bytes) {
			err = remap_vmalloc_range(vma, chunks->words, 0);
			break;
		}
	}
	bf_unlock(noio);
	return err;
}

/* Bytes of a chunk, as a power of two; 0: there is no bitmap. It may get another at any time. Under RCU. */
u32 bf_chunks_shift(const struct bf_attachment *att)
{
	const struct bf_chunks *chunks = rcu_dereference(att->chunks);

	return chunks ? chunks->shift + SECTOR_SHIFT : 0;
}
