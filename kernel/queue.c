// SPDX-License-Identifier: GPL-2.0
/*
 * Tags, from the interception of a bio to its completion.
 *
 * A tag's life:
 *
 *	FREE --> BUSY --> SENT --PASS--> DOWN --+--> FREE
 *	 |       (write    ^ | \                +--> DONE --> FREE	(NOTIFY, and the ring was full)
 *	 +-------data)-----+ |  \               +--> (BUSY) --> READ --> FREE	(NOTIFY with the data of a read)
 *	                     |   |              +--> (BUSY, DONE) --> HELD --second verdict--> BUSY --> FREE
 *	                     |   +--COMPLETE--> (BUSY) --> FREE
 *	                     +--deadline, also of HELD--> STALE --late verdict--> FREE	(of a DONE that is to be held: FREE)
 *
 * All moves are under queue->lock. BUSY belongs to whoever copies, without the lock; who would take it away meanwhile
 * sets @abandoned and leaves the rest to him. From FREE to the end, but for STALE, the tag counts in its lane, and with that
 * keeps the attachment, the device and this queue alive.
 *
 * A tag is the bio's from interception to completion. Without a free one the bio waits in its lane; lanes are served in
 * turn. The waiting bio needs no memory, and its submitter never waits.
 */
#include <linux/math64.h>

#include "blkfilter.h"

struct bf_request *bf_queue_tag(struct bf_queue *q, u64 tag)
{
	struct bf_request *rq = &q->requests[tag & (q->filter->depth - 1)];

	lockdep_assert_held(&q->lock);
	return rq->tag == tag ? rq : NULL;
}

/* Tags whose BFUSE_DONE the filter has read, with its slot. */
static void reap_read(struct bf_queue *q)
{
	u32 head = READ_ONCE(q->head->request_head);
	struct bf_request *rq, *next;

	list_for_each_entry_safe(rq, next, &q->read, node) {
		if ((s32)(head - rq->done_index) <= 0)
			break;
		list_del(&rq->node);
		bf_tag_free(rq);
	}
}

static struct bf_request *tag_get(struct bf_queue *q, const struct bf_lane *lane)
{
	u32 kept = bf_lane_reserve(lane, q);

	if (q->nr_free <= kept)
		reap_read(q);
	if (q->nr_free <= kept || !bf_ring_room(q))
		return NULL;
	return &q->requests[q->free[--q->nr_free]];
}

void bf_tag_free(struct bf_request *rq)
{
	struct bf_queue *q = rq->queue;

	lockdep_assert_held(&q->lock);
	if (rq->state == BF_TAG_READ)
		q->nr_read--;
	if (rq->state == BF_TAG_STALE)
		q->nr_stale--;
	else
		bf_layers_part(rq);
	rq->state = BF_TAG_FREE;
	rq->bio = NULL;
	q->free[q->nr_free++] = rq - q->requests;
}

/* Under the lock, from SENT or BUSY: the bio leaves its tag as it was before it came; the caller owns it. */
struct bio *bf_tag_take_bio(struct bf_request *rq)
{
	struct bio *bio = rq->bio;

	lockdep_assert_held(&rq->queue->lock);
	if (!rq->completed)
		bf_unmark_bio(bio, &rq->mark);
	rq->bio = NULL;
	return bio;
}

static void describe(const struct bf_request *rq, struct bfuse_request *desc, u8 kind)
{
	*desc = (struct bfuse_request){
		.kind = kind,
		.op = rq->op,
		.tag = rq->tag,
		.sector = rq->sector,
		.length = rq->length,
		.attachment = rq->att->id,
		.time = rq->mark.origin.time,
		.pid = rq->mark.origin.pid,
		.tgid = rq->mark.origin.tgid,
		.cpu = rq->mark.origin.cpu,
	};
}

