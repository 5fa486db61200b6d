// SPDX-License-Identifier: GPL-2.0
/*
 * A drained start: the attach, or the beginning of marks, returns when all that was submitted to the disk before has completed.
 *
 * Where a bio may be that passed the hook before, and what waits for it, in this order:
 *
 *	1. its submitter runs, or would if it had a CPU:
 *		a grace period of RCU tasks: each task has slept, or been in user mode.
 *	2. its submitter sleeps on the way down (no memory, no tag, queue frozen, limits of the queue), or holds it in
 *	   current->bio_list while it sleeps for another disk of a stack:
 *		both only inside the loop of submit_bio_noacct(), which task_struct.bio_list tells of (submitters.c).
 *	3. a filter below has it, or one that has left, or its policy sends it on:
 *		tags and lanes are looked through for requests that are older (below), and the era of those without a tag.
 *	   a filter above has let it pass, and the device's worker has it:
 *		work of our own behind it in the worker's queue.
 *	4. blk-throttle has parked it, in nobody's count; it goes on from there without passing the hook:
 *		canaries in the throttle's own queues, behind it (canary.c).
 *	5. the driver has it:
 *		the queue's usage count or, where that ends too soon (dm, md), what the driver counts (quiesce.c).
 *
 * What is submitted again on its way (the rest of a split, what a suspended dm device has put off, a bioset's rescuer) passes
 * the hook again, and is seen. (But for a write to a zone that a suspended dm device has put off: see quiesce.c.)
 *
 * File systems are frozen around all of this (frozen.c), before anything new has to wait: to freeze takes I/O. They are thawed
 * without waiting for it, as that takes I/O too, of which the filter sees the first.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched/signal.h>

#include "drain.h"

#define DEFAULT_MS	30000

static DEFINE_MUTEX(one_at_a_time);	/* the eras; also bounds what all drains together keep from running */

static void free_work(struct work_struct *work)
{
	struct bf_drain *d = container_of(work, struct bf_drain, free);

	bf_cage_free(d);
	kvfree(d->frozen);
	put_device(disk_to_dev(d->disk));
	put_device(&d->bdev->bd_device);
	kfree(d);
	module_put(THIS_MODULE);
}

static void last_put(struct kref *ref)
{
	struct bf_drain *d = container_of(ref, struct bf_drain, ref);

	queue_work(bf_wq, &d->free);
}

void bf_drain_get(struct bf_drain *d)
{
	kref_get(&d->ref);
}

/* Any context. */
void bf_drain_put(struct bf_drain *d)
{
	kref_put(&d->ref, last_put);
}

/* A thread of its own for what can't be given up in time: @run ends with bf_drain_put() and module_put_and_kthread_exit(). */
int bf_drain_thread(struct bf_drain *d, int (*run)(void *drain), const char *what)
{
	struct task_struct *task;

	bf_drain_get(d);
	__module_get(THIS_MODULE);
	task = kthread_run(run, d, "blkfilter-%s/%s", what, d->disk->disk_name);
	if (!IS_ERR(task))
		return 0;
	bf_drain_put(d);
	module_put(THIS_MODULE);
	return PTR_ERR(task);
}

/*
 * A millisecond. 0, or why to give up: -ETIMEDOUT, -EINTR, -ENXIO (the attachment has left). Something in the stack may need
 * an answer to what waits in the lanes before it ends what is older, so they do so for part of the time only.
 */
int bf_drain_pause(struct bf_drain *d)
{
	if (d->att && READ_ONCE(d->att->state) == BFUSE_STATE_LEAVING)
		return -ENXIO;
	if (signal_pending(current))
		return -EINTR;
	if (time_after(jiffies, d->end))
		return -ETIMEDOUT;
	if (d->att && d->opens && time_after(jiffies, d->open))
		bf_attachment_open(d->att);
	usleep_range(500, 1000);
	return 0;
}

int bf_drain_await(struct bf_drain *d, struct completion *done)
{
	int err = 0;

	while (!err && !try_wait_for_completion(done))
		err = bf_drain_pause(d);
	return err;
}

static void grace_over(struct rcu_head *rcu)
{
	struct bf_drain *d = container_of(rcu, struct bf_drain, rcu);

	complete(&d->grace);
	bf_drain_put(d);
}

static int await_grace(struct bf_drain *d)
{
	d->stage = "tasks that have no CPU";
	bf_drain_get(d);
	call_rcu_tasks(&d->rcu, grace_over);
	return bf_drain_await(d, &d->grace);
}

