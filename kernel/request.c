// SPDX-License-Identifier: GPL-2.0
/*
 * The way of a bio: it is marked, presented to one attachment after the other, forwarded, completed.
 *
 * Why a bio completes exactly once: at each moment it has one owner, who passes it on or completes it.
 *
 *	hook --> lane->waiting --> tag (BUSY, SENT) --verdict--> below (DOWN) --bf_request_endio--> what it came with
 *	              |                 |      |
 *	              |                 |      +---COMPLETE----> bio_endio
 *	              +--bf_settle------+  (policy: on below, fail, or wait again)
 *
 * The moves are made under queue->lock, so a verdict, a deadline and a death that meet find one winner.
 *
 * Why it is not presented twice: while the bio is below an attachment it is marked, and the hook lets a bio pass whose
 * topmost mark is for the disk that it goes to. That covers the remainder of a split, which re-enters
 * submit_bio_noacct() on kernels up to 6.12, and what dm, md or multipath resubmit to themselves. A driver that remaps
 * the bio in place (md raid0, linear) sends it to another disk, where it is filtered afresh and gets a second mark.
 */
#include <linux/mempool.h>
#include <linux/ktime.h>

#include "blkfilter.h"

#define MIN_LOOSE_MARKS	64

/*
 * A mark without a tag, for a bio that waits for one (it keeps its origin) or goes down unseen because of a policy.
 * Without memory the former only loses its origin; the latter waits as a stray for the mempool.
 */
struct loose_mark {
	struct bf_mark		mark;	/* first: bio->bi_private points here */
	struct bio		*bio;
	u8			era;	/* of submit_unseen(), plus 1; 0: it waits in a lane */
	struct work_struct	work;
};

static struct kmem_cache *mark_cache;
static mempool_t mark_pool;
static struct bio_set clones;
static atomic_t nr_loose = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(loose_wait);

/*
 * Bios that went to the device with no tag, by era: who waits for all that went before begins a new one and waits for the
 * old one to be empty. Strays, which have no mark yet, are of any.
 */
static atomic_t unseen[2];
static atomic_t nr_strays;
static u8 era;

static DEFINE_SPINLOCK(stray_lock);
static struct bio_list stray_bios = BIO_EMPTY_LIST;
static struct workqueue_struct *loose_wq;	/* each may wait for a device of its own, for any time */
static void submit_strays(struct work_struct *work);
static DECLARE_WORK(stray_work, submit_strays);

void bf_mark_bio(struct bio *bio, struct bf_mark *mark, bio_end_io_t *end_io)
{
	mark->end_io = bio->bi_end_io;
	mark->private = bio->bi_private;
	mark->disk = bio->bi_bdev->bd_disk;
	bio->bi_end_io = end_io;
	bio->bi_private = mark;
	/*
	 * A stacked driver's poll_bio() (dm) keeps its own list in bi_private of a polled bio while it resubmits the
	 * rest of it. Polling such a bio falls back to interrupts, as it does on a queue that can't poll.
	 */
	if ((bio->bi_opf & REQ_POLLED) && mark->disk->fops->poll_bio)
		bio_clear_polled(bio);
}

void bf_unmark_bio(struct bio *bio, struct bf_mark *mark)
{
	bio->bi_end_io = mark->end_io;
	bio->bi_private = mark->private;
}

static void free_loose(struct bf_mark *mark)
{
	mempool_free(container_of(mark, struct loose_mark, mark), &mark_pool);
	if (atomic_dec_and_test(&nr_loose))
		wake_up_all(&loose_wait);
}

void bf_loose_endio(struct bio *bio)
{
	struct bf_mark *mark = bio->bi_private;
	u8 its_era = container_of(mark, struct loose_mark, mark)->era;

	bf_unmark_bio(bio, mark);
	free_loose(mark);
	bf_end_bio(bio);
	if (its_era)
		atomic_dec(&unseen[its_era - 1]);
}

static bool mark_loose(struct bio *bio, const struct bf_origin *origin, struct loose_mark *loose)
{
	if (!loose)
		return false;
	atomic_inc(&nr_loose);
	loose->bio = bio;
	loose->era = 0;
	loose->mark.origin = *origin;
	bf_mark_bio(bio, &loose->mark, bf_loose_endio);
	return true;
}

/*
 * Any context. A bio that waits without a mark, for lack of memory, only loses its origin. The reserve is not for these: they may
 * wait for an hour, for a successor, and those who can't do without would wait for them.
 */
