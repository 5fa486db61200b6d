// SPDX-License-Identifier: GPL-2.0
/*
 * A changeset: which chunks of a device were written to, marked in the hook without any crossing, by generations (BFUSE_MARK).
 *
 * It has the bits of the current generation, and those of the one that was ended last. All changesets of a disk hear of all its
 * changes, whoever is filtered and at what altitude: it is the medium that matters. Why none is lost when generations are
 * switched is shown in change.c.
 *
 * Lifetimes: changesets are found under RCU in the device's list, and freed a grace period after they have left it. An attachment
 * that leaves takes its own out; a successor inherits it. Who switches or reads has a reference, and one of the attachment's,
 * which keeps device and block device; in the hook the chain's grace period does.
 */
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "blkfilter.h"

struct generation {
	u64	number;
	u64	sectors; /* of the device, when it began */
	u64	chunks;
	bool	all;
	bool	beyond;
	__le64	*words;
};

struct bf_changeset {
	struct kref		ref;	/* the attachment, and who has a look at it */
	struct rcu_head		rcu;
	struct list_head	node;	/* dev->changesets, RCU; under bf_lock */
	struct bf_device	*dev;	/* kept by the attachment */
	struct block_device	*bdev;
	bool			is_part;
	bool			inherited; /* and its new owner has not been told */
	bool			draining; /* what was under way at its beginning may be; under bf_lock */
	u64			start;	/* of a partition */
	u32			shift;	/* of sectors */
	struct mutex		mutex;	/* switches and reading */
	struct generation	*current_one; /* RCU; written under the mutex */
	struct generation	*ended;	/* under the mutex */
};

static void set_bits(struct generation *gen, u64 first, u64 last)
{
	u64 word;
	__le64 mask;

	for (word = first / 64; word <= last / 64; word++) {
		mask = cpu_to_le64(bf_bits(word, first, last));
		if ((READ_ONCE(gen->words[word]) & mask) != mask)
			atomic64_or((__force u64)mask, (atomic64_t *)&gen->words[word]);
	}
}

/* Sectors of the disk. Under RCU, or the generation can't go. */
static void mark(const struct bf_changeset *set, struct generation *gen, u64 first, u64 last)
{
	u64 sectors;

	if (last == BF_CHANGE_ALL) {
		WRITE_ONCE(gen->all, true);
		return;
	}
	if (set->is_part) {
		/* One that has shrunk may grow again before the switch. */
		sectors = max_t(u64, bdev_nr_sectors(set->bdev), gen->chunks << set->shift);
		if (last < set->start || first >= set->start + sectors)
			return;
		first = max(first, set->start) - set->start;
		last = min(last - set->start, sectors - 1);
	}
	first >>= set->shift;
	last >>= set->shift;
	if (unlikely(last >= gen->chunks)) {
		WRITE_ONCE(gen->beyond, true);
		if (first >= gen->chunks)
			return;
		last = gen->chunks - 1;
	}
	set_bits(gen, first, last);
}

/* Under RCU (in the hook: with preemption disabled). */
void bf_changesets_mark(struct bf_device *dev, u64 first, u64 last)
{
	struct bf_changeset *set;

	list_for_each_entry_rcu(set, &dev->changesets, node, rcu_read_lock_any_held())
		mark(set, READ_ONCE(set->current_one), first, last);
}

struct carry {
	const struct bf_changeset *set;
	struct generation *gen;
};

static void carry_one(void *arg, u64 first, u64 last)
{
	struct carry *carry = arg;

	mark(carry->set, carry->gen, first, last);
}

/* After a full barrier: marks in @gen what is in flight. */
static void carry(const struct bf_changeset *set, struct generation *gen)
{
	bf_changes_in_flight(set->dev, carry_one, &(struct carry){ set, gen });
}

static void generation_free(struct generation *gen)
{
	if (!gen)
		return;
	vfree(gen->words);
	kfree(gen);
}

/* Empty, for the present capacity. May sleep. */
static struct generation *generation_alloc(const struct bf_changeset *set, u64 number)
{
	u64 sectors = bdev_nr_sectors(set->bdev), chunks = DIV_ROUND_UP_ULL(sectors, 1ull << set->shift);
	u64 bytes = max(DIV_ROUND_UP_ULL(chunks, 64) * 8, 8ull);
	struct generation *gen;

