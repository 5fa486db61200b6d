// SPDX-License-Identifier: GPL-2.0
/*
 * The filtered disks: found by gendisk in the hook, each with its chain of attachments.
 *
 * The chain holds the attachments of the disk and of its partitions, sorted by falling rank: partitions before the
 * whole disk, then by altitude. A bio meets those of its own partition and those of the disk. To go on below an
 * attachment is to look for the first lower rank, so it does not matter whether that attachment is still there.
 *
 * A device is published while its chain is not empty or somebody holds it, and freed when its last attachment is. One that is attached to
 * again in between gets a second bf_device; the old one only finishes what it has.
 */
#include "blkfilter.h"

unsigned long bf_filtered[BITS_TO_LONGS(1 << BF_HASH_BITS)];
struct hlist_head bf_devices[1 << (BF_HASH_BITS - BF_BUCKET_SHIFT)];
static LIST_HEAD(all_devices);

/*
 * Who may wait while submitting. A driver with submit_bio is stacked; a disk without a parent device (loop, nbd,
 * null_blk) may have a file or a process behind it. What remains waits for hardware only.
 */
bool bf_disk_is_hardware(const struct gendisk *disk)
{
	return !disk->fops->submit_bio && disk_to_dev(disk)->parent;
}

static void submit_work(struct work_struct *work)
{
	struct bf_device *dev = container_of(work, struct bf_device, work);
	struct blk_plug plug;
	struct bio_list bios;
	struct bio *bio;

	spin_lock_irq(&dev->lock);
	bios = dev->bios;
	bio_list_init(&dev->bios);
	spin_unlock_irq(&dev->lock);

	blk_start_plug(&plug);
	while ((bio = bio_list_pop(&bios)))
		bf_submit(bio);
	blk_finish_plug(&plug);
}

static void free_work(struct work_struct *work)
{
	struct bf_device *dev = container_of(work, struct bf_device, free);
	unsigned int noio = bf_lock();

	list_del(&dev->all);
	bf_unlock(noio);
	/*
	 * A submitter that found it under RCU may be about to hand over a bio; the workqueue drains when it is
	 * destroyed.
	 */
	synchronize_rcu();
	if (dev->was_tracked) {
		bf_change_forget(dev);
		synchronize_rcu();
	}
	destroy_workqueue(dev->wq);
	if (dev->visits)
		destroy_workqueue(dev->visits);
	put_device(disk_to_dev(dev->disk));
	free_percpu(dev->bypassed);
	kfree(dev);
}

/*
 * May sleep, and allocate with I/O: call it without bf_lock. A workqueue of its own: see bf_forward(), and dm does so.
 */
struct bf_device *bf_device_alloc(struct gendisk *disk)
{
	bool opens = disk->fops->submit_bio && !bf_disk_is_dm(disk);
	struct bf_device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);

	if (!dev)
		return NULL;
	dev->wq = alloc_ordered_workqueue("blkfilter/%s", WQ_MEM_RECLAIM | WQ_HIGHPRI, disk->disk_name);
	if (opens)
		dev->visits = alloc_ordered_workqueue("blkfilter/visit", WQ_MEM_RECLAIM);
	dev->bypassed = alloc_percpu(u64);
	if (!dev->wq || !dev->bypassed || (opens && !dev->visits)) {
		if (dev->wq)
			destroy_workqueue(dev->wq);
		if (dev->visits)
			destroy_workqueue(dev->visits);
		free_percpu(dev->bypassed);
		kfree(dev);
		return NULL;
	}
	kref_init(&dev->ref);
	get_device(disk_to_dev(disk));
	dev->disk = disk;
	dev->may_submit_inline = bf_disk_is_hardware(disk);
	dev->zone_sectors = bdev_is_zoned(disk->part0) ? bdev_zone_sectors(disk->part0) : 0;
	INIT_LIST_HEAD(&dev->all);
	INIT_LIST_HEAD(&dev->chain);
	INIT_LIST_HEAD(&dev->changesets);
	dev->lost_first = U64_MAX;
	init_waitqueue_head(&dev->idle);
	spin_lock_init(&dev->lock);
	bio_list_init(&dev->bios);
	INIT_WORK(&dev->work, submit_work);
	INIT_WORK(&dev->free, free_work);
	return dev;
}

static void last_put(struct kref *ref)
{
	struct bf_device *dev = container_of(ref, struct bf_device, ref);

	/* A filter's thread may be the last, and must not wait for I/O that it may have to serve. */
	queue_work(bf_wq, &dev->free);
}

void bf_device_put(struct bf_device *dev)
{
	kref_put(&dev->ref, last_put);
}

/* Any context; the caller has a request below the device's chain, or is in RCU. */
void bf_device_submit(struct bf_device *dev, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->lock, flags);
	bio_list_add(&dev->bios, bio);
	spin_unlock_irqrestore(&dev->lock, flags);
	queue_work(dev->wq, &dev->work);
}