/* May sleep. 0, or as bf_drain_pause(); then whoever was on the way down has arrived. */
int bf_drain_submitters(struct bf_drain *d)
{
	return await_grace(d) ?: bf_await_submitters(d);
}

static bool waits_older(const struct bf_lane *lane, u64 since)
{
	struct bf_mark *mark;
	struct bio *bio;

	bio_list_for_each(bio, &lane->waiting) {
		mark = bio->bi_private;
		/* Without a mark, for lack of memory, nobody knows. */
		if (!bf_bio_is_marked(bio) || mark->origin.time <= since)
			return true;
	}
	return false;
}

/* Is it @att's; or, while an attach waits between the layers, may it become so by a verdict that names that layer? */
static bool concerns(const struct bf_request *rq, const struct bf_attachment *att, const struct bf_drain *d)
{
	return rq->att == att || (d->opens && rq->first->filter->layered && rq->layers & (1u << att->layer) &&
				  rq->layer[att->layer] == att);
}

/*
 * What counts in the lane and has no tag is in the hands of who settles it: of late requests and of those that waited, which then
 * are in an era (await_older() looks there after here).
 */
static bool has_older(struct bf_attachment *att, struct bf_queue *q, const struct bf_drain *d)
{
	struct bf_lane *lane = bf_lane_of(att, q);
	u32 i, counted = 0;
	bool found;

	spin_lock_irq(&q->lock);
	found = waits_older(lane, d->since);
	for (i = 0; !found && (lane->nr_tags || lane->nr_joined) && i < q->filter->depth; i++) {
		struct bf_request *rq = &q->requests[i];

		if (rq->state == BF_TAG_FREE || rq->state == BF_TAG_STALE)
			continue;
		counted += rq->first == att;
		found = concerns(rq, att, d) && rq->mark.origin.time <= d->since &&
			(rq->state == BF_TAG_BUSY || rq->state == BF_TAG_SENT || rq->state == BF_TAG_DOWN ||
			 rq->state == BF_TAG_HELD || (rq->state == BF_TAG_DONE && rq->hold));
	}
	found |= lane->nr_tags > counted;
	spin_unlock_irq(&q->lock);
	return found;
}

/*
 * Those whose requests go on where we don't see them: who is below, or was in our place before us and has left. What is above
 * comes to us when it goes on; and marks see what comes from their own place as well. What is beside, on another partition, is no
 * concern of ours.
 */
static bool passes_us(const struct bf_attachment *other, const struct bf_drain *d)
{
	const struct bf_attachment *att = d->att;

	if (other == att || other->bdev->bd_disk != d->disk || (other->is_part && att->is_part && other->bdev != att->bdev))
		return false;
	return other->rank < att->rank || (d->opens && other->rank == att->rank);
}

/* By falling rank, as requests go: what has moved on since it was looked for is found where it is. */
static bool older_below(struct bf_drain *d)
{
	struct bf_attachment *other = NULL;
	bool found = false;
	u32 i;

	while ((other = bf_attachment_below(other))) {
		for (i = 0; passes_us(other, d) && !found && i < other->filter->nr_queues; i++)
			found = has_older(other, &other->filter->queues[i], d);
		if (found) {
			bf_attachment_put(other);
			break;
		}
	}
	return found;
}

static int await_older(struct bf_drain *d, u32 era)
{
	int err = 0;

	d->stage = "requests of filters below";
	while (!err && (older_below(d) || bf_unseen_left(era)))
		err = bf_drain_pause(d);
	return err;
}

static void all_passed(struct work_struct *work)
{
	struct bf_drain *d = container_of(work, struct bf_drain, behind);

	complete(&d->passed);
	bf_drain_put(d);
}

static int await_worker(struct bf_drain *d, struct bf_device *dev)
{
	reinit_completion(&d->passed);
	bf_drain_get(d);
	bf_device_queue_behind(dev, &d->behind);
	return bf_drain_await(d, &d->passed);
}

/*
 * What filters above let pass, or injected, may be on its way through a device's worker, where it meets no filter any more; and that
 * of one that the disk had before it was without filters for a moment.
 */