void bf_mark_waiting(struct bio *bio, const struct bf_origin *origin)
{
	mark_loose(bio, origin, kmem_cache_alloc(mark_cache, GFP_NOWAIT | __GFP_NOWARN | __GFP_NOMEMALLOC | __GFP_NORETRY));
}

/* Does not sleep. @bio is to pass all filters of its disk. False: there is no memory, nor a reserve just now. */
bool bf_mark_unseen(struct bio *bio, const struct bf_origin *origin)
{
	return mark_loose(bio, origin, mempool_alloc(&mark_pool, GFP_NOWAIT | __GFP_NOWARN));
}

void bf_unmark_waiting(struct bio *bio, struct bf_origin *origin)
{
	struct bf_mark *mark = bio->bi_private;

	if (!bf_bio_is_marked(bio)) {
		*origin = (struct bf_origin){ .time = ktime_get_ns(), .cpu = raw_smp_processor_id() };
		return;
	}
	*origin = mark->origin;
	if (bio->bi_end_io == bf_loose_endio) {
		bf_unmark_bio(bio, mark);
		free_loose(mark);
	}
}

/*
 * Offers @bio to the attachments of its disk ranked below @below, from the top. True: one of them has it (or has failed
 * it). False: nobody wants it. Does not sleep; process context, because payload may be copied.
 *
 * An operation that nobody on the disk wants is counted by the hook, when the bio gets there.
 */
bool bf_present(struct bio *bio, u64 below, const struct bf_origin *origin)
{
	struct bf_queue *wake = NULL;
	struct bf_attachment *att;
	struct bf_device *dev;
	bool taken = false;

	rcu_read_lock();
	dev = bf_device_find(bio->bi_bdev->bd_disk);
	if (dev && !(READ_ONCE(dev->match) & bf_op_bit(bio)))
		dev = NULL;
	while (dev && !taken && (att = bf_chain_next(dev, bio, below, origin))) {
		below = att->rank;
		taken = bf_queue_offer(att, bio, origin, &wake) == BF_TAKEN;
	}
	/* Who is woken may take the processor at once, and should not do so in the middle of RCU's read side: that is dear. */
	preempt_disable();
	if (wake)
		bf_queue_wake_plugged(wake);
	rcu_read_unlock();
	preempt_enable();
	return taken;
}

/*
 * Down to the device; @bio carries a mark for its disk, so the hook lets it pass. REQ_NOWAIT has done its work: the
 * submitter did not wait. The BLK_STS_AGAIN that it may lead to is for the submitter's own context (io_uring retries it
 * there, and hands it to the application when it comes from elsewhere); the caller here may wait.
 */
void bf_submit(struct bio *bio)
{
	bio->bi_opf &= ~REQ_NOWAIT;
	submit_bio_noacct(bio);
}

/* Returns the era that ends. Not while bios of the one before are left; a grace period later nobody adds to it. */
u32 bf_unseen_flip(void)
{
	u8 old = READ_ONCE(era);

	WRITE_ONCE(era, !old);
	return old;
}

bool bf_unseen_left(u32 which)
{
	return atomic_read(&nr_strays) || atomic_read(&unseen[which]);
}

static void submit_loose(struct work_struct *work)
{
	bf_submit(container_of(work, struct loose_mark, work)->bio);
}

/*
 * By the disk's worker, or if it has no attachments any more by one for each bio: none may wait for another's device.
 */
static void submit_later(struct bio *bio)
{
	struct loose_mark *loose = container_of(bio->bi_private, struct loose_mark, mark);
	struct bf_device *dev;
	u8 now = READ_ONCE(era);

	atomic_inc(&unseen[now]);
	loose->era = now + 1;
	rcu_read_lock();
	dev = bf_device_find(bio->bi_bdev->bd_disk);
	if (dev) {
		bf_device_submit(dev, bio);
	} else {
		INIT_WORK(&loose->work, submit_loose);
		queue_work(loose_wq, &loose->work);
	}
	rcu_read_unlock();
}

static void submit_strays(struct work_struct *work)
{
	static const struct bf_origin nobody;
	struct bio_list bios;
	struct bio *bio;

	spin_lock_irq(&stray_lock);
	bios = stray_bios;
	bio_list_init(&stray_bios);
	spin_unlock_irq(&stray_lock);

	while ((bio = bio_list_pop(&bios))) {
		mark_loose(bio, &nobody, mempool_alloc(&mark_pool, GFP_NOIO));
		submit_later(bio);
		atomic_dec(&nr_strays);
	}
}