	if (bytes > BFUSE_BITMAP_MAX)
		return ERR_PTR(-E2BIG);
	gen = kzalloc(sizeof(*gen), GFP_KERNEL);
	if (!gen)
		return ERR_PTR(-ENOMEM);
	gen->number = number;
	gen->sectors = sectors;
	gen->chunks = chunks;
	/* On the account of who may only serve, too. */
	gen->words = __vmalloc(bytes, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (gen->words)
		return gen;
	kfree(gen);
	return ERR_PTR(-ENOMEM);
}

static void changeset_free(struct rcu_head *rcu)
{
	struct bf_changeset *set = container_of(rcu, struct bf_changeset, rcu);

	generation_free(set->current_one);
	generation_free(set->ended);
	kfree(set);
}

static void changeset_last_put(struct kref *ref)
{
	call_rcu(&container_of(ref, struct bf_changeset, ref)->rcu, changeset_free);
}

static void changeset_put(struct bf_changeset *set)
{
	kref_put(&set->ref, changeset_last_put);
}

static struct bf_changeset *changeset_alloc(const struct bf_attachment *att, u32 shift)
{
	struct bf_changeset *set = kzalloc(sizeof(*set), GFP_KERNEL);
	struct generation *first;

	if (!set)
		return ERR_PTR(-ENOMEM);
	kref_init(&set->ref);
	mutex_init(&set->mutex);
	set->dev = att->dev;
	set->bdev = att->bdev;
	set->is_part = att->is_part;
	set->start = att->bdev->bd_start_sect;
	set->shift = shift;
	first = generation_alloc(set, 1);
	if (IS_ERR(first)) {
		kfree(set);
		return ERR_CAST(first);
	}
	set->current_one = first;
	return set;
}

/* Under bf_lock. */
static void sum_up(struct bf_device *dev)
{
	const u32 ops = 1u << BFUSE_OP_WRITE | 1u << BFUSE_OP_WRITE_ZEROES | 1u << BFUSE_OP_DISCARD |
			1u << BFUSE_OP_SECURE_ERASE | 1u << BFUSE_OP_ZONE_APPEND | 1u << BFUSE_OP_ZONE_RESET |
			1u << BFUSE_OP_ZONE_RESET_ALL | 1u << BFUSE_OP_ZONE_FINISH | 1u << BFUSE_OP_OTHER;

	lockdep_assert_held(&bf_mutex);
	WRITE_ONCE(dev->tracked, list_empty(&dev->changesets) ? 0 : bf_match_of(ops));
}

/* Under bf_lock: @att leaves, or marks no more. */
void bf_changeset_end(struct bf_attachment *att)
{
	struct bf_changeset *set = att->changeset;

	lockdep_assert_held(&bf_mutex);
	if (!set)
		return;
	WRITE_ONCE(att->changeset, NULL);
	list_del_rcu(&set->node);
	sum_up(att->dev);
	changeset_put(set);
}

/* Under bf_lock: @heir takes the place of @att on the same device. Marks that have not quite begun would have a gap. */
void bf_changeset_inherit(struct bf_attachment *heir, struct bf_attachment *att)
{
	lockdep_assert_held(&bf_mutex);
	if (att->changeset && att->changeset->draining)
		bf_changeset_end(att);
	if (att->changeset)
		WRITE_ONCE(att->changeset->inherited, true);
	WRITE_ONCE(heir->changeset, att->changeset);
	WRITE_ONCE(att->changeset, NULL);
}

/* With references, both. */
static struct bf_attachment *find(struct bf_filter *f, u32 id, struct bf_changeset **set)
{
	unsigned int noio = bf_lock();
	struct bf_attachment *att = bf_attachment_own(f, id);

