// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of requests whose filter does not answer: it died, it is late, or it was detached before it saw them.
 *
 *	death		each attachment by its policy: pass - it leaves; error - it stays as an orphan and fails what
 *			comes; hold - it stays as an orphan, requests wait for a successor (bf_adopt) until hold_ms is
 *			over, then the fallback decides.
 *	deadline	the request follows the policy (hold: hold_ms later, the fallback). Its tag is STALE until the
 *			filter answers. If nobody is waiting in the queue either, the attachment is STALLED: what comes
 *			follows the policy at once, until the filter calls BFUSE_ENTER again; one request a deadline
 *			is tried, to wake it.
 *	detach		what the filter has not seen goes on below, as if it had never been attached.
 *
 * Context: workers and release(2); may sleep.
 */
#include "blkfilter.h"

static u32 final_policy(const struct bf_attachment *att)
{
	return att->interest.policy == BFUSE_POLICY_HOLD ? att->interest.fallback : att->interest.policy;
}

static void follow_policy(struct bf_attachment *att, struct bio *bio, const struct bf_origin *origin)
{
	if (final_policy(att) == BFUSE_POLICY_PASS && !att->torn) {
		bf_count(att, passed_by_policy);
		bf_bypass(att, bio, origin);
	} else {
		bf_count(att, failed_by_policy);
		bf_fail(bio, BLK_STS_IOERR);
	}
}

static bool holds(const struct bf_attachment *att)
{
	return att->state == BFUSE_STATE_ORPHAN && att->interest.policy == BFUSE_POLICY_HOLD;
}

static bool serves(const struct bf_attachment *att)
{
	return att->state == BFUSE_STATE_LIVE ||
	       (att->state == BFUSE_STATE_STALLED && att->interest.policy == BFUSE_POLICY_HOLD);
}

/*
 * Back to the head of its lane, for the filter that is to come; or, if @att is the one that came, for it. False: there
 * is none to wait for.
 */
static bool wait_again(struct bf_attachment *att, struct bf_queue *q, struct bio *bio, const struct bf_origin *origin,
		       bool inherited)
{
	struct bf_lane *lane = &att->lanes[q - q->filter->queues];
	bool waits;

	spin_lock_irq(&q->lock);
	waits = !READ_ONCE(att->heir) && (holds(att) || (inherited && serves(att)));
	if (waits)
		bf_lane_wait(lane, q, bio, origin, true);
	spin_unlock_irq(&q->lock);
	return waits;
}

/* A completion that was held, and is no longer. */
static void end_held(struct bf_attachment *att, struct bio *bio, blk_status_t status)
{
	if (final_policy(att) == BFUSE_POLICY_PASS && !att->torn) {
		bf_count(att, passed_by_policy);
		bf_fail(bio, status);
	} else {
		bf_count(att, failed_by_policy);
		bf_fail(bio, BLK_STS_IOERR);
	}
}

/*
 * Makes of a completed bio one that was never submitted, for a successor who is to see it. To do a read or write again that
 * nobody was told of is allowed; what else the block layer takes from a bio that ends (inline encryption, integrity) can't
 * be held. On the way down it clears flags, too: an empty flush, for a device without a cache, would come back as an empty write.
 * What accounted it for the device did so for the first time; should it end without a second, there is nothing to take back.
 */
static void restart(const struct bf_request *rq, struct bio *bio)
{
	bio_set_dev(bio, rq->bdev);
	if (rq->remapped)
		bio_set_flag(bio, BIO_REMAPPED);
	bio->bi_iter = rq->iter;
	bio->bi_opf = rq->opf;
	bio_clear_flag(bio, BIO_QOS_THROTTLED);
	bio_clear_flag(bio, BIO_QOS_MERGED);
	bio->bi_status = BLK_STS_OK;
}

/*
 * @bio, unmarked and out of its tag @rq, which is the caller's, had been taken by the filter. If a successor has come
 * meanwhile it goes there.
 */
static void settle_taken(struct bf_request *rq, struct bio *bio, const struct bf_origin *origin)
{
	struct bf_attachment *att = rq->att, *heir;
	struct bf_queue *q = rq->queue;
	u32 nr = q - q->filter->queues;
	bool inherited = false;

	if (rq->completed)
		restart(rq, bio);
	while (!wait_again(att, q, bio, origin, inherited)) {
		heir = READ_ONCE(att->heir);
		if (!heir && rq->completed) {
			bio->bi_iter.bi_size = 0;
			end_held(att, bio, rq->status);
			return;
		}
		if (!heir) {
			follow_policy(att, bio, origin);
			return;
		}
		att = heir;
		inherited = true;
		q = &heir->filter->queues[nr % heir->filter->nr_queues];
	}
	bf_queue_pump(q);
}