/* Written where it is to be read, all of it: entries are filled much more often than anything else is done to them. */
static void send(struct bf_request *rq, struct bf_lane *lane, bool with_data, bool redelivered)
{
	const struct bf_origin *origin = &rq->mark.origin;
	u32 flags = bf_bio_flags(rq->bio);

	if (unlikely(origin->injector))
		flags |= BFUSE_RQ_INJECTED;
	if (with_data)
		flags |= rq->shown ? BFUSE_RQ_MAPPED : BFUSE_RQ_PAYLOAD;
	if (redelivered)
		flags |= BFUSE_RQ_REDELIVERED;
	rq->state = BF_TAG_SENT;
	rq->sent = jiffies;
	lane->nr_sent++;
	*bf_ring_next(rq->queue) = (struct bfuse_request){
		.kind = BFUSE_REQUEST,
		.op = rq->op,
		.ioprio = rq->bio->bi_ioprio,
		.flags = flags,
		.tag = rq->tag,
		.sector = rq->sector,
		.length = rq->length,
		.attachment = rq->att->id,
		.time = origin->time,
		.cgroup = bf_bio_cgroup(rq->bio),
		.pid = origin->pid,
		.tgid = origin->tgid,
		.injector = origin->injector,
		.cpu = origin->cpu,
		.layers = rq->layers,
	};
	bf_ring_advance(rq->queue);
}

void bf_count_delivery(const struct bf_request *rq, const struct bf_attachment *att)
{
	bf_count(att, delivered);
	bf_count(att, ops[rq->op]);
	if (rq->op == BFUSE_OP_READ)
		bf_count_many(att, bytes_read, rq->length);
	else if (bf_op_sends_data(rq->op))
		bf_count_many(att, bytes_written, rq->length);
	if (att != rq->first)
		bf_count(att, taken);
}

static void bind(struct bf_request *rq, struct bf_lane *lane, struct bio *bio, u8 op, const struct bf_origin *origin)
{
	rq->bio = bio;
	rq->att = lane->att;
	rq->first = lane->att;
	rq->bdev = bio->bi_bdev;
	rq->iter = bio->bi_iter;
	rq->opf = bio->bi_opf;
	rq->remapped = bio_flagged(bio, BIO_REMAPPED);
	rq->sector = bf_bio_sector(bio, lane->att);
	rq->length = bio->bi_iter.bi_size;
	rq->op = op;
	rq->notify = false;
	rq->hold = false;
	rq->completed = false;
	rq->abandoned = false;
	rq->shadowed = false;
	rq->with_data = false;
	rq->shown = false;
	rq->mapped = false;
	rq->answered = false;
	rq->stored = 0;
	rq->way = NULL;
	rq->tag += 1ull << 32;
	rq->order = rq->queue->nr_bound++;
	rq->mark.origin = *origin;
	bf_mark_bio(bio, &rq->mark, bf_request_endio);
	bf_lane_get(lane, rq->queue);
	bf_layers_join(rq, bio);
}

/* The data of a write, for the filter to see. */
static void provide(struct bf_request *rq, struct bio *bio)
{
	rq->shown = bf_window_takes(rq);
	if (!rq->shown)
		bf_copy_from_bio(bio, rq->iter, bf_slot(rq), 0, min(rq->length, rq->queue->filter->slot_size));
}

/*
 * Gives @bio the free tag @rq and sends it. Drops and retakes the lock to copy data; if the attachment was taken away
 * meanwhile, false: the caller settles the request.
 */
static bool deliver(struct bf_request *rq, struct bf_lane *lane, struct bio *bio, u8 op, const struct bf_origin *origin,
		    bool redelivered, unsigned long *flags)
{
	struct bf_queue *q = rq->queue;
	bool with_data = bf_op_sends_data(op) && (lane->att->interest.payload & (1u << op));

	bind(rq, lane, bio, op, origin);
	if (with_data) {
		rq->state = BF_TAG_BUSY;
		q->reserved++;
		WRITE_ONCE(lane->copying, lane->att->dev->zone_sectors);
		spin_unlock_irqrestore(&q->lock, *flags);
		provide(rq, bio);
		spin_lock_irqsave(&q->lock, *flags);
		WRITE_ONCE(lane->copying, false);
		q->reserved--;
		if (rq->abandoned)
			return false;
	}
	bf_count_delivery(rq, rq->att);
	if (redelivered)
		bf_count(rq->att, redelivered);
	send(rq, lane, with_data, redelivered);
	return true;
}

enum admission { SEND, WAIT, FAIL, PASS_BY };

static enum admission by_policy(const struct bf_attachment *att)
{
	if (att->interest.policy == BFUSE_POLICY_HOLD)
		return WAIT;
	return att->interest.policy == BFUSE_POLICY_ERROR ? FAIL : PASS_BY;
}

static enum admission admission(struct bf_attachment *att)
{
	/* Pairs with bf_attachment_leave(). */
	u32 state = smp_load_acquire(&att->state);