	*set = att ? att->changeset : NULL;
	if (*set)
		kref_get(&(*set)->ref);
	if (att)
		kref_get(&att->ref);
	bf_unlock(noio);
	return att;
}

static void tell(struct bfuse_mark *arg, const struct bf_changeset *set, const struct generation *gen)
{
	arg->chunk_shift = set->shift + SECTOR_SHIFT;
	arg->generation = gen->number;
	arg->chunks = gen->chunks;
	arg->flags = (READ_ONCE(gen->all) ? BFUSE_MARK_ALL : 0) | (READ_ONCE(gen->beyond) ? BFUSE_MARK_BEYOND : 0);
}

/* BEGIN, and there are marks. To a new owner they are told once. */
static long resume(struct bfuse_mark *arg, struct bf_changeset *set, u32 shift)
{
	bool inherited;

	if (mutex_lock_killable(&set->mutex))
		return -EINTR;
	inherited = set->inherited && set->shift == shift;
	if (inherited) {
		WRITE_ONCE(set->inherited, false);
		tell(arg, set, set->current_one);
		arg->flags = BFUSE_MARK_INHERITED;
	}
	mutex_unlock(&set->mutex);
	return inherited ? 0 : -EEXIST;
}

/*
 * What is in flight and known from other changesets of the disk belongs to this one, too. @draining: out, with a reference: the
 * changeset, which drained() ends or makes a whole one. NULL: it is one at once.
 */
static long begin(struct bfuse_mark *arg, struct bf_attachment *att, u32 shift, struct bf_changeset **draining)
{
	struct bf_changeset *set = changeset_alloc(att, shift);
	unsigned int noio;
	long err = 0;

	if (IS_ERR(set))
		return PTR_ERR(set);
	noio = bf_lock();
	if (att->state == BFUSE_STATE_LEAVING) {
		err = -ENOENT;
	} else if (att->changeset) {
		err = -EEXIST;
	} else {
		tell(arg, set, set->current_one);
		if (draining) {
			set->draining = true;
			kref_get(&set->ref);
			*draining = set;
		}
		WRITE_ONCE(att->changeset, set);
		list_add_tail_rcu(&set->node, &att->dev->changesets);
		att->dev->was_tracked = true;
		sum_up(att->dev);
		/* Who did not see it is in flight already. */
		smp_mb();
		carry(set, set->current_one);
	}
	bf_unlock(noio);
	if (err)
		changeset_put(set);
	return err;
}

/* Under the mutex. Returns the generation that has ended, when nobody marks in it any more. */
static struct generation *switch_over(struct bf_changeset *set, struct generation *next)
{
	struct generation *old = set->current_one;