/* A tag that was abandoned while its owner kept it BUSY; that is the caller. */
void bf_settle_tag(struct bf_request *rq)
{
	struct bf_origin origin = rq->mark.origin;
	struct bf_queue *q = rq->queue;
	struct bio *bio;

	if (unlikely(rq->mapped))
		bf_window_zap(rq);
	bf_unstage(rq);
	spin_lock_irq(&q->lock);
	bio = bf_tag_take_bio(rq);
	spin_unlock_irq(&q->lock);
	settle_taken(rq, bio, &origin);
	spin_lock_irq(&q->lock);
	bf_tag_free(rq);
	spin_unlock_irq(&q->lock);
}

/* The filter is dead: what is in tag @rq is settled. */
static void settle_dead_tag(struct bf_attachment *att, struct bf_request *rq)
{
	struct bf_queue *q = rq->queue;
	struct bf_lane *lane = &att->lanes[q - q->filter->queues];
	bool sent = false;

	spin_lock_irq(&q->lock);
	if (rq->att == att) {
		switch (rq->state) {
		case BF_TAG_SENT:
		case BF_TAG_HELD:
			sent = true;
			lane->nr_sent--;
			rq->state = BF_TAG_BUSY;
			break;
		case BF_TAG_DONE:
		case BF_TAG_READ:
			list_del(&rq->node);
			sent = rq->hold;
			if (sent)
				rq->state = BF_TAG_BUSY;
			else
				bf_tag_free(rq);
			break;
		case BF_TAG_BUSY:
			rq->abandoned = true;
			break;
		}
	}
	spin_unlock_irq(&q->lock);
	if (sent)
		bf_settle_tag(rq);
}

/* Has the filter, or did it have, a request of @att in @rq that is not settled yet? */
static bool is_unsettled(const struct bf_attachment *att, const struct bf_request *rq)
{
	if (rq->att != att || rq->state == BF_TAG_BUSY)
		return rq->att == att && !rq->abandoned;
	return rq->state == BF_TAG_SENT || rq->state == BF_TAG_HELD || rq->state == BF_TAG_DONE || rq->state == BF_TAG_READ;
}

/* Of these the one that was submitted first, or last. Tags are taken in any order. */
static struct bf_request *next_unsettled(struct bf_attachment *att, struct bf_queue *q, bool last)
{
	struct bf_request *rq, *found = NULL;
	u32 tag;

	spin_lock_irq(&q->lock);
	for (tag = 0; tag < q->filter->depth; tag++) {
		rq = &q->requests[tag];
		if (is_unsettled(att, rq) && (!found || (rq->mark.origin.time < found->mark.origin.time) != last))
			found = rq;
	}
	spin_unlock_irq(&q->lock);
	return found;
}

/* On a zoned device writes stay in order: the first goes first, or is the last to be put in front of what waits. */
static void settle_dead_tags(struct bf_attachment *att, struct bf_queue *q)
{
	bool wait = holds(att) || READ_ONCE(att->heir);
	struct bf_request *rq;
	u32 tag;

	if (att->dev->zone_sectors) {
		while ((rq = next_unsettled(att, q, wait)))
			settle_dead_tag(att, rq);
		return;
	}
	for (tag = 0; tag < q->filter->depth; tag++)
		settle_dead_tag(att, &q->requests[tag]);
}

static struct bio *pop_waiting(struct bf_lane *lane, struct bf_queue *q, struct bf_origin *origin)
{
	struct bio *bio;

	spin_lock_irq(&q->lock);
	bio = bio_list_pop(&lane->waiting);
	if (bio) {
		if (!--lane->nr_waiting)
			list_del_init(&lane->hungry);
		bf_lane_get(lane, q);	/* keeps the attachment while the caller settles it */
		lane->nr_redeliver -= !!lane->nr_redeliver;
		bf_unmark_waiting(bio, origin);
	}
	spin_unlock_irq(&q->lock);
	return bio;
}

static void settle_waiting(struct bf_attachment *att, struct bf_queue *q)
{
	struct bf_lane *lane = &att->lanes[q - q->filter->queues];
	struct bf_origin origin;
	struct bio *bio;

	while ((bio = pop_waiting(lane, q, &origin))) {
		if (att->state == BFUSE_STATE_LEAVING && !q->filter->dead && !att->torn)
			bf_bypass(att, bio, &origin);
		else
			follow_policy(att, bio, &origin);
		spin_lock_irq(&q->lock);
		bf_lane_put(lane, q);
		spin_unlock_irq(&q->lock);
	}
}

