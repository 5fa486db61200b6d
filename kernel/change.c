// SPDX-License-Identifier: GPL-2.0
/*
 * Changes in flight: bios that may change data of a disk with changesets (changeset.c), from the hook to their completion, which
 * is taken over as attachments do it.
 *
 * No change is lost across a switch of generations. What was submitted before it and completes after it is in both, because of
 * the orders of
 *
 *	hook				completion			switch (changeset.c)
 *	 H1 change->seq = dev seq	 C1 the medium has it		 S1 current = next
 *	 H2 change->dev = dev		 C2 dev seq != change->seq:	 S2 dev seq++
 *	    (in flight)			    mark in current		    full barrier
 *	    full barrier		 C3 change->dev = NULL		 S3 mark in next all that is
 *	 H3 mark in current						    in flight (change->dev)
 *	 H4 the bio goes on						 S4 wait for hooks and completions
 *									    that have seen the old one
 *
 * - The hook marked in the old generation: H3 came before S1, so with both barriers S3 sees what H2 did, unless C3 came before
 *   S3. Then if C2 came after S2, it marked in the new generation, else the change was complete before the switch.
 * - The hook marked in the new one: it was submitted after the switch, and is only there.
 *
 * It does not matter how long the bio then takes: its submitter may be preempted right after the hook, the bio may wait in
 * blk-throttle, in a filter's queue or for the device; it is in flight until it ends. H1 to H4 are one stretch without
 * preemption.
 *
 * A change is kept in memory that is allocated in the hook, without waiting; it goes back to the pool of its CPU and stays
 * for the next. There are so many as there ever were in flight at once. Should the kernel have no memory at all, the chunks are
 * kept in mind and carried into every generation from then on (dev->lost): too much is marked, but not too little.
 *
 * Lifetimes: a change refers to the bf_device, not to attachments or their changesets. The device's end takes itself out of all
 * changes in flight, then waits for those that still look at it.
 */
#include <linux/delay.h>
#include <linux/llist.h>

#include "blkfilter.h"

#define BATCH	32	/* changes that are allocated at once */

struct change {
	struct bf_mark		mark;	/* first: bio->bi_private points here */
	struct llist_node	node;	/* pools, while nobody uses it */
	struct bf_device	*dev;	/* not NULL: in flight; GONE: but nobody cares any more */
	u64			first, last; /* sectors of the disk; @last BF_CHANGE_ALL: all of it */
	u32			seq;
	u32			uses;	/* to see that it is another one by now */
	int			cpu;	/* whose pool it belongs to */
};

#define GONE	((struct bf_device *)1)

struct batch {
	struct batch	*next;
	struct change	changes[BATCH];
};

static DEFINE_PER_CPU(struct llist_head, pool);
static struct batch *batches;	/* never shrinks */

/* In the hook, interrupts off. */
static struct change *grow(void)
{
	struct batch *batch = kzalloc(sizeof(*batch), GFP_ATOMIC | __GFP_NOWARN);
	int i;

	if (!batch)
		return NULL;
	for (i = 0; i < BATCH; i++) {
		batch->changes[i].cpu = smp_processor_id();
		if (i)
			llist_add(&batch->changes[i].node, this_cpu_ptr(&pool));
	}
	do {
		batch->next = READ_ONCE(batches);
	} while (cmpxchg(&batches, batch->next, batch) != batch->next);
	return &batch->changes[0];
}

/* In the hook. This CPU alone takes from its pool, so the only disturbance would be an interrupt. */
static struct change *change_alloc(void)
{
	struct llist_node *node;
	unsigned long flags;
	struct change *change;

	local_irq_save(flags);
	node = llist_del_first(this_cpu_ptr(&pool));
	change = likely(node) ? llist_entry(node, struct change, node) : grow();
	local_irq_restore(flags);
	return change;
}

static bool has_zone(const struct bio *bio)
{
	return bio_op(bio) == REQ_OP_ZONE_APPEND || bio_op(bio) == REQ_OP_ZONE_RESET || bio_op(bio) == REQ_OP_ZONE_FINISH;
}

/* What may be different when @bio is done. An append says where it went only then, and its zone is enough to say now. */
static void extent(const struct bf_device *dev, struct bio *bio, u64 *first, u64 *last)
{
	u64 sectors = bio_sectors(bio);

	*first = bf_bio_disk_sector(bio);
	if (unlikely(has_zone(bio)))
		sectors = dev->zone_sectors;
	/* All zones, or something unknown. */
	*last = sectors ? *first + sectors - 1 : BF_CHANGE_ALL;
}

/* Without memory: its chunks are marked in all generations from now on. */
static noinline void lose(struct bf_device *dev, u64 first, u64 last)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->lock, flags);
	dev->lost_first = min(dev->lost_first, first);
	dev->lost_last = max(dev->lost_last, last);
	dev->lost = true;
	spin_unlock_irqrestore(&dev->lock, flags);
	/* As in bf_change_track(). */
	smp_mb();
	bf_changesets_mark(dev, first, last);
}

