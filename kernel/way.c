// SPDX-License-Identifier: GPL-2.0
/*
 * Verdicts that name other places: REDIRECT, MIRROR, COPY_BEFORE. What they say is judged and kept here, in a bf_way,
 * from the verdict until the filter has been told how it ended.
 *
 *	verdict --> bound to targets --> copy.c: waits, or copies --> leg.c or shadow.c, or bf_forward() --> completed
 *							\--> failed
 */
#include "blkfilter.h"

#define CHANGES	(1u << BFUSE_OP_WRITE | 1u << BFUSE_OP_DISCARD | 1u << BFUSE_OP_SECURE_ERASE | 1u << BFUSE_OP_WRITE_ZEROES)

static void copies_free(struct kref *ref)
{
	kfree(container_of(ref, struct bf_copies, ref));
}

static struct bf_copies *copies_alloc(void)
{
	struct bf_copies *copies = kzalloc(sizeof(*copies), GFP_KERNEL);

	if (!copies)
		return NULL;
	kref_init(&copies->ref);
	spin_lock_init(&copies->lock);
	copies->ranges = RB_ROOT_CACHED;
	return copies;
}

static struct bf_way *pop_hungry(struct bf_ways *ways)
{
	struct bf_way *way;

	spin_lock_irq(&ways->lock);
	way = list_first_entry_or_null(&ways->hungry, struct bf_way, range.node);
	if (way)
		list_del(&way->range.node);
	spin_unlock_irq(&ways->lock);
	return way;
}

/* Without waiting, so that what runs here for the others goes on. */
static void feed(struct work_struct *work)
{
	struct bf_ways *ways = container_of(work, struct bf_ways, feed);
	struct bf_batch batch = {};
	struct bf_way *way;
	bool fed = true;

	while (fed && (way = pop_hungry(ways))) {
		fed = way->copying ? bf_copy_feed(way->rq, &batch) : bf_legs_send(way->rq, &batch, false);
		if (fed) {
			atomic_dec(&ways->starving);
			continue;
		}
		spin_lock_irq(&ways->lock);
		list_add(&way->range.node, &ways->hungry);
		spin_unlock_irq(&ways->lock);
	}
	bf_steps_end(&batch);
	bf_batch_kick(&batch);
}

/*
 * There is no memory for the next step of @rq, not even what is kept in reserve: so legs of the attachment have it, and
 * when one gives it back, bf_way_fed(), the step is tried again. Nobody waits: whoever did might be the one that is to
 * make them go on.
 */
void bf_way_starve(struct bf_request *rq)
{
	struct bf_ways *ways = rq->att->ways;

	/* Once the lock is free it may have been fed, and gone, by others. */
	spin_lock_irq(&ways->lock);
	list_add_tail(&rq->way->range.node, &ways->hungry);
	atomic_inc(&ways->starving);
	queue_work(ways->wq, &ways->feed);
	spin_unlock_irq(&ways->lock);
}

/* Memory has come back to the pools. Any context. */
void bf_way_fed(struct bf_ways *ways)
{
	/* Either the step that is tried finds it, or this finds that somebody has to try again. */
	smp_mb();
	if (unlikely(atomic_read(&ways->starving)))
		queue_work(ways->wq, &ways->feed);
}

/* What promises nothing of the kind needs none. May sleep. */
struct bf_ways *bf_ways_alloc(const struct bf_filter *f)
{
	struct bf_ways *ways = kvzalloc(struct_size(ways, way, (size_t)f->nr_queues * f->depth), GFP_KERNEL);

	if (!ways)
		return NULL;
	ways->copies = copies_alloc();
	ways->wq = alloc_ordered_workqueue("blkfilter/ways", WQ_MEM_RECLAIM | WQ_HIGHPRI);
	if (!ways->copies || !ways->wq || bf_legs_pool(&ways->legs) || bf_store_init(&ways->store, ways->wq)) {
		bf_ways_free(ways);
		return NULL;
	}
	bio_list_init(&ways->ended);
	INIT_WORK(&ways->steps, bf_steps_work);
	INIT_WORK(&ways->feed, feed);
	INIT_LIST_HEAD(&ways->hungry);
	spin_lock_init(&ways->lock);
	ways->failures[0].logged = ways->failures[1].logged = jiffies - 2 * HZ;
	return ways;
}

/* Before the attachment is found by anybody. Requests of both wait for the copies of both. */
void bf_ways_inherit(struct bf_ways *ways, const struct bf_ways *from)
{
	if (!ways || !from)
		return;
	kref_put(&ways->copies->ref, copies_free);
	ways->copies = from->copies;
	kref_get(&ways->copies->ref);
}