	/* It is in the chain no longer, and its heir will take what waits. */
	if (READ_ONCE(att->heir))
		return WAIT;
	switch (state) {
	case BFUSE_STATE_LIVE:
		return SEND;
	case BFUSE_STATE_LEAVING:
		return PASS_BY;
	case BFUSE_STATE_STALLED:
		/*
		 * A filter that sleeps in poll(2) is woken by nothing but a request. What is held is tried by the pump.
		 */
		if (att->interest.policy != BFUSE_POLICY_HOLD && time_after(jiffies, READ_ONCE(att->probe))) {
			WRITE_ONCE(att->probe, jiffies + bf_limit(att));
			return SEND;
		}
		fallthrough;
	default:
		return by_policy(att);
	}
}

static bool is_known(const struct bf_filter *f, u8 op)
{
	return f->known_ops & (1u << op);
}

/*
 * By the submitting CPU; but what goes to one zone by one queue, as its writes must stay in order, whichever CPUs their
 * submitter moves over.
 */
static u32 queue_for(const struct bf_attachment *att, struct bio *bio, const struct bf_origin *origin)
{
	u32 nr = att->filter->nr_queues;

	if (likely(!att->dev->zone_sectors))
		return origin->cpu % nr;
	return div_u64(bf_bio_sector(bio, att), att->dev->zone_sectors) % nr;
}

/*
 * True: it need not have waited. The filter, which has no lock, has read since tag_get() looked, and may have looked for what
 * waits before there was anything.
 */
static bool wait_in_lane(struct bf_lane *lane, struct bf_queue *q, struct bio *bio, const struct bf_origin *origin)
{
	bf_lane_wait(lane, q, bio, origin, false);
	/* Pairs with wait() in enter.c, and who else looks before it sleeps. */
	smp_mb();
	return bf_ring_room(q) && bf_lane_may_go(lane, q);
}

/*
 * Presents @bio to one attachment. Process context, under RCU, does not sleep. *@wake, if not NULL, is to be woken for it:
 * bf_queue_wake_plugged().
 *
 * When all tags that could be had are STALE, nothing that the kernel could wait for will free one: the policy decides at once.
 */
enum bf_offer bf_queue_offer(struct bf_attachment *att, struct bio *bio, const struct bf_origin *origin,
			     struct bf_queue **wake)
{
	struct bf_filter *f = att->filter;
	u32 nr = queue_for(att, bio, origin);
	struct bf_queue *q = &f->queues[nr];
	struct bf_lane *lane = &att->lanes[nr];
	struct bf_request *rq = NULL;
	u8 op = bf_bio_op(bio);
	bool sent = true, missed = false;
	enum admission way;
	unsigned long flags;

	if (!is_known(f, op)) {
		bf_count(att, taken);
		bf_count(att, refused);
		bf_fail(bio, BLK_STS_NOTSUPP);
		return BF_TAKEN;
	}

	spin_lock_irqsave(&q->lock, flags);
	way = admission(att);
	if (way == SEND && unlikely(q->nr_stale) && bf_lane_is_hopeless(lane, q, q->nr_stale))
		way = by_policy(att);
	if (way == SEND && !att->adopting && !lane->nr_waiting && !lane->copying)
		rq = tag_get(q, lane);
	if (rq) {
		sent = deliver(rq, lane, bio, op, origin, false, &flags);
		missed = unlikely(att->dev->zone_sectors) && lane->nr_waiting;
	} else if (way == SEND || way == WAIT) {
		missed = wait_in_lane(lane, q, bio, origin);
	}
	spin_unlock_irqrestore(&q->lock, flags);

	if (way == PASS_BY) {
		bf_count(att, bypassed);
		bf_count(att, passed_by_policy);
		return BF_BYPASS;
	}
	bf_count(att, taken);
	if (way == FAIL) {
		bf_count(att, failed_by_policy);
		bf_fail(bio, BLK_STS_IOERR);
	} else if (!sent) {
		bf_settle_tag(rq);
	} else if (rq) {
		*wake = q;
	}
	if (unlikely(missed))
		bf_queue_pump(q);
	return BF_TAKEN;
}