/* To the device, though no attachment has it. Does not sleep: bf_intercept() stands in for submit_bio_noacct(). */
static void submit_unseen(struct bio *bio, const struct bf_origin *origin)
{
	unsigned long flags;

	if (mark_loose(bio, origin, mempool_alloc(&mark_pool, GFP_NOWAIT | __GFP_NOWARN))) {
		submit_later(bio);
		return;
	}
	atomic_inc(&nr_strays);
	spin_lock_irqsave(&stray_lock, flags);
	bio_list_add(&stray_bios, bio);
	spin_unlock_irqrestore(&stray_lock, flags);
	queue_work(bf_wq, &stray_work);
}

/* bio_chain_endio(), whose name isn't exported. */
static bio_end_io_t *chain_endio;

static void learn_chain_endio(void)
{
	struct bio parent, child;

	bio_init(&parent, NULL, NULL, 0, REQ_OP_READ);
	bio_init(&child, NULL, NULL, 0, REQ_OP_READ);
	bio_chain(&child, &parent);
	chain_endio = child.bi_end_io;
	bio_uninit(&child);
	bio_uninit(&parent);
}

static void clone_endio(struct bio *clone)
{
	struct bio *bio = clone->bi_private;

	if (clone->bi_status && !bio->bi_status)
		bio->bi_status = clone->bi_status;
	if (bio_op(bio) == REQ_OP_ZONE_APPEND)
		bio->bi_iter.bi_sector = clone->bi_iter.bi_sector;
	bio_put(clone);
	bio_endio(bio);
}

/*
 * A bio that others are chained to (the last part of a split that md sends on in place, a part of a long discard) does
 * not complete before they do. Its tag would be kept for their time, with their status, and they might be waiting for
 * it. So it goes on as a clone, which completes by itself. Without memory it goes as it is.
 */
static struct bio *unchained(struct bio *bio)
{
	struct bio *clone;

	if (likely(!bio_flagged(bio, BIO_CHAIN)))
		return bio;
	clone = bio_alloc_clone(bio->bi_bdev, bio, GFP_NOWAIT | __GFP_NOWARN, &clones);
	if (!clone)
		return bio;
	clone->bi_end_io = clone_endio;
	clone->bi_private = bio;
	bio_clear_polled(clone);
	if (bio_flagged(bio, BIO_TRACE_COMPLETION))
		bio_set_flag(clone, BIO_TRACE_COMPLETION);
	return clone;
}

static u8 ask_if_shared(const struct bio *bio)
{
	if (likely(!bf_server_may_be(current->tgid)))
		return BF_UNASKED;
	return bf_bio_is_shared(bio) ? BF_SHARED : BF_OWN;
}

/* Runs in place of submit_bio_noacct(), in the submitter's context. Does not sleep, so unloading can wait for it. */
void bf_intercept(struct bio *bio)
{
	struct bf_origin origin = {
		.time = ktime_get_ns(),
		.pid = current->pid,
		.tgid = current->tgid,
		.cpu = raw_smp_processor_id(),
		.shared = ask_if_shared(bio),
	};

	bio = unchained(bio);
	if (!bf_present(bio, BF_RANK_TOP, &origin))
		submit_unseen(bio, &origin);
}

/* @bio, without a mark of @att, goes on below it unseen. Process context; does not sleep. */
void bf_bypass(struct bf_attachment *att, struct bio *bio, const struct bf_origin *origin)
{
	if (!bf_present(bio, att->rank, origin))
		submit_unseen(bio, origin);
}

static void submit_below(struct bf_device *dev, struct bio *bio, struct bf_batch *batch)
{
	if (dev->may_submit_inline || dev->disk == batch->only)
		bf_submit(bio);
	else
		bf_device_add(dev, bio, batch);
}

/*
 * @bio, marked for its disk, goes on below @rank of @dev. Once it is under way nothing may be touched that it keeps; @dev lives
 * until then, or as long as the caller's reference.
 *
 * A filter's thread submits by itself only where it can't come to wait for itself (server.c). Other disks get a worker.
 */
void bf_send_below(struct bf_device *dev, u64 rank, struct bio *bio, const struct bf_origin *origin,
		   struct bf_batch *batch)
{
	if (!bf_present(bio, rank, origin))
		submit_below(dev, bio, batch);
}

/*
 * Nothing is below @att now; the chain is sorted. One that has left its chain doesn't know.
 */
static bool is_lowest(const struct bf_attachment *att)
{
	return READ_ONCE(att->node.next) == &att->dev->chain && READ_ONCE(att->in_chain);
}

