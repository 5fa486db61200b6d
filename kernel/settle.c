// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of requests whose filter does not answer: it died, it is late, or it was detached before it saw them.
 *
 *	death		each attachment by its policy: pass - it leaves; error - it stays as an orphan and fails what
 *			comes; hold - it stays as an orphan, requests wait for a successor until hold_ms is
 *			over, then the fallback decides.
 *	deadline	see deadline.c
 *	detach		what a living filter has not seen goes on below, as if it had never been attached; what waits for
 *			the successor of a dead one follows its policy.
 *
 * Context: workers and release(2); may sleep.
 */
#include "blkfilter.h"

static u32 final_policy(const struct bf_attachment *att)
{
	return att->interest.policy == BFUSE_POLICY_HOLD ? att->interest.fallback : att->interest.policy;
}

/* As if the filter had never seen it: it follows the policy. */
void bf_settle_new(struct bf_attachment *att, struct bio *bio, const struct bf_origin *origin)
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
	struct bf_lane *lane = bf_lane_of(att, q);
	bool waits;

	spin_lock_irq(&q->lock);
	waits = !READ_ONCE(att->heir) && (holds(att) || (inherited && serves(att)));
	if (waits)
		bf_lane_wait(lane, q, bio, origin, true);
	spin_unlock_irq(&q->lock);
	return waits;
}

/* A completion that was held, and is no longer. */
void bf_settle_held(struct bf_attachment *att, struct bio *bio, blk_status_t status, bool shadowed)
{
	if (final_policy(att) == BFUSE_POLICY_PASS && !att->torn) {
		bf_count(att, passed_by_policy);
	} else {
		bf_count(att, failed_by_policy);
		status = BLK_STS_IOERR;
	}
	bf_end_held(bio, status, shadowed);
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
	u32 nr = q->number;
	bool inherited = false;

	if (rq->completed)
		restart(rq, bio);
	while (!wait_again(att, q, bio, origin, inherited)) {
		heir = READ_ONCE(att->heir);
		if (!heir && rq->completed) {
			bio->bi_iter.bi_size = 0;
			bio_uninit(bio);	/* restart() has charged somebody again */
			bf_settle_held(att, bio, rq->status, rq->shadowed);
			return;
		}
		if (!heir) {
			bf_settle_new(att, bio, origin);
			return;
		}
		att = heir;
		inherited = true;
		/* To zones they go in the order of their tags, and not of their settling: so the heir gets them all. */
		if (!READ_ONCE(heir->heir) && !heir->dev->zone_sectors && !bf_heir_wants(heir, bio)) {
			bf_heir_declines(heir, bio, origin);
			return;
		}
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
	struct bf_lane *lane = bf_lane_of(att, q);
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

/* Of these the one that came first, or last. Tags are taken in any order, and the parts of what a filter above has split have one time. */
static struct bf_request *next_unsettled(struct bf_attachment *att, struct bf_queue *q, bool last)
{
	struct bf_request *rq, *found = NULL;
	u32 tag;

	spin_lock_irq(&q->lock);
	for (tag = 0; tag < q->filter->depth; tag++) {
		rq = &q->requests[tag];
		if (is_unsettled(att, rq) && (!found || (rq->order < found->order) != last))
			found = rq;
	}
	spin_unlock_irq(&q->lock);
	return found;
}

static bool is_copying(const struct bf_lane *lane, struct bf_queue *q)
{
	bool copying;

	spin_lock_irq(&q->lock);
	copying = lane->copying;
	spin_unlock_irq(&q->lock);
	return copying;
}

/*
 * On a zoned device writes stay in order: the first goes first, or is the last to be put in front of what waits. The last of all
 * may just be being copied for the filter, which waits for nothing; after it there are none.
 */
static void settle_dead_tags(struct bf_attachment *att, struct bf_queue *q)
{
	struct bf_lane *lane = bf_lane_of(att, q);
	bool wait = holds(att) || READ_ONCE(att->heir);
	struct bf_request *rq;
	u32 tag;

	if (att->dev->zone_sectors) {
		while (is_copying(lane, q))
			schedule_timeout_uninterruptible(1);
		while ((rq = next_unsettled(att, q, wait)))
			settle_dead_tag(att, rq);
		return;
	}
	for (tag = 0; tag < q->filter->depth; tag++)
		settle_dead_tag(att, &q->requests[tag]);
}

/* What waits is an heir's, if there is one. */
static struct bio *pop_waiting(struct bf_lane *lane, struct bf_queue *q, struct bf_origin *origin)
{
	struct bio *bio;

	spin_lock_irq(&q->lock);
	bio = READ_ONCE(lane->att->heir) ? NULL : bio_list_pop(&lane->waiting);
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

void bf_settle_waiting(struct bf_attachment *att, struct bf_queue *q)
{
	struct bf_lane *lane = bf_lane_of(att, q);
	struct bf_origin origin;
	struct bio *bio;

	while ((bio = pop_waiting(lane, q, &origin))) {
		if (att->state == BFUSE_STATE_LEAVING && !q->filter->dead && !att->torn)
			bf_bypass(att, bio, &origin);
		else
			bf_settle_new(att, bio, &origin);
		spin_lock_irq(&q->lock);
		bf_lane_put(lane, q);
		spin_unlock_irq(&q->lock);
	}
}

/*
 * The state of @att has been set, so nothing is added to what is found here (but for bios that wait under hold). The
 * caller holds a reference. @dead: also what the filter has.
 */
void bf_settle_lanes(struct bf_attachment *att, bool dead)
{
	struct bf_filter *f = att->filter;
	u32 i;

	for (i = 0; i < f->nr_queues; i++) {
		struct bf_queue *q = &f->queues[i];

		if (dead)
			settle_dead_tags(att, q);
		if (!holds(att))
			bf_settle_waiting(att, q);
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