static void post_done(struct bf_request *rq)
{
	struct bf_queue *q = rq->queue;
	struct bfuse_request desc;

	describe(rq, &desc, BFUSE_DONE);
	desc.status = blk_status_to_errno(rq->status);
	desc.time = ktime_get_ns();
	desc.cpu = raw_smp_processor_id();
	desc.flags = rq->with_data ? BFUSE_RQ_PAYLOAD : rq->shown ? BFUSE_RQ_MAPPED : 0;
	if (unlikely(rq->way))
		bf_way_describe(rq, &desc);
	bf_count(rq->att, notified);
	if (rq->hold) {
		desc.flags |= BFUSE_RQ_HELD;
		rq->state = BF_TAG_HELD;
		rq->sent = jiffies;
		bf_lane_of(rq->att, q)->nr_sent++;
	} else if (rq->with_data) {
		rq->state = BF_TAG_READ;
		q->nr_read++;
		rq->done_index = q->request_tail;
		list_add_tail(&rq->node, &q->read);
	} else {
		bf_tag_free(rq);
	}
	bf_ring_publish(q, &desc);
}

/* Under the lock: bf_queue_work() copies the data of @rq, or settles it. */
static void finish_later(struct bf_request *rq)
{
	rq->state = BF_TAG_BUSY;
	list_add_tail(&rq->node, &rq->queue->copies);
	queue_work(bf_copy_wq, &rq->queue->work);
}

/* Under the lock: the bio is done, or gone; tell the filter if it asked for that, and free the tag unless it is held. */
static void finish(struct bf_request *rq)
{
	struct bf_queue *q = rq->queue;

	if (rq->hold && (q->filter->dead || rq->abandoned)) {
		finish_later(rq);
	} else if (!rq->notify || q->filter->dead) {
		bf_tag_free(rq);
	} else if (bf_ring_room(q)) {
		post_done(rq);
	} else {
		rq->state = BF_TAG_DONE;
		rq->sent = jiffies;
		list_add_tail(&rq->node, &q->done);
		/* Pairs with wait(): who has made room meanwhile sees it, or end_request() sees the room. */
		smp_mb();
	}
}

/* Has something become possible that only the filter's reading could make so? */
static bool has_pending(struct bf_queue *q)
{
	return !list_empty(&q->hungry) || !list_empty(&q->done) || !list_empty(&q->read) || !list_empty(&q->events) ||
	       !list_empty(&q->injected);
}

static void post_pending(struct bf_queue *q)
{
	struct bf_request *rq;
	struct bf_event *ev;

	while (!list_empty(&q->done) && bf_ring_room(q)) {
		rq = list_first_entry(&q->done, struct bf_request, node);
		list_del(&rq->node);
		post_done(rq);
	}
	while (!list_empty(&q->events) && bf_ring_room(q)) {
		ev = list_first_entry(&q->events, struct bf_event, node);
		list_del(&ev->node);
		bf_ring_publish(q, &(struct bfuse_request){ .kind = BFUSE_EVENT,
							    .op = ev->op,
							    .tag = ev->tag,
							    .attachment = ev->attachment,
							    .status = ev->status });
		if (ev->embedded)
			INIT_LIST_HEAD(&ev->node);
		else
			kfree(ev);
	}
}

/* Lanes take turns. */
static struct bio *lane_pop(struct bf_lane *lane, struct bf_queue *q, struct bf_origin *origin, bool *redelivered)
{
	struct bio *bio = bio_list_pop(&lane->waiting);

	bf_unmark_waiting(bio, origin);
	/* To try one is no progress for those behind it. */
	if (lane->att->state == BFUSE_STATE_STALLED)
		WRITE_ONCE(lane->att->probe, jiffies + bf_limit(lane->att));
	else
		lane->since = jiffies;
	*redelivered = lane->nr_redeliver;
	if (lane->nr_redeliver)
		lane->nr_redeliver--;
	if (--lane->nr_waiting)
		list_move_tail(&lane->hungry, &q->hungry);
	else
		list_del_init(&lane->hungry);
	return bio;
}

