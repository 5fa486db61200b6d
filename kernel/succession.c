// SPDX-License-Identifier: GPL-2.0
/*
 * A filter takes the place of another one of its name, dead or (live upgrade) alive.
 *
 * Adoption leaves no gap: in one step the heir stands in the chain and the predecessor points to it. Who has found the
 * predecessor in the chain before that either gives it a request, which it answers, or waits in its lane (admission());
 * after a grace period nobody finds it any more, and the heir takes over what waits there. What the predecessor has when it
 * dies goes to the heir as well (settle.c).
 *
 * Context: the heir's attach; may sleep.
 */
#include "blkfilter.h"

/* @replace: also of the living. */
bool bf_may_succeed(const struct bf_attachment *heir, const struct bf_attachment *other, bool replace)
{
	if (other->adopting || other->state == BFUSE_STATE_LEAVING || strcmp(heir->filter->name, other->filter->name))
		return false;
	return other->state == BFUSE_STATE_ORPHAN || (replace && other->filter != heir->filter);
}

bool bf_heir_wants(const struct bf_attachment *heir, const struct bio *bio)
{
	return (heir->filter->known_ops & (1u << bf_bio_op(bio))) && (heir->match & bf_op_bit(bio));
}

/* What the heir does not care for, or does not know, goes its way as if it had come now. It is unmarked. */
void bf_heir_declines(struct bf_attachment *heir, struct bio *bio, const struct bf_origin *origin)
{
	if (heir->match & bf_op_bit(bio))
		bf_fail(bio, BLK_STS_NOTSUPP);
	else
		bf_bypass(heir, bio, origin);
}

/* Returns how much that was. */
static u32 drop_unwanted(struct bf_attachment *heir, struct bio_list *bios)
{
	struct bio_list wanted = BIO_EMPTY_LIST;
	struct bf_origin origin;
	struct bio *bio;
	u32 dropped = 0;

	while ((bio = bio_list_pop(bios))) {
		if (bf_heir_wants(heir, bio)) {
			bio_list_add(&wanted, bio);
			continue;
		}
		dropped++;
		bf_unmark_waiting(bio, &origin);
		bf_heir_declines(heir, bio, &origin);
	}
	*bios = wanted;
	return dropped;
}

/* Under the lock of @q: @n bios to the head of @lane, @again of them redelivered. */
static void prepend(struct bf_lane *lane, struct bf_queue *q, struct bio_list *bios, u32 n, u32 again)
{
	bio_list_merge_head(&lane->waiting, bios);
	if (!lane->nr_waiting)
		list_add_tail(&lane->hungry, &q->hungry);
	lane->nr_waiting += n;
	/* They are counted from the head, and rather one too many is marked than one too few. */
	lane->nr_redeliver = lane->nr_redeliver ? n + lane->nr_redeliver : again;
	lane->since = jiffies;
}

/*
 * @heir stands in the chain in @dead's place, its bios waiting, and nobody sees @dead any more: a grace period is over.
 * What waits there comes in front. Returns how much that was.
 */
static u32 adopt(struct bf_attachment *heir, struct bf_attachment *dead)
{
	u32 i, adopted = 0;

	for (i = 0; i < dead->filter->nr_queues; i++) {
		struct bf_queue *from = &dead->filter->queues[i];
		struct bf_queue *to = &heir->filter->queues[i % heir->filter->nr_queues];
		struct bf_lane *old = &dead->lanes[i], *lane = bf_lane_of(heir, to);
		struct bio_list bios;
		u32 n, again;

		/* Meanwhile they are in nobody's lane, and a drain is to know that there are some. */
		spin_lock_irq(&to->lock);
		bf_lane_get(lane, to);
		spin_unlock_irq(&to->lock);

		spin_lock_irq(&from->lock);
		bios = old->waiting;
		n = old->nr_waiting;
		again = old->nr_redeliver;
		bio_list_init(&old->waiting);
		old->nr_waiting = old->nr_redeliver = 0;
		list_del_init(&old->hungry);
		spin_unlock_irq(&from->lock);
		n -= drop_unwanted(heir, &bios);

		spin_lock_irq(&to->lock);
		if (n)
			prepend(lane, to, &bios, n, min(again, n));
		bf_lane_put(lane, to);
		spin_unlock_irq(&to->lock);
		adopted += n;
	}
	return adopted;
}

/* Takes what @dead holds. Until here its submitters went to it, or wait with the heir. */
u32 bf_succeed(struct bf_attachment *heir, struct bf_attachment *dead)
{
	unsigned int noio;
	u32 adopted;

	synchronize_rcu();
	adopted = adopt(heir, dead);
	bf_log(BFUSE_LOG_ADOPTED, heir, 0, adopted);
	noio = bf_lock();
	bf_attachment_leave(dead, -ESTALE);
	/* It may have been leaving already, and have seen what was adopted since. */
	if (!list_empty(&dead->all))
		queue_work(bf_wq, &dead->reap);
	bf_unlock(noio);
	bf_attachment_put(dead);
	bf_attachment_open(heir);
	return adopted;
}