/* @work runs when all that was given to the device's worker before has been submitted. The caller keeps @dev until here. */
void bf_device_queue_behind(struct bf_device *dev, struct work_struct *work)
{
	queue_work(dev->wq, &dev->work);
	queue_work(dev->wq, work);
}

/* Process context; the request that @bio carries keeps @dev. */
void bf_device_add(struct bf_device *dev, struct bio *bio, struct bf_batch *batch)
{
	if (batch->dev != dev) {
		bf_batch_kick(batch);
		kref_get(&dev->ref);
		batch->dev = dev;
	}
	spin_lock_irq(&dev->lock);
	bio_list_add(&dev->bios, bio);
	spin_unlock_irq(&dev->lock);
}

void bf_batch_kick(struct bf_batch *batch)
{
	if (!batch->dev)
		return;
	queue_work(batch->dev->wq, &batch->dev->work);
	bf_device_put(batch->dev);
	batch->dev = NULL;
}

u64 bf_device_bypassed(const struct bf_device *dev)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(dev->bypassed, cpu));
	return sum;
}

void bf_device_publish(struct bf_device *dev)
{
	unsigned int hash = bf_disk_hash(dev->disk);

	lockdep_assert_held(&bf_mutex);
	set_bit(hash, bf_filtered);
	hlist_add_head_rcu(&dev->node, &bf_devices[hash >> BF_BUCKET_SHIFT]);
	/* It may have been published before: who was about to attach kept it when the last filter left. */
	list_move(&dev->all, &all_devices);
}

/*
 * Walks over those that a disk has had, the latest first, without keeping bf_lock: drops @dev's reference, takes the next one's.
 * What is under way keeps them, tags by their attachment, injects by themselves.
 */
struct bf_device *bf_device_before(struct bf_device *dev)
{
	struct gendisk *disk = dev->disk;
	unsigned int noio = bf_lock();
	struct bf_device *other = dev;

	list_for_each_entry_continue(other, &all_devices, all)
		if (other->disk == disk && kref_get_unless_zero(&other->ref))
			break;
	if (list_entry_is_head(other, &all_devices, all))
		other = NULL;
	bf_unlock(noio);
	bf_device_put(dev);
	return other;
}

static void unpublish(struct bf_device *dev)
{
	unsigned int hash = bf_disk_hash(dev->disk);
	struct bf_device *other;

	hlist_del_init_rcu(&dev->node);
	hlist_for_each_entry(other, &bf_devices[hash >> BF_BUCKET_SHIFT], node)
		if (bf_disk_hash(other->disk) == hash)
			return;
	clear_bit(hash, bf_filtered);
}

static void sum_up(struct bf_device *dev)
{
	struct bf_attachment *att, *sole = NULL;
	bool has_parts = false;
	u64 match = 0;

	/* Who bypasses a partition's filter has to be counted one by one. */
	list_for_each_entry(att, &dev->chain, node) {
		match |= att->is_part ? U64_MAX : att->match;
		has_parts |= att->is_part;
	}
	if (list_is_singular(&dev->chain) && !has_parts && !dev->zone_sectors)
		sole = list_first_entry(&dev->chain, struct bf_attachment, node);
	/* Who finds it there finds it initialised. */
	smp_store_release(&dev->sole, sole);
	WRITE_ONCE(dev->has_parts, has_parts);
	WRITE_ONCE(dev->match, match);
}

/* From here on the device's counter counts for @att; to leave, what it counted becomes its own. */
static void count_with_device(struct bf_attachment *att, bool on)
{
	if (att->is_part)
		return;
	if (on)
		att->bypass_base = bf_device_bypassed(att->dev);
	else
		bf_count_many(att, bypassed, bf_device_bypassed(att->dev) - att->bypass_base);
	att->counts_device = on;
}

/* In front of a predecessor of the same rank, which hands over to it. */
void bf_chain_insert(struct bf_attachment *att)
{
	struct list_head *place = &att->dev->chain;
	struct bf_attachment *other;

	lockdep_assert_held(&bf_mutex);
	list_for_each_entry(other, &att->dev->chain, node) {
		if (other->rank <= att->rank) {
			place = &other->node;
			break;
		}
	}
	list_add_tail_rcu(&att->node, place);
	att->in_chain = true;
	att->dev->holders++;
	count_with_device(att, true);
	sum_up(att->dev);
}

/* Readers may still see it for a grace period. It keeps the device published until bf_chain_forget(). */
void bf_chain_remove(struct bf_attachment *att)
{
	lockdep_assert_held(&bf_mutex);
	list_del_rcu(&att->node);
	att->in_chain = false;
	count_with_device(att, false);
	sum_up(att->dev);
}

static void drop_holder(struct bf_device *dev)
{
	if (!--dev->holders)
		unpublish(dev);
}