/*
 * The state of @att has been set, so nothing is added to what is found here (but for bios that wait under hold). The
 * caller holds a reference. @dead: also what the filter has. What waits is an heir's, if there is one.
 */
void bf_settle_lanes(struct bf_attachment *att, bool dead)
{
	struct bf_filter *f = att->filter;
	u32 i;

	for (i = 0; i < f->nr_queues; i++) {
		struct bf_queue *q = &f->queues[i];

		if (dead)
			settle_dead_tags(att, q);
		if (!holds(att) && !READ_ONCE(att->heir))
			settle_waiting(att, q);
	}
}

void bf_settle_hold_expired(struct work_struct *work)
{
	struct bf_attachment *att = container_of(to_delayed_work(work), struct bf_attachment, hold);
	unsigned int noio = bf_lock();
	bool over = holds(att) && !att->heir;

	if (over) {
		bf_log(BFUSE_LOG_ABANDONED, att, 0, 0);
		pr_warn("%pg: no successor for \"%s\" at altitude %u: its requests %s\n", att->bdev, att->filter->name,
			bf_altitude(att), final_policy(att) == BFUSE_POLICY_PASS ? "pass" : "fail");
		if (final_policy(att) == BFUSE_POLICY_PASS) {
			bf_attachment_leave(att, 0);
			over = false;
		} else {
			att->interest.policy = BFUSE_POLICY_ERROR;
		}
	}
	bf_unlock(noio);
	if (over)
		bf_settle_lanes(att, false);
}

/* How long the filter may keep a request, in jiffies. */
unsigned long bf_limit(const struct bf_attachment *att)
{
	u32 ms = att->interest.deadline_ms;

	if (att->interest.policy == BFUSE_POLICY_HOLD)
		ms += att->interest.hold_ms;
	return msecs_to_jiffies(ms);
}

/* Is it the filter's fault that @rq has not ended, or is its time over @now? A completion to be held may also wait for room. */
static bool is_late(const struct bf_attachment *att, const struct bf_request *rq, bool now)
{
	bool owed = rq->state == BF_TAG_SENT || rq->state == BF_TAG_HELD || (rq->state == BF_TAG_DONE && rq->hold);

	return owed && rq->att == att && (now || time_after(jiffies, rq->sent + bf_limit(att)));
}

/*
 * Under the lock, @rq is late: its bio leaves it. The tag stays the filter's, if that knows of it. It counts in its lane until
 * the caller has settled the bio.
 */
static struct bio *take_late(struct bf_request *rq, struct bf_lane *lane)
{
	struct bio *bio = bf_tag_take_bio(rq);

	if (rq->state == BF_TAG_DONE) {
		bf_lane_get(lane, rq->queue);
		list_del(&rq->node);
		bf_tag_free(rq);
		return bio;
	}
	rq->state = BF_TAG_STALE;
	rq->queue->nr_stale++;
	lane->nr_sent--;
	bf_lane_get(lane, rq->queue);
	bf_layers_part(rq);
	return bio;
}

/* @rq is STALE. Nobody else looks at @mapped, but for the late verdict, which must not free the tag before its window is empty. */
static void zap_late(struct bf_request *rq)
{
	struct bf_queue *q = rq->queue;

	bf_window_zap(rq);
	spin_lock_irq(&q->lock);
	if (rq->answered)
		bf_tag_free(rq);
	spin_unlock_irq(&q->lock);
}

/* True: the request in @rq was late, or its time is over @now, and has been settled. */
static bool expire_tag(struct bf_attachment *att, struct bf_request *rq, bool now)
{
	struct bf_queue *q = rq->queue;
	struct bf_lane *lane = &att->lanes[q - q->filter->queues];
	struct bf_origin origin;
	struct bio *bio = NULL;
	blk_status_t status;
	void *staged;
	bool held, mapped;

	spin_lock_irq(&q->lock);
	if (is_late(att, rq, now)) {
		origin = rq->mark.origin;
		held = rq->completed;
		status = rq->status;
		staged = rq->staged;
		rq->staged = NULL;
		mapped = rq->mapped;
		bio = take_late(rq, lane);
	}
	spin_unlock_irq(&q->lock);
	if (!bio)
		return false;

	if (unlikely(mapped))
		zap_late(rq);
	kvfree(staged);
	bf_count(att, timeouts);
	if (held)
		end_held(att, bio, status);
	else
		follow_policy(att, bio, &origin);
	spin_lock_irq(&q->lock);
	bf_lane_put(lane, q);
	spin_unlock_irq(&q->lock);
	return true;
}