/*
 * Is it a change in flight of @dev already? Not if it was one of a bf_device that the disk had before: filters still had it when
 * that went, and send it on now.
 */
static bool is_tracked(const struct bf_device *dev, const struct bio *bio)
{
	const struct bf_mark *mark = bio->bi_private;
	bio_end_io_t *end_io = bio->bi_end_io;

	while ((end_io == bf_change_endio || bf_end_is_ours(end_io)) && mark->disk == dev->disk) {
		if (end_io == bf_change_endio && READ_ONCE(container_of(mark, struct change, mark)->dev) == dev)
			return true;
		end_io = mark->end_io;
		mark = mark->private;
	}
	return false;
}

/*
 * In the hook, with preemption disabled, for each bio to a disk with changesets that may change something. What re-enters the hook
 * is known already. On a bio that has another mark, the change comes on top of it: so it is with what filters inject, and with
 * what waited at an attachment when the first changeset came.
 */
void notrace bf_change_track(struct bf_device *dev, struct bio *bio)
{
	struct change *change;
	u64 first, last;

	if (is_tracked(dev, bio))
		return;
	extent(dev, bio, &first, &last);
	change = change_alloc();
	if (unlikely(!change)) {
		lose(dev, first, last);
		return;
	}
	WRITE_ONCE(change->uses, change->uses + 1);
	smp_wmb(); /* pairs with carry_one() */
	change->first = first;
	change->last = last;
	change->seq = atomic_read_acquire(&dev->change_seq);
	/* Pairs with carry_one(), too. */
	smp_store_release(&change->dev, dev);
	/* Pairs with the barrier of switch_over() in changeset.c: H2 and H3, S1 and S3. */
	smp_mb();
	bf_changesets_mark(dev, first, last);
	bf_mark_bio(bio, &change->mark, bf_change_endio);
}

/* bi_end_io. Any context. */
void bf_change_endio(struct bio *bio)
{
	struct change *change = bio->bi_private;
	struct bf_device *dev;

	bf_unmark_bio(bio, &change->mark);
	rcu_read_lock();
	dev = READ_ONCE(change->dev);
	if (dev != GONE && unlikely(change->seq != atomic_read(&dev->change_seq))) {
		/* Pairs with the barrier of switch_over(): who sees the number sees the generation. */
		smp_rmb();
		bf_changesets_mark(dev, change->first, change->last);
	}
	/* C3: pairs with carry_one() and any_in_flight(). */
	smp_store_release(&change->dev, NULL);
	llist_add(&change->node, per_cpu_ptr(&pool, change->cpu));
	rcu_read_unlock();
	bf_end_again(bio);
}

/*
 * Tells of a change that is in flight. If it has become another one while we look, the first has ended, which has marked what
 * it had to, and the other one has begun after the switch.
 */
static void carry_one(struct bf_device *dev, struct change *change, bf_change_fn *fn, void *arg)
{
	u32 uses = READ_ONCE(change->uses);
	u64 first, last;

	/* Pairs with bf_change_track(). */
	smp_rmb();
	/* Pairs with bf_change_track(): what it says is there. */
	if (smp_load_acquire(&change->dev) != dev)
		return;
	first = READ_ONCE(change->first);
	last = READ_ONCE(change->last);
	/* Pairs with bf_change_track(): it counts first. */
	smp_rmb();
	if (READ_ONCE(change->uses) == uses)
		fn(arg, first, last);
}

/* Calls @fn, which may not sleep, for all that is in flight on @dev, or was and has got lost. After a full barrier. */
void bf_changes_in_flight(struct bf_device *dev, bf_change_fn *fn, void *arg)
{
	struct batch *batch;
	int i;

	for (batch = READ_ONCE(batches); batch; batch = batch->next)
		for (i = 0; i < BATCH; i++)
			carry_one(dev, &batch->changes[i], fn, arg);

	spin_lock_irq(&dev->lock);
	if (dev->lost)
		fn(arg, dev->lost_first, dev->lost_last);
	spin_unlock_irq(&dev->lock);
}

/* Before @dev goes; nothing refers to it any more but changes in flight. May sleep: afterwards, a grace period has to pass. */
void bf_change_forget(struct bf_device *dev)
{
	struct batch *batch;
	int i;

	for (batch = READ_ONCE(batches); batch; batch = batch->next)
		for (i = 0; i < BATCH; i++)
			cmpxchg(&batch->changes[i].dev, dev, GONE);
}

static bool any_in_flight(void)
{
	struct batch *batch;
	int i;

	for (batch = READ_ONCE(batches); batch; batch = batch->next)
		for (i = 0; i < BATCH; i++)
			/* Pairs with bf_change_endio(). */
			if (smp_load_acquire(&batch->changes[i].dev))
				return true;
	return false;
}

/* Nothing is attached any more, but bios may be in flight that will end here. */
void bf_change_exit(void)
{
	struct batch *batch;

	while (any_in_flight())
		msleep(20);
	/* The ends of completions. */
	synchronize_rcu();
	while ((batch = batches)) {
		batches = batch->next;
		kfree(batch);
	}
}