/* Nothing is left of what was in the chain: who removes the disk need not wait for it. */
void bf_chain_forget(struct bf_attachment *att)
{
	lockdep_assert_held(&bf_mutex);
	drop_holder(att->dev);
}

/* With a reference, or NULL: the disk is not filtered. It stays published until bf_device_release(). */
struct bf_device *bf_device_hold(struct gendisk *disk)
{
	unsigned int noio = bf_lock();
	struct bf_device *dev = bf_device_find(disk);

	if (dev) {
		kref_get(&dev->ref);
		dev->holders++;
	}
	bf_unlock(noio);
	return dev;
}

void bf_device_release(struct bf_device *dev)
{
	unsigned int noio = bf_lock();

	drop_holder(dev);
	bf_unlock(noio);
	bf_device_put(dev);
}

/* Under bf_lock: who sits at @rank of @bdev? */
struct bf_attachment *bf_chain_at(struct bf_device *dev, struct block_device *bdev, u64 rank)
{
	struct bf_attachment *att;

	lockdep_assert_held(&bf_mutex);
	list_for_each_entry(att, &dev->chain, node)
		if (att->rank == rank && att->bdev == bdev)
			return att;
	return NULL;
}

/* Under RCU: who stands directly below @att, unless that has left the chain. */
struct bf_attachment *bf_chain_below(const struct bf_attachment *att)
{
	struct list_head *next;

	if (!READ_ONCE(att->in_chain))
		return NULL;
	next = READ_ONCE(att->node.next);
	return next == &att->dev->chain ? NULL : list_entry(next, struct bf_attachment, node);
}

/* Who served no filter when he submitted it did not exit then either: he serves now. */
static bool is_shared(const struct bio *bio, const struct bf_origin *origin)
{
	if (!origin)
		return bf_bio_is_shared(bio);
	return origin->shared == BF_UNASKED ? bf_bio_has_shared_data(bio) : origin->shared == BF_SHARED;
}

/*
 * The filter's process submits @bio: is it its own? Not what others have left in a page cache; but a thread that serves the filter
 * would wait for itself then, and when the process exits nobody is left to answer. @origin: NULL in the hook; else who is at it
 * now need not be who submitted it, and may exit.
 */
static noinline bool is_own(const struct bf_attachment *att, const struct bio *bio, const struct bf_origin *origin)
{
	if (!is_shared(bio, origin))
		return true;
	return bf_server_is_alone(att->filter, origin ? origin->pid : current->pid);
}

/* The filter's own I/O is not for itself; a filter that gave its policy's way is not there. */
static __always_inline bool skips(const struct bf_attachment *att, struct bio *bio, u64 op, const struct bf_origin *origin)
{
	pid_t tgid = origin ? origin->tgid : current->tgid;
	u32 state = READ_ONCE(att->state);

	if (!(att->match & op))
		return true;
	if (unlikely(tgid && tgid == READ_ONCE(att->filter->server)) && is_own(att, bio, origin))
		return true;
	if (unlikely(READ_ONCE(att->narrow)) && bf_interest_excludes(att, bio, tgid))
		return true;
	if (likely(state == BFUSE_STATE_LIVE))
		return false;
	if (state == BFUSE_STATE_STALLED && time_after(jiffies, READ_ONCE(att->probe)))
		return false;
	return state == BFUSE_STATE_LEAVING || att->interest.policy == BFUSE_POLICY_PASS;
}

/* Under RCU. The next attachment below @below that wants @bio; counts those that it passes by if @count. */
static __always_inline struct bf_attachment *find_next(struct bf_device *dev, struct bio *bio, u64 below,
						       const struct bf_origin *origin, bool count)
{
	struct bf_attachment *att;
	u64 op = bf_op_bit(bio);

	list_for_each_entry_rcu(att, &dev->chain, node, rcu_read_lock_any_held()) {
		if (att->rank >= below || (att->is_part && att->bdev != bio->bi_bdev))
			continue;
		if (!skips(att, bio, op, origin))
			return att;
		if (count)
			bf_count(att, bypassed);
	}
	return NULL;
}

struct bf_attachment *bf_chain_next(struct bf_device *dev, struct bio *bio, u64 below, const struct bf_origin *origin)
{
	return find_next(dev, bio, below, origin, true);
}

/*
 * For the hook, for each bio to a filtered disk: does anybody want it? Who doesn't counts it as bypassed; who does will
 * be found again by bf_present(), which then counts those above.
 */
bool bf_chain_wants(struct bf_device *dev, struct bio *bio)
{
	if (find_next(dev, bio, BF_RANK_TOP, NULL, false))
		return true;
	if (likely(!READ_ONCE(dev->has_parts)))
		this_cpu_inc(*dev->bypassed);
	else
		find_next(dev, bio, BF_RANK_TOP, NULL, true);
	return false;
}