static bool is_waiting(struct bf_filter *f)
{
	u32 i;

	for (i = 0; i < f->nr_queues; i++)
		if (atomic_read(&f->queues[i].waiters))
			return true;
	return false;
}

static void pump_all(struct bf_filter *f)
{
	u32 i;

	for (i = 0; i < f->nr_queues; i++)
		bf_queue_pump(&f->queues[i]);
}

/* The filter is alive: attachments that were given up for a deadline are served again. */
void bf_unstall(struct bf_filter *f)
{
	struct bf_attachment *att;
	unsigned int noio;

	if (likely(!READ_ONCE(f->stalled)))
		return;
	noio = bf_lock();
	WRITE_ONCE(f->stalled, false);
	list_for_each_entry(att, &f->attachments, of_filter)
		if (cmpxchg(&att->state, BFUSE_STATE_STALLED, BFUSE_STATE_LIVE) == BFUSE_STATE_STALLED)
			bf_log(BFUSE_LOG_BACK, att, 0, 0);
	bf_unlock(noio);
	pump_all(f);
}

/* Under the lock, as what ends it: the log tells of the stall before it tells of the return or the death. */
static bool set_stalled(struct bf_attachment *att)
{
	unsigned int noio = bf_lock();
	bool stalled = cmpxchg(&att->state, BFUSE_STATE_LIVE, BFUSE_STATE_STALLED) == BFUSE_STATE_LIVE;

	if (stalled)
		bf_log(BFUSE_LOG_STALLED, att, 0, 0);
	bf_unlock(noio);
	return stalled;
}

static void stall(struct bf_attachment *att)
{
	struct bf_filter *f = att->filter;

	WRITE_ONCE(att->probe, jiffies + bf_limit(att));
	if (!set_stalled(att))
		return;
	/* Pairs with the wait in BFUSE_ENTER: either it sees this, or we see the waiter. */
	smp_store_mb(f->stalled, true);
	if (is_waiting(f)) {
		bf_unstall(f);
		return;
	}
	pr_warn("%pg: \"%s\" at altitude %u has not answered within %u ms: its policy decides until it does\n",
		att->bdev, att->filter->name, bf_altitude(att), att->interest.deadline_ms);
}

/* Nothing that the kernel could wait for will serve this lane. */
static bool is_stuck(struct bf_attachment *att, struct bf_queue *q, struct bf_lane *lane)
{
	u32 used = bf_queue_ready(q);

	return att->state == BFUSE_STATE_STALLED || used >= q->filter->entries ||
	       q->nr_stale + q->nr_read == q->filter->depth;
}

static bool waits_too_long(struct bf_attachment *att, struct bf_queue *q)
{
	struct bf_lane *lane = &att->lanes[q - q->filter->queues];
	bool stuck;

	spin_lock_irq(&q->lock);
	stuck = lane->nr_waiting && is_stuck(att, q, lane) &&
		(att->interest.policy != BFUSE_POLICY_HOLD || time_after(jiffies, lane->since + bf_limit(att)));
	if (att->state == BFUSE_STATE_LIVE && stuck)
		stuck = time_after(jiffies, lane->since + bf_limit(att));
	spin_unlock_irq(&q->lock);
	return stuck;
}

/* One entry of the log, however many queues: it keeps only 256. */
static void expire_tags(struct bf_attachment *att)
{
	struct bf_filter *f = att->filter;
	u32 i, tag, late = 0;

	for (i = 0; i < f->nr_queues; i++)
		for (tag = 0; tag < f->depth; tag++)
			late += expire_tag(att, &f->queues[i].requests[tag], false);
	if (!late)
		return;
	bf_log(BFUSE_LOG_TIMEOUT, att, 0, late);
	if (!is_waiting(f))
		stall(att);
}

static bool is_owed(struct bf_attachment *att, struct bf_queue *q)
{
	struct bf_lane *lane = &att->lanes[q - q->filter->queues];
	bool owed;
	u32 tag;

	spin_lock_irq(&q->lock);
	owed = lane->nr_waiting || lane->nr_sent;
	for (tag = 0; !owed && lane->nr_tags && tag < q->filter->depth; tag++)
		owed = q->requests[tag].att == att && q->requests[tag].state == BF_TAG_BUSY;
	spin_unlock_irq(&q->lock);
	return owed;
}