	/* S1, and with the full barrier that goes with it S2. */
	smp_store_release(&set->current_one, next);
	atomic_inc_return(&set->dev->change_seq);
	carry(set, next);
	synchronize_rcu();
	/* What it has grown by nobody has seen, and it may begin within the last chunk. */
	if (next->sectors > old->sectors) {
		old->beyond |= next->chunks > old->chunks;
		if (old->sectors & ((1ull << set->shift) - 1))
			set_bits(old, old->chunks - 1, old->chunks - 1);
	}
	return old;
}

/* Adds the marks of @from, which may be of another capacity. */
static void merge(struct generation *to, const struct generation *from)
{
	u64 chunks = min(from->chunks, to->chunks), i;

	for (i = 0; i < DIV_ROUND_UP_ULL(chunks, 64); i++)
		to->words[i] |= from->words[i] & cpu_to_le64(bf_bits(i, 0, chunks - 1));
	if (from->beyond && from->chunks < to->chunks)
		set_bits(to, from->chunks, to->chunks - 1);
	to->all |= from->all;
	/* What it marks beyond may come back. */
	to->beyond |= from->beyond || from->chunks > to->chunks;
}

static long switch_generation(struct bfuse_mark *arg, struct bf_changeset *set)
{
	struct generation *next, *old;

	if (mutex_lock_killable(&set->mutex))
		return -EINTR;
	next = generation_alloc(set, set->current_one->number + 1);
	if (IS_ERR(next)) {
		mutex_unlock(&set->mutex);
		return PTR_ERR(next);
	}
	old = switch_over(set, next);
	if ((arg->flags & BFUSE_MARK_MERGE) && set->ended)
		merge(old, set->ended);
	generation_free(set->ended);
	set->ended = old;
	tell(arg, set, old);
	mutex_unlock(&set->mutex);
	return 0;
}

/* User memory is touched under the mutex, which nobody takes but the filter's own calls. */
static long read_ended(struct bfuse_mark *arg, struct bf_changeset *set)
{
	u64 bytes, n;
	long err = 0;

	if (mutex_lock_killable(&set->mutex))
		return -EINTR;
	if (!set->ended) {
		mutex_unlock(&set->mutex);
		return -ENODATA;
	}
	bytes = DIV_ROUND_UP_ULL(set->ended->chunks, 64) * 8;
	n = arg->offset < bytes ? min(arg->length, bytes - arg->offset) : 0;
	if (n && copy_to_user(u64_to_user_ptr(arg->address), (void *)set->ended->words + arg->offset, n))
		err = -EFAULT;
	arg->length = n;
	tell(arg, set, set->ended);
	mutex_unlock(&set->mutex);
	return err;
}

static long end(struct bf_attachment *att)
{
	unsigned int noio = bf_lock();

	bf_changeset_end(att);
	bf_unlock(noio);
	return 0;
}

/* Others may have ended @set meanwhile, and begun another one, which is theirs. Drops the reference. */
static long drained(struct bf_attachment *att, struct bf_changeset *set, long err)
{
	unsigned int noio = bf_lock();

	set->draining = false;
	if (att->changeset != set)
		err = err ?: -ENOENT;
	else if (err)
		bf_changeset_end(att);
	bf_unlock(noio);
	changeset_put(set);
	return err;
}

/* As begin(), and what was under way before has completed when it returns. What comes meanwhile is marked already. */
static long begin_drained(struct bfuse_mark *arg, struct bf_attachment *att, u32 shift)
{
	struct bf_changeset *set;
	struct bf_drain *drain;
	long err;

	/* It freezes file systems, and who may only serve could make that last. */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	drain = bf_drain_begin(att, arg->drain_ms);
	if (IS_ERR(drain))
		return PTR_ERR(drain);
	err = begin(arg, att, shift, &set);
	if (!err)
		err = drained(att, set, min(bf_drain_wait(drain, att), 0));
	bf_drain_end(drain);
	return err;
}

/* BFUSE_MARK_* that a command knows. */
static u32 flags_of(u32 command)
{
	switch (command) {
	case BFUSE_MARK_BEGIN:
		return BFUSE_MARK_DRAIN;
	case BFUSE_MARK_SWITCH:
		return BFUSE_MARK_MERGE;
	default:
		return 0;
	}
}

static bool is_valid(const struct bfuse_mark *arg)
{
	bool reads = arg->command == BFUSE_MARK_READ;

	if (arg->command > BFUSE_MARK_END || arg->generation || arg->chunks || (arg->flags & ~flags_of(arg->command)))
		return false;
	if (arg->drain_ms > (arg->flags & BFUSE_MARK_DRAIN ? BFUSE_DEADLINE_MAX : 0))
		return false;
	if (!reads && (arg->offset || arg->address || arg->length))
		return false;
	if (arg->command == BFUSE_MARK_BEGIN)
		return arg->chunk_shift >= BFUSE_CHUNK_SHIFT_MIN && arg->chunk_shift <= BFUSE_CHUNK_SHIFT_MAX;
	return !arg->chunk_shift && !(arg->offset % 8) && !(arg->length % 8);
}

/* BFUSE_MARK. May sleep. */
long bf_mark(struct bf_filter *f, struct bfuse_mark *arg)
{
	struct bf_changeset *set;
	struct bf_attachment *att;
	u32 shift = arg->chunk_shift - SECTOR_SHIFT;
	long err = -ENOENT;

	if (!is_valid(arg))
		return -EINVAL;
	att = find(f, arg->attachment, &set);
	if (!att)
		return -ENOENT;
	if (arg->command == BFUSE_MARK_BEGIN && set)
		err = resume(arg, set, shift);
	else if (arg->command == BFUSE_MARK_BEGIN)
		err = arg->flags & BFUSE_MARK_DRAIN ? begin_drained(arg, att, shift) : begin(arg, att, shift, NULL);
	else if (set && arg->command == BFUSE_MARK_SWITCH)
		err = switch_generation(arg, set);
	else if (set && arg->command == BFUSE_MARK_READ)
		err = read_ended(arg, set);
	else if (set)
		err = end(att);
	if (set)
		changeset_put(set);
	bf_attachment_put(att);
	return err;
}

/* For tools. Under bf_lock. */
u32 bf_changeset_shift(const struct bf_attachment *att)
{
	return att->changeset ? att->changeset->shift + SECTOR_SHIFT : 0;
}