/* No leg outlives its request. May sleep. */
void bf_ways_free(struct bf_ways *ways)
{
	if (!ways)
		return;
	bf_store_exit(&ways->store);
	if (ways->wq)
		destroy_workqueue(ways->wq);
	if (ways->copies)
		kref_put(&ways->copies->ref, copies_free);
	mempool_exit(&ways->legs);
	kvfree(ways);
}

/* What a verdict does not use is zero. */
enum bfuse_reason bf_way_check_form(const struct bfuse_verdict *v)
{
	bool redirect = v->target | v->sector, mirror = v->mirror | v->mirror_sector;
	bool copy = v->copy_target | v->copy_length | v->copy_sector | v->copy_source;

	if ((redirect && v->type != BFUSE_REDIRECT) || (mirror && !(v->flags & BFUSE_VERDICT_MIRROR)) ||
	    (copy && !(v->flags & BFUSE_VERDICT_COPY_BEFORE)))
		return BFUSE_REASON_RESERVED;
	return BFUSE_REASON_NONE;
}

/* For PASS and REDIRECT: is it defined for the operation? */
enum bfuse_reason bf_way_check_op(const struct bf_request *rq, const struct bfuse_verdict *v)
{
	u32 op = 1u << rq->op;

	if ((v->flags & BFUSE_VERDICT_LENIENT) && !(v->flags & (BFUSE_VERDICT_COPY_BEFORE | BFUSE_VERDICT_MIRROR)))
		return BFUSE_REASON_FLAGS;
	if (v->type == BFUSE_REDIRECT && !(op & (CHANGES | 1u << BFUSE_OP_READ | 1u << BFUSE_OP_FLUSH)))
		return BFUSE_REASON_OP;
	if ((v->flags & BFUSE_VERDICT_MIRROR) && !(op & (CHANGES | 1u << BFUSE_OP_FLUSH)))
		return BFUSE_REASON_OP;
	if ((v->flags & BFUSE_VERDICT_COPY_BEFORE) && (!(op & CHANGES) || rq->att->dev->zone_sectors))
		return BFUSE_REASON_OP;
	return BFUSE_REASON_NONE;
}

/* Of a device that has shrunk meanwhile: as with targets, the I/O fails, rather than that the verdict does and the request waits. */
static bool own_range_is_good(const struct bf_request *rq, u64 sector, u64 bytes)
{
	struct bf_attachment *att = rq->att;
	u64 largest = max_t(u64, READ_ONCE(att->largest), bdev_nr_sectors(att->bdev));

	WRITE_ONCE(att->largest, largest);
	return bf_range_is_good(sector, bytes, largest, bdev_logical_block_size(att->bdev));
}

/* @id of 0: the attached device. */
static enum bfuse_reason find(const struct bf_request *rq, u32 id, u8 op, u64 sector, u64 bytes, struct bf_target **t)
{
	if (!id) {
		if (op == BFUSE_OP_FLUSH)
			return sector ? BFUSE_REASON_TARGET : BFUSE_REASON_NONE;
		return own_range_is_good(rq, sector, bytes) ? BFUSE_REASON_NONE : BFUSE_REASON_TARGET;
	}
	*t = bf_target_get(rq->queue->filter, id);
	if (!*t || !bf_target_takes(*t, op, sector, bytes))
		return BFUSE_REASON_TARGET;
	return bf_target_loops(*t, rq->att) ? BFUSE_REASON_LOOP : BFUSE_REASON_NONE;
}

static enum bfuse_reason find_all(struct bf_request *rq, const struct bfuse_verdict *v, struct bf_way *way)
{
	enum bfuse_reason reason = BFUSE_REASON_NONE;

	if (v->type == BFUSE_REDIRECT)
		reason = find(rq, v->target, rq->op, v->sector, rq->length, &way->target);
	if (!reason && (v->flags & BFUSE_VERDICT_MIRROR))
		reason = v->mirror ? find(rq, v->mirror, rq->op, v->mirror_sector, rq->length, &way->mirror) :
				     BFUSE_REASON_TARGET;
	if (reason || !(v->flags & BFUSE_VERDICT_COPY_BEFORE))
		return reason;
	if (!own_range_is_good(rq, v->copy_source, v->copy_length))
		return BFUSE_REASON_TARGET;
	return find(rq, v->copy_target, BFUSE_OP_WRITE, v->copy_sector, v->copy_length, &way->copy);
}

static struct bf_way *way_of(const struct bf_request *rq)
{
	struct bf_filter *f = rq->queue->filter;

	return &rq->att->ways->way[rq->queue->number * f->depth + (rq - rq->queue->requests)];
}

