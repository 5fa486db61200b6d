// SPDX-License-Identifier: GPL-2.0
/*
 * What an attachment wants to see beyond operations: flags, submitter, sector ranges. (Chunks: chunks.c.)
 *
 * bfuse_interest.ops costs nothing for what is not in it. All else is asked by bf_interest_excludes(), only for attachments
 * that have something to ask, and in the order of its price.
 *
 * A set of ranges is never changed: BFUSE_RANGES puts a new one in its place, and who is looking at the old one does so
 * under RCU. The attachment keeps it, and at its end is out of the chain for a grace period.
 */
#include <linux/cgroup.h>
#include <linux/blk-cgroup.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "blkfilter.h"

/* Sorted, without overlaps; ends[i] is the first sector behind a range. */
struct bf_ranges {
	struct rcu_head	rcu;
	u32		nr;
	u64		*ends;
	u64		starts[];
};

bool bf_interest_is_valid(const struct bfuse_interest *in)
{
	const u32 flags = (BFUSE_RQ_ENCRYPTED << 1) - 1;

	if ((in->flags & ~flags) || (in->except & ~(BFUSE_EXCEPT_PROCESS | BFUSE_EXCEPT_CGROUP)))
		return false;
	return (in->process || !(in->except & BFUSE_EXCEPT_PROCESS)) && (in->cgroup || !(in->except & BFUSE_EXCEPT_CGROUP));
}

/* Before it is published. */
void bf_interest_init(struct bf_attachment *att)
{
	att->opf = bf_opf_of(att->interest.flags);
	bf_interest_sum_up(att);
}

static bool has_flags(const struct bf_attachment *att, const struct bio *bio)
{
	if (bio->bi_opf & att->opf)
		return true;
	return (att->interest.flags & BFUSE_RQ_ENCRYPTED) && (bf_bio_flags((struct bio *)bio) & BFUSE_RQ_ENCRYPTED);
}

static bool is_process(const struct bf_attachment *att, pid_t tgid)
{
	bool same = tgid == (pid_t)att->interest.process;

	return same == !(att->interest.except & BFUSE_EXCEPT_PROCESS);
}

static bool is_below(struct bio *bio, u64 id)
{
#ifdef CONFIG_BLK_CGROUP
	struct cgroup_subsys_state *css = bio_blkcg_css(bio);
	struct cgroup *cgroup;

	for (cgroup = css ? css->cgroup : NULL; cgroup; cgroup = cgroup_parent(cgroup))
		if (cgroup_id(cgroup) == id)
			return true;
#endif
	return false;
}

static bool is_of_cgroup(const struct bf_attachment *att, struct bio *bio)
{
	return is_below(bio, att->interest.cgroup) == !(att->interest.except & BFUSE_EXCEPT_CGROUP);
}

/* Does @first to @last touch a range? Only the last range that begins before the end can be the one. */
bool bf_ranges_have(const struct bf_ranges *ranges, u64 first, u64 last)
{
	const u64 *base = ranges->starts;
	u32 n = ranges->nr, half;

	while (n > 1) {
		half = n / 2;
		base = base[half] <= last ? base + half : base;
		n -= half;
	}
	return *base <= last && ranges->ends[base - ranges->starts] > first;
}

static bool moves_write_pointer(struct bio *bio)
{
	return bio_op(bio) == REQ_OP_WRITE || bio_op(bio) == REQ_OP_ZONE_APPEND || bio_op(bio) == REQ_OP_WRITE_ZEROES;
}

static u64 begin_of_zone(const struct bf_attachment *att, u64 sector)
{
	return div_u64(sector, att->dev->zone_sectors) * att->dev->zone_sectors;
}

/* Of what is written to a zone all or nothing is presented, for what was not would overtake what was. */
static bool is_elsewhere(const struct bf_attachment *att, struct bio *bio)
{
	u64 first, last;

	if (!bio->bi_iter.bi_size)
		return false;
	first = bf_bio_sector(bio, att);
	last = first + bio_sectors(bio) - 1;
	if (unlikely(att->dev->zone_sectors) && moves_write_pointer(bio)) {
		first = begin_of_zone(att, first);
		last = begin_of_zone(att, last) + att->dev->zone_sectors - 1;
	}
	return bf_is_elsewhere(att, first, last);
}