static int await_passed(struct bf_drain *d)
{
	struct bf_device *dev = d->att->dev;
	int err = 0;

	d->stage = "requests that filters above let pass";
	kref_get(&dev->ref);
	while (!err && dev) {
		err = await_worker(d, dev);
		if (err)
			bf_device_put(dev);
		else
			dev = bf_device_before(dev);
	}
	return err;
}

static int await_all(struct bf_drain *d)
{
	u32 era;
	int err = 0;

	/* After a drain that gave up there may be two. */
	d->stage = "requests that a policy sent on";
	era = bf_unseen_flip();
	while (!err && bf_unseen_left(!era))
		err = bf_drain_pause(d);
	return err ?: bf_drain_submitters(d) ?: await_older(d, era) ?: await_passed(d) ?: bf_await_throttle(d) ?:
	       bf_quiesce(d);
}

static int lock(struct bf_drain *d)
{
	int err = 0;

	d->stage = "another drain";
	while (!mutex_trylock(&one_at_a_time)) {
		err = bf_drain_pause(d);
		if (err)
			break;
	}
	return err;
}

static void tell(struct bf_drain *d, int err)
{
	if (err == -ETIMEDOUT)
		pr_warn("%pg: not drained in time: waited for %s\n", d->bdev, d->stage);
}

/*
 * @att is published, and if it has just come lets requests wait. Returns enum bfuse_drained, or a negative errno as
 * bf_drain_pause(), -EOPNOTSUPP: it can't be known.
 */
int bf_drain_wait(struct bf_drain *d, struct bf_attachment *att)
{
	int err;

	d->att = att;
	d->since = ktime_get_ns();
	err = lock(d);
	if (!err) {
		err = await_all(d);
		mutex_unlock(&one_at_a_time);
	}
	d->att = NULL;
	tell(d, err);
	if (err)
		return err;
	return d->nr_fs && !d->refused ? BFUSE_DRAINED_FROZEN : BFUSE_DRAINED_RAW;
}

static struct bf_drain *drain_alloc(struct block_device *bdev, u32 ms)
{
	struct bf_drain *d = kzalloc(sizeof(*d), GFP_KERNEL);

	if (!d)
		return NULL;
	kref_init(&d->ref);
	INIT_WORK(&d->free, free_work);
	init_completion(&d->grace);
	INIT_WORK(&d->behind, all_passed);
	init_completion(&d->passed);
	init_completion(&d->is_frozen);
	init_completion(&d->suspended);
	init_waitqueue_head(&d->thaw_wait);
	d->end = jiffies + msecs_to_jiffies(ms);
	d->open = jiffies + msecs_to_jiffies(ms) / 4;
	d->bdev = bdev;
	d->disk = bdev->bd_disk;
	get_device(&bdev->bd_device);
	get_device(disk_to_dev(d->disk));
	__module_get(THIS_MODULE);
	return d;
}

/*
 * Can what is on @att's device be frozen, which takes I/O? Not if that would wait for a dead predecessor that @att is to take over
 * from (it may be another when @att is published; then it doesn't drain); nor if it would wait for the filter whose thread we are.
 */
static bool may_freeze(struct bf_attachment *att)
{
	unsigned int noio = bf_lock();
	struct bf_device *dev = bf_device_find(att->bdev->bd_disk);
	bool may = att->in_chain ? !att->match : !dev || !bf_chain_at(dev, att->bdev, att->rank);

	bf_unlock(noio);
	return may;
}

/*
 * Freezes what is on @att's device, before @att is published or what it is drained for begins. The caller ends it with
 * bf_drain_end(), after which @att may see the I/O of the thaw. Sleeps up to @ms.
 */
struct bf_drain *bf_drain_begin(struct bf_attachment *att, u32 ms)
{
	struct bf_drain *d = drain_alloc(att->bdev, ms ?: DEFAULT_MS);
	int err = 0;

	if (!d)
		return ERR_PTR(-ENOMEM);
	d->opens = !att->in_chain;
	d->stage = "file systems to freeze";
	if (may_freeze(att))
		err = bf_freeze(d);
	if (!err)
		return d;
	tell(d, err);
	bf_drain_end(d);
	return ERR_PTR(err);
}

/* jiffies: when what @d waits for is given up. */
unsigned long bf_drain_limit(const struct bf_drain *d)
{
	return d->end;
}

/* @d: NULL or an error if there is none. */
void bf_drain_end(struct bf_drain *d)
{
	if (IS_ERR_OR_NULL(d))
		return;
	bf_freeze_end(d);
	bf_drain_put(d);
}