/* After BFUSE_PASS, @rq in BF_TAG_DOWN, and not to be touched any more. */
void bf_forward(struct bf_request *rq, struct bf_batch *batch)
{
	struct bf_attachment *att = rq->att;

	if (likely(is_lowest(att)))
		submit_below(att->dev, rq->bio, batch);
	else
		bf_send_below(att->dev, att->rank, rq->bio, &rq->mark.origin, batch);
}

/* Would bf_forward(), by who has no disk of his own, give it to bf_device_submit()? Any context. */
bool bf_forward_needs_worker(const struct bf_request *rq)
{
	return is_lowest(rq->att) && !rq->att->dev->may_submit_inline;
}

/* The status of the bio itself. A part of it that is chained to it may have failed already, and that stays so. */
void bf_set_status(struct bio *bio, blk_status_t status)
{
	if (status || !bio_flagged(bio, BIO_CHAIN))
		bio->bi_status = status;
}

void bf_fail(struct bio *bio, blk_status_t status)
{
	bf_set_status(bio, status);
	bf_end_bio(bio);
}

/*
 * bio_endio() for a bio that has shed a mark. If its end is the end of another one that is marked (bio_chain()), and so
 * on, they end one after the other and not one inside the other: the stack would not hold a discard of many parts.
 */
static DEFINE_PER_CPU(struct bio_list *, ending);

void bf_end_bio(struct bio *bio)
{
	struct bio_list next = BIO_EMPTY_LIST, *outer;
	unsigned long flags;

	local_irq_save(flags);
	outer = __this_cpu_read(ending);
	if (outer)
		bio_list_add(outer, bio);
	else
		__this_cpu_write(ending, &next);
	preempt_disable();
	local_irq_restore(flags);

	while (!outer && bio) {
		bio_endio(bio);
		local_irq_save(flags);
		bio = bio_list_pop(&next);
		if (!bio)
			__this_cpu_write(ending, NULL);
		local_irq_restore(flags);
	}
	preempt_enable();
}

/*
 * bio_endio() for a bio that has been through it, and has shed the mark that it found there. What bio_endio() does beside
 * calling bi_end_io is done; but where that leads to the end of yet another bio, bf_end_bio() must see to the stack.
 */
void bf_end_again(struct bio *bio)
{
	if (likely(bio->bi_end_io && bio->bi_end_io != chain_endio && bio->bi_end_io != clone_endio))
		bio->bi_end_io(bio);
	else
		bf_end_bio(bio);
}

/*
 * The end of a bio whose completion was held. It has been through bio_endio() already, unless it went nowhere (@shadowed): zones
 * that are reset, for one, must not be told so later once more.
 */
void bf_end_held(struct bio *bio, blk_status_t status, bool shadowed)
{
	bf_set_status(bio, status);
	if (shadowed)
		bf_end_bio(bio);
	else
		bf_end_again(bio);
}

/* bi_end_io of a bio below an attachment. Any context, interrupts included. */
void bf_request_endio(struct bio *bio)
{
	struct bf_request *rq = bio->bi_private;

	rq->status = bio->bi_status;
	bf_unmark_bio(bio, &rq->mark);
	bf_tag_finish(rq);
}

/* No loose mark outlives the module: each is on a bio that the device will complete. */
int bf_request_init(void)
{
	int err;

	learn_chain_endio();
	mark_cache = kmem_cache_create("blkfilter_mark", sizeof(struct loose_mark), 0, SLAB_HWCACHE_ALIGN, NULL);
	if (!mark_cache)
		return -ENOMEM;
	err = mempool_init_slab_pool(&mark_pool, MIN_LOOSE_MARKS, mark_cache);
	if (err)
		goto no_pool;
	err = bioset_init(&clones, BIO_POOL_SIZE, 0, 0);
	if (err)
		goto no_clones;
	loose_wq = alloc_workqueue("blkfilter/loose", WQ_UNBOUND | WQ_MEM_RECLAIM, WQ_UNBOUND_MAX_ACTIVE);
	if (loose_wq)
		return 0;
	err = -ENOMEM;
	bioset_exit(&clones);
no_clones:
	mempool_exit(&mark_pool);
no_pool:
	kmem_cache_destroy(mark_cache);
	return err;
}

void bf_request_exit(void)
{
	flush_work(&stray_work);
	destroy_workqueue(loose_wq);
	wait_event(loose_wait, !atomic_read(&nr_loose));
	/* The ends of completions, before what they free to goes: in interrupts, and in tasks that may be preempted there. */
	synchronize_rcu();
	synchronize_rcu_tasks();
	bioset_exit(&clones);
	mempool_exit(&mark_pool);
	kmem_cache_destroy(mark_cache);
}