/*
 * @att is interested in the operation of @bio; but not in this one? Under RCU (in the hook: with preemption disabled), any
 * context. @tgid is who submitted it, 0 if that is not known.
 */
bool bf_interest_excludes(const struct bf_attachment *att, struct bio *bio, pid_t tgid)
{
	u32 narrow = READ_ONCE(att->narrow);

	if ((narrow & BF_BY_FLAGS) && !has_flags(att, bio))
		return true;
	if ((narrow & BF_BY_PROCESS) && !is_process(att, tgid))
		return true;
	if ((narrow & BF_BY_PLACE) && is_elsewhere(att, bio))
		return true;
	return (narrow & BF_BY_CGROUP) && !is_of_cgroup(att, bio);
}

/* What else is there to ask? Under bf_lock, or before it is published. */
void bf_interest_sum_up(struct bf_attachment *att)
{
	u32 narrow = 0;

	if (att->interest.flags)
		narrow |= BF_BY_FLAGS;
	if (att->interest.process)
		narrow |= BF_BY_PROCESS;
	if (att->interest.cgroup)
		narrow |= BF_BY_CGROUP;
	if (rcu_access_pointer(att->ranges) || rcu_access_pointer(att->chunks))
		narrow |= BF_BY_PLACE;
	WRITE_ONCE(att->narrow, narrow);
}

/* Not kvfree_rcu(), which may keep some hundred of them for seconds: who may only serve shall not fill the memory with them. */
static void ranges_free(struct rcu_head *rcu)
{
	kvfree(container_of(rcu, struct bf_ranges, rcu));
}

/* Nobody looks at the attachment any more. May sleep. */
void bf_interest_end(struct bf_attachment *att)
{
	kvfree(rcu_dereference_protected(att->ranges, true));
	bf_chunks_end(att);
}

static int fill(struct bf_ranges *ranges, const struct bfuse_range *from)
{
	u64 end = 0;
	u32 i;

	for (i = 0; i < ranges->nr; i++) {
		if (!from[i].sectors || from[i].sectors > U64_MAX - from[i].first || from[i].first < end)
			return -EINVAL;
		end = from[i].first + from[i].sectors;
		ranges->starts[i] = from[i].first;
		ranges->ends[i] = end;
	}
	return 0;
}

/* NULL for no ranges. Who may only serve shall not fill the memory with them: they are on the caller's account. */
static struct bf_ranges *copy_ranges(const struct bfuse_ranges *arg)
{
	size_t bytes = array_size(arg->count, sizeof(struct bfuse_range));
	struct bf_ranges *ranges;
	struct bfuse_range *from;
	int err;

	if (!arg->count)
		return NULL;
	from = kvmalloc(bytes, GFP_KERNEL_ACCOUNT);
	ranges = kvmalloc(struct_size(ranges, starts, 2 * (size_t)arg->count), GFP_KERNEL_ACCOUNT);
	if (ranges) {
		ranges->nr = arg->count;
		ranges->ends = ranges->starts + arg->count;
	}
	if (!from || !ranges)
		err = -ENOMEM;
	else
		err = copy_from_user(from, u64_to_user_ptr(arg->ranges), bytes) ? -EFAULT : fill(ranges, from);
	kvfree(from);
	if (!err)
		return ranges;
	kvfree(ranges);
	return ERR_PTR(err);
}

/* BFUSE_RANGES. May sleep. */
long bf_ranges(struct bf_filter *f, const struct bfuse_ranges *arg)
{
	struct bf_ranges *ranges, *old;
	struct bf_attachment *att;
	unsigned int noio;

	if (arg->__reserved || (!arg->count && arg->ranges))
		return -EINVAL;
	if (arg->count > BFUSE_RANGES_MAX)
		return -E2BIG;
	ranges = copy_ranges(arg);
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);
	noio = bf_lock();
	att = bf_attachment_own(f, arg->attachment);
	old = ranges;
	if (att) {
		old = rcu_replace_pointer(att->ranges, ranges, lockdep_is_held(&bf_mutex));
		bf_interest_sum_up(att);
	}
	bf_unlock(noio);
	if (old)
		call_rcu(&old->rcu, ranges_free);
	return att ? 0 : -ENOENT;
}

/* How many there are, for tools. Under RCU. */
u32 bf_ranges_count(const struct bf_attachment *att)
{
	const struct bf_ranges *ranges = rcu_dereference(att->ranges);

	return ranges ? ranges->nr : 0;
}