/* Sends what waits, as far as tags and room go. Process context; in interrupts only for filters without payload. */
void bf_queue_pump(struct bf_queue *q)
{
	struct bf_request *rq;
	struct bf_lane *lane;
	struct bf_origin origin;
	struct bio *bio;
	bool redelivered;
	unsigned long flags;
	u32 before;

	spin_lock_irqsave(&q->lock, flags);
	before = q->request_tail;
	if (!q->filter->dead) {
		reap_read(q);
		post_pending(q);
	}
	while (!q->filter->dead && (lane = bf_lane_next(q)) && (rq = tag_get(q, lane))) {
		bio = lane_pop(lane, q, &origin, &redelivered);
		if (!deliver(rq, lane, bio, bf_bio_op(bio), &origin, redelivered, &flags)) {
			spin_unlock_irqrestore(&q->lock, flags);
			bf_settle_tag(rq);
			spin_lock_irqsave(&q->lock, flags);
		}
	}
	before = q->request_tail - before;
	spin_unlock_irqrestore(&q->lock, flags);
	if (before)
		bf_queue_wake(q);
}

/* The filter may have read, or answered: what only waits for that goes on. As bf_queue_pump(). */
void bf_queue_catch_up(struct bf_queue *q)
{
	if (likely(!has_pending(q)))
		return;
	bf_queue_pump(q);
	bf_inject_post(q);
}

/* Any context. Payload is copied by a worker, not in an interrupt. */
static void pump_later(struct bf_queue *q)
{
	if (q->filter->slot_size)
		queue_work(bf_copy_wq, &q->work);
	else
		bf_queue_pump(q);
}

/*
 * @bio, which was @rq's, is done and unmarked. If it isn't held it ends once more. RCU keeps the queue when the tag no longer does.
 */
static void end_request(struct bf_request *rq, struct bio *bio)
{
	struct bf_queue *q = rq->queue;
	bool notify = rq->notify, hold = rq->hold, shadowed = rq->shadowed, hungry;
	unsigned long flags;

	rcu_read_lock();
	spin_lock_irqsave(&q->lock, flags);
	finish(rq);
	hungry = !list_empty(&q->hungry) || unlikely(!list_empty(&q->done) && bf_ring_room(q));
	spin_unlock_irqrestore(&q->lock, flags);
	if (hungry)
		pump_later(q);
	if (notify)
		bf_queue_wake(q);
	rcu_read_unlock();
	if (!hold && !shadowed)
		bf_end_again(bio);
	else if (!hold)
		bf_end_bio(bio);
}

static bool wants_data_read(const struct bf_request *rq)
{
	return rq->notify && !rq->status && rq->op == BFUSE_OP_READ &&
	       (rq->att->interest.payload & (1u << BFUSE_OP_READ)) && !rq->queue->filter->dead;
}

static void copy_read(struct bf_request *rq)
{
	bf_copy_from_bio(rq->bio, rq->iter, bf_slot(rq), 0, min(rq->length, rq->queue->filter->slot_size));
}

/*
 * The bio of a passed request has completed and is unmarked. Any context. Data that the filter is to see are copied here and now by who
 * can be preempted, for a worker would mostly have to share his processor with him. An interrupt, or who holds a lock, has no time for
 * that; nor has anybody of whom the kernel can't tell (no CONFIG_PREEMPT_COUNT). DOWN until the end, the tag is nobody else's.
 */
void bf_tag_finish(struct bf_request *rq)
{
	struct bf_queue *q = rq->queue;
	unsigned long flags;

	rq->completed = true;
	rq->shown = rq->hold && wants_data_read(rq) && bf_window_takes(rq);
	rq->with_data = !rq->shown && wants_data_read(rq);
	if (rq->with_data && !preemptible()) {
		spin_lock_irqsave(&q->lock, flags);
		finish_later(rq);
		spin_unlock_irqrestore(&q->lock, flags);
		return;
	}
	if (rq->with_data)
		copy_read(rq);
	end_request(rq, rq->bio);
}

static struct bf_request *next_copy(struct bf_queue *q)
{
	struct bf_request *rq;

	spin_lock_irq(&q->lock);
	rq = list_first_entry_or_null(&q->copies, struct bf_request, node);
	if (rq)
		list_del(&rq->node);
	spin_unlock_irq(&q->lock);
	return rq;
}

void bf_queue_work(struct work_struct *work)
{
	struct bf_queue *q = container_of(work, struct bf_queue, work);
	struct bf_request *rq;

	while ((rq = next_copy(q))) {
		if (rq->hold && (READ_ONCE(rq->abandoned) || READ_ONCE(q->filter->dead))) {
			bf_settle_tag(rq);
			continue;
		}
		if (rq->with_data)
			copy_read(rq);
		end_request(rq, rq->bio);
	}
	bf_queue_pump(q);
}