/* Also what just passes may have to wait for a copy, and what says that there is nothing more to copy. */
static bool needs_way(const struct bf_request *rq, const struct bfuse_verdict *v)
{
	if (v->type == BFUSE_COMPLETE || rq->state == BF_TAG_HELD)
		return false;
	return v->type == BFUSE_REDIRECT || (v->flags & (BFUSE_VERDICT_MIRROR | BFUSE_VERDICT_COPY_BEFORE)) ||
	       ((1u << rq->op & CHANGES || v->flags & BFUSE_VERDICT_CLEAR) &&
		(rq->att->interest.verdicts & 1u << BFUSE_COPY_BEFORE));
}

static void put_targets(struct bf_way *way)
{
	if (way->target)
		bf_target_put(way->target);
	if (way->mirror)
		bf_target_put(way->mirror);
	if (way->copy)
		bf_target_put(way->copy);
	way->target = way->mirror = way->copy = NULL;
}

/* Under the queue's lock; @v is good otherwise. If this refuses it, too, nothing has happened. */
enum bfuse_reason bf_way_bind(struct bf_request *rq, const struct bfuse_verdict *v)
{
	enum bfuse_reason reason;
	struct bf_way *way;

	if (likely(!rq->att->ways) || !needs_way(rq, v))
		return BFUSE_REASON_NONE;
	way = way_of(rq);
	*way = (struct bf_way){
		.rq = rq,
		.sector = v->sector,
		.mirror_sector = v->mirror_sector,
		.copy_sector = v->copy_sector,
		.copy_source = v->copy_source,
		.copy_length = v->copy_length,
		.flags = v->flags,
		.redirected = v->type == BFUSE_REDIRECT,
	};
	reason = find_all(rq, v, way);
	if (reason)
		put_targets(way);
	else
		rq->way = way;
	return reason;
}

/* Nothing is on its way to them any more. Any context. */
void bf_way_release(struct bf_request *rq)
{
	put_targets(rq->way);
}

/* The verdict is taken, @rq in BF_TAG_DOWN. */
void bf_way_begin(struct bf_request *rq, struct bf_batch *batch)
{
	if (!bf_copy_begin(rq, batch))
		bf_way_go(rq, batch);
}

/* What was to be copied is. @rq is not to be touched any more. Process context. */
void bf_way_go(struct bf_request *rq, struct bf_batch *batch)
{
	const struct bf_way *way = rq->way;

	/* Not sooner: what is presented no more does not wait for copies either. */
	if ((way->flags & BFUSE_VERDICT_CLEAR) && !way->copy_status)
		bf_chunks_clear(rq->att, rq->sector, rq->length);
	if (way->flags & BFUSE_VERDICT_MODIFY) {
		bf_shadow_forward(rq, batch);
		return;
	}
	bf_unstage(rq);
	if (way->redirected || (way->flags & BFUSE_VERDICT_MIRROR)) {
		bf_legs_forward(rq, batch);
		return;
	}
	bf_way_release(rq);
	bf_forward(rq, batch);
}

/* Once a second at most, or a target that is full would drive all else out of the log. */
static void log_failure(struct bf_attachment *att, enum bf_leg_role role, blk_status_t status)
{
	struct bf_ways *ways = att->ways;
	bool copy = role == BF_LEG_COPY;
	unsigned long flags;
	u64 count = 0;

	spin_lock_irqsave(&ways->lock, flags);
	ways->failures[copy].count++;
	if (time_after(jiffies, ways->failures[copy].logged + HZ)) {
		swap(count, ways->failures[copy].count);
		ways->failures[copy].logged = jiffies;
	}
	spin_unlock_irqrestore(&ways->lock, flags);
	if (count)
		bf_log(copy ? BFUSE_LOG_COPY_FAILED : BFUSE_LOG_MIRROR_FAILED, att, blk_status_to_errno(status), count);
}

/* The filter is told, whether it asked for that or not. Any context. */
void bf_way_failed(struct bf_request *rq, enum bf_leg_role role, blk_status_t status)
{
	if (role == BF_LEG_COPY)
		rq->way->copy_status = status;
	else
		WRITE_ONCE(rq->way->mirror_status, status);
	WRITE_ONCE(rq->notify, true);
	log_failure(rq->att, role, status);
}

/* How the request ends whose own status is @status. */
blk_status_t bf_way_status(const struct bf_request *rq, blk_status_t status)
{
	if (status || (rq->way->flags & BFUSE_VERDICT_LENIENT))
		return status;
	return rq->way->mirror_status;
}

void bf_way_describe(const struct bf_request *rq, struct bfuse_request *desc)
{
	const struct bf_way *way = rq->way;

	if (way->mirror_status) {
		desc->flags |= BFUSE_RQ_MIRROR_FAILED;
		desc->other_status = blk_status_to_errno(way->mirror_status);
	}
	if (way->copy_status) {
		desc->flags |= BFUSE_RQ_COPY_FAILED;
		desc->other_status = blk_status_to_errno(way->copy_status);
	}
}
