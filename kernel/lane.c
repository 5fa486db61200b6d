// SPDX-License-Identifier: GPL-2.0
/* A lane: the requests of one attachment in one queue, with a tag or waiting for one. All under the queue's lock. */
#include "blkfilter.h"

/*
 * Under the lock: with @lost tags that only their filter can give back, has the lane none to hope for? Among lanes that leave tags to
 * each other each must have its own.
 */
bool bf_lane_is_hopeless(const struct bf_lane *lane, const struct bf_queue *q, u32 lost)
{
	const struct bf_filter *f = q->filter;
	u32 wanted = lane->stacked ? READ_ONCE(f->nr_stacked) + !!q->nr_hardware : 1;

	return unlikely(lost) && lost + wanted > f->depth && q->nr_free <= bf_lane_reserve(lane, q);
}

/* Under the lock: a lane comes and goes with its attachment. */
void bf_lane_add(struct bf_lane *lane, struct bf_queue *q)
{
	if (lane->stacked)
		q->nr_idle_stacked++;
	else
		q->nr_hardware++;
}

void bf_lane_del(struct bf_lane *lane, struct bf_queue *q)
{
	if (lane->stacked)
		q->nr_idle_stacked--;
	else
		q->nr_hardware--;
}

/* For bf_lane_put(): the last one of an attachment that is leaving lets it go. */
void bf_lane_put_last(struct bf_lane *lane, struct bf_queue *q)
{
	if (lane->stacked)
		q->nr_idle_stacked++;
	if (!lane->nr_joined && lane->att->state == BFUSE_STATE_LEAVING)
		queue_work(bf_wq, &lane->att->reap);
}

/* Under the lock: a tag of another lane keeps this one's attachment as well. */
void bf_lane_join(struct bf_lane *lane)
{
	lane->nr_joined++;
}

void bf_lane_part(struct bf_lane *lane)
{
	if (!--lane->nr_joined && !lane->nr_tags && lane->att->state == BFUSE_STATE_LEAVING)
		queue_work(bf_wq, &lane->att->reap);
}

/* Under the lock. @again: a filter has had it, so it goes to the head and is marked when it is delivered. */
void bf_lane_wait(struct bf_lane *lane, struct bf_queue *q, struct bio *bio, const struct bf_origin *origin,
		  bool again)
{
	if (!bf_bio_is_marked(bio))
		bf_mark_waiting(bio, origin);
	if (!lane->nr_waiting++) {
		lane->since = jiffies;
		list_add_tail(&lane->hungry, &q->hungry);
	}
	if (again) {
		bio_list_add_head(&lane->waiting, bio);
		lane->nr_redeliver++;
	} else {
		bio_list_add(&lane->waiting, bio);
	}
}

static bool may_serve(const struct bf_attachment *att)
{
	if (att->state == BFUSE_STATE_STALLED)
		return att->interest.policy == BFUSE_POLICY_HOLD && time_after(jiffies, READ_ONCE(att->probe));
	return att->state == BFUSE_STATE_LIVE;
}

/*
 * Under the lock. One whose attachment can't be served now, or must leave the last tags to others, or to one that is just
 * being copied the first place, keeps its bios.
 */
bool bf_lane_may_go(const struct bf_lane *lane, const struct bf_queue *q)
{
	return !lane->att->adopting && !lane->copying && may_serve(lane->att) && q->nr_free > bf_lane_reserve(lane, q);
}

/* Under the lock: the one whose turn it is. */
struct bf_lane *bf_lane_next(struct bf_queue *q)
{
	struct bf_lane *lane;

	list_for_each_entry(lane, &q->hungry, hungry)
		if (bf_lane_may_go(lane, q))
			return lane;
	return NULL;
}