/* Is anything waiting, being copied, or with the filter? What is below does not count. */
bool bf_settle_is_owed(struct bf_attachment *att)
{
	bool owed = false;
	u32 i;

	for (i = 0; !owed && i < att->filter->nr_queues; i++)
		owed = is_owed(att, &att->filter->queues[i]);
	return owed;
}

/*
 * @att, which is leaving, has no time left: what waits, or is with the filter, is settled, by the policy or (torn) with an
 * error. What is just being copied is left.
 */
void bf_settle_now(struct bf_attachment *att)
{
	struct bf_filter *f = att->filter;
	u32 i, tag, late = 0;

	for (i = 0; i < f->nr_queues; i++) {
		for (tag = 0; tag < f->depth; tag++)
			late += expire_tag(att, &f->queues[i].requests[tag], true);
		settle_waiting(att, &f->queues[i]);
	}
	if (late)
		bf_log(BFUSE_LOG_TIMEOUT, att, 0, late);
}

static void watch_attachment(struct bf_attachment *att)
{
	struct bf_filter *f = att->filter;
	u32 i;

	expire_tags(att);
	for (i = 0; i < f->nr_queues; i++) {
		struct bf_queue *q = &f->queues[i];

		if (waits_too_long(att, q))
			settle_waiting(att, q);
		if (bf_queue_has_pending(q)) {
			bf_queue_pump(q);
			bf_inject_post(q);
		}
	}
}

/* Deadlines, with the coarseness of an eighth of the shortest. A filter without attachments has nothing to watch. */
void bf_settle_watch(struct work_struct *work)
{
	struct bf_filter *f = container_of(to_delayed_work(work), struct bf_filter, watch);
	unsigned long period = ULONG_MAX;
	struct bf_attachment *att = NULL;

	while ((att = bf_attachment_after(att))) {
		if (att->filter != f)
			continue;
		period = min(period, bf_limit(att) / 8);
		watch_attachment(att);
	}
	if (period != ULONG_MAX && !f->dead)
		queue_delayed_work(bf_wq, &f->watch, max(period, 1ul));
}

/* What the heir does not care for, or does not know, goes its way as if it had come now. Returns how much that was. */
static u32 drop_unwanted(struct bf_attachment *heir, struct bio_list *bios)
{
	struct bio_list wanted = BIO_EMPTY_LIST;
	struct bf_origin origin;
	struct bio *bio;
	u32 dropped = 0;

	while ((bio = bio_list_pop(bios))) {
		bool known = heir->filter->known_ops & (1u << bf_bio_op(bio));

		if (known && (heir->match & bf_op_bit(bio))) {
			bio_list_add(&wanted, bio);
			continue;
		}
		dropped++;
		bf_unmark_waiting(bio, &origin);
		if (heir->match & bf_op_bit(bio))
			bf_fail(bio, BLK_STS_NOTSUPP);
		else
			bf_bypass(heir, bio, &origin);
	}
	*bios = wanted;
	return dropped;
}

/*
 * @heir stands in the chain in @dead's place, its bios waiting, and nobody sees @dead any more: a grace period is over.
 * What waits there comes in front. Returns how much that was.
 */
u32 bf_adopt(struct bf_attachment *heir, struct bf_attachment *dead)
{
	u32 i, adopted = 0;

	for (i = 0; i < dead->filter->nr_queues; i++) {
		struct bf_queue *from = &dead->filter->queues[i];
		struct bf_queue *to = &heir->filter->queues[i % heir->filter->nr_queues];
		struct bf_lane *old = &dead->lanes[i], *lane = &heir->lanes[to - heir->filter->queues];
		struct bio_list bios;
		u32 n, again;

		spin_lock_irq(&from->lock);
		bios = old->waiting;
		n = old->nr_waiting;
		again = old->nr_redeliver;
		bio_list_init(&old->waiting);
		old->nr_waiting = old->nr_redeliver = 0;
		list_del_init(&old->hungry);
		spin_unlock_irq(&from->lock);
		n -= drop_unwanted(heir, &bios);
		if (!n)
			continue;

		spin_lock_irq(&to->lock);
		bio_list_merge_head(&lane->waiting, &bios);
		if (!lane->nr_waiting)
			list_add_tail(&lane->hungry, &to->hungry);
		lane->nr_waiting += n;
		/* They are counted from the head, and rather one too many is marked than one too few. */
		lane->nr_redeliver = lane->nr_redeliver ? n + lane->nr_redeliver : min(again, n);
		lane->since = jiffies;
		spin_unlock_irq(&to->lock);
		adopted += n;
	}
	return adopted;
}
