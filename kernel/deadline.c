// SPDX-License-Identifier: GPL-2.0
/*
 * Requests whose time is over.
 *
 *	deadline	the request follows the policy (hold: hold_ms later, the fallback). Its tag is STALE until the
 *			filter answers. If nobody is waiting in the queue either, the attachment is STALLED: what comes
 *			follows the policy at once, until the filter calls BFUSE_ENTER again; one request a deadline
 *			is tried, to wake it.
 *
 * Context: workers, and who takes a device away; may sleep.
 */
#include "blkfilter.h"

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

/*
 * @rq is STALE. Nobody else looks at @mapped, but for the late verdict, which must not free the tag before its window is empty; nor
 * before the lock is ours, or the tag could be another's by then.
 */
static void zap_late(struct bf_request *rq)
{
	struct bf_queue *q = rq->queue;

	bf_window_zap(rq);
	spin_lock_irq(&q->lock);
	rq->mapped = false;
	if (rq->answered)
		bf_tag_free(rq);
	spin_unlock_irq(&q->lock);
}

/* True: the request in @rq was late, or its time is over @now, and has been settled. */
static bool expire_tag(struct bf_attachment *att, struct bf_request *rq, bool now)
{
	struct bf_queue *q = rq->queue;
	struct bf_lane *lane = bf_lane_of(att, q);
	struct bf_origin origin;
	struct bio *bio = NULL;
	blk_status_t status;
	void *staged;
	bool held, shadowed, mapped;

	spin_lock_irq(&q->lock);
	if (is_late(att, rq, now)) {
		origin = rq->mark.origin;
		held = rq->completed;
		shadowed = rq->shadowed;
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
		bf_settle_held(att, bio, status, shadowed);
	else
		bf_settle_new(att, bio, &origin);
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
	       bf_lane_is_hopeless(lane, q, q->nr_stale + q->nr_read);
}

static bool waits_too_long(struct bf_attachment *att, struct bf_queue *q)
{
	struct bf_lane *lane = bf_lane_of(att, q);
	bool stuck;

	spin_lock_irq(&q->lock);
	stuck = lane->nr_waiting && is_stuck(att, q, lane) &&
		(att->interest.policy != BFUSE_POLICY_HOLD || time_after(jiffies, lane->since + bf_limit(att)));
	if (att->state == BFUSE_STATE_LIVE && stuck)
		stuck = time_after(jiffies, lane->since + bf_limit(att));
	spin_unlock_irq(&q->lock);
	return stuck;
}

/* Most of many attachments have none at a time. What comes just now is not late. */
static bool has_tags(const struct bf_lane *lane)
{
	return READ_ONCE(lane->nr_tags) || READ_ONCE(lane->nr_joined);
}

/* How many there were. @now: whatever their time. */
static u32 expire_tags(struct bf_attachment *att, u32 queue, bool now)
{
	struct bf_filter *f = att->filter;
	u32 tag, late = 0;

	for (tag = 0; tag < f->depth && has_tags(&att->lanes[queue]); tag++)
		late += expire_tag(att, &f->queues[queue].requests[tag], now);
	return late;
}

/* One entry of the log, however many queues: it keeps only 256. */
static void expire(struct bf_attachment *att)
{
	struct bf_filter *f = att->filter;
	u32 i, late = 0;

	for (i = 0; i < f->nr_queues; i++)
		late += expire_tags(att, i, false);
	if (!late)
		return;
	bf_log(BFUSE_LOG_TIMEOUT, att, 0, late);
	if (!is_waiting(f))
		stall(att);
}

static bool is_owed(struct bf_attachment *att, struct bf_queue *q)
{
	struct bf_lane *lane = bf_lane_of(att, q);
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
bool bf_is_owed(struct bf_attachment *att)
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
void bf_deadline_now(struct bf_attachment *att)
{
	struct bf_filter *f = att->filter;
	u32 i, late = 0;

	for (i = 0; i < f->nr_queues; i++) {
		late += expire_tags(att, i, true);
		bf_settle_waiting(att, &f->queues[i]);
	}
	if (late)
		bf_log(BFUSE_LOG_TIMEOUT, att, 0, late);
}

static void watch_attachment(struct bf_attachment *att)
{
	struct bf_filter *f = att->filter;
	u32 i;

	expire(att);
	for (i = 0; i < f->nr_queues; i++) {
		struct bf_queue *q = &f->queues[i];

		if (waits_too_long(att, q))
			bf_settle_waiting(att, q);
		bf_queue_catch_up(q);
	}
}

/* Deadlines, with the coarseness of an eighth of the shortest; what nobody tells of every few seconds. A filter without attachments has nothing to watch. */
void bf_deadline_watch(struct work_struct *work)
{
	struct bf_filter *f = container_of(to_delayed_work(work), struct bf_filter, watch);
	unsigned long period = ULONG_MAX;
	struct bf_attachment *att = NULL;

	if (bf_server_is_dying(f) || bf_filter_is_lost(f))
		bf_filter_die(f);
	while ((att = bf_attachment_after(att))) {
		if (att->filter != f)
			continue;
		period = min(period, bf_limit(att) / 8);
		watch_attachment(att);
	}
	if (period != ULONG_MAX && !f->dead)
		queue_delayed_work(bf_wq, &f->watch, clamp(period, 1ul, 5ul * HZ));
}
