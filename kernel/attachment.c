// SPDX-License-Identifier: GPL-2.0
/*
 * The life of an attachment.
 *
 *	bf_attach --> LIVE <--> STALLED			the filter is late, and back (deadline.c)
 *	                |----> ORPHAN			the filter died; its policy makes it stay
 *	                |        |----> adopted		a successor's attachment takes its place, on demand also
 *	                v        v			that of a living one (succession.c)
 *	              LEAVING --> gone
 *
 * LEAVING: out of the chain. Its work (reap) waits for a grace period, after which no submitter can add a request,
 * sends on what waits, and looks whether a tag is still taken; the last tag that is freed makes it look again. What is
 * gone holds nothing: a tag counts in its lane from interception to completion, so no bio can come back to a gone attachment.
 *
 * The references of an attachment (device, its struct device, filter, module, hook) are dropped with its own last one.
 */
#include <linux/module.h>

#include "blkfilter.h"

LIST_HEAD(bf_attachments);	/* by id; under bf_lock */
u32 bf_nr_attachments;
static u32 last_id;

/* Partitions before the whole disk, then by altitude. */
u64 bf_rank(const struct block_device *bdev, u32 altitude)
{
	return (u64)bdev_is_partition((struct block_device *)bdev) << 32 | altitude;
}

static void free_parts(struct bf_attachment *att)
{
	free_percpu(att->stat);
	bf_ways_free(att->ways);
	bf_shadows_free(att->shadows);
	kfree(att->attached);
	kfree(att->detached);
}

static void attachment_free(struct bf_attachment *att)
{
	if (att->dev)
		bf_device_put(att->dev);
	if (att->bdev)
		put_device(&att->bdev->bd_device);
	if (att->filter)
		bf_filter_put(att->filter);
	bf_interest_end(att);
	free_parts(att);
	kfree_rcu(att, rcu);
	bf_hook_put();
	module_put(THIS_MODULE);
}

static void last_put(struct kref *ref)
{
}

/* May sleep. The last reference drops the heir's, too: a loop, for a filter that is stuck may have had any number of heirs. */
void bf_attachment_put(struct bf_attachment *att)
{
	struct bf_attachment *heir;

	while (att && kref_put(&att->ref, last_put)) {
		heir = att->heir;
		attachment_free(att);
		att = heir;
	}
}

/* Walks over all attachments without keeping bf_lock: drops @att's reference, takes the next one's. */
struct bf_attachment *bf_attachment_after(struct bf_attachment *att)
{
	u32 id = att ? att->id : 0;
	struct bf_attachment *next = bf_attachment_above(id);

	if (att)
		bf_attachment_put(att);
	return next;
}

static bool is_behind(const struct bf_attachment *att, const struct bf_attachment *other)
{
	return other->rank < att->rank || (other->rank == att->rank && other->id > att->id);
}

/* As bf_attachment_after(), by falling rank, and for each rank as they came. */
struct bf_attachment *bf_attachment_below(struct bf_attachment *att)
{
	struct bf_attachment *other, *found = NULL;
	unsigned int noio = bf_lock();

	list_for_each_entry(other, &bf_attachments, all)
		if ((!att || is_behind(att, other)) && (!found || is_behind(other, found)))
			found = other;
	if (found)
		kref_get(&found->ref);
	bf_unlock(noio);
	if (att)
		bf_attachment_put(att);
	return found;
}

/* The first with a greater id, with a reference. */
struct bf_attachment *bf_attachment_above(u32 id)
{
	struct bf_attachment *att, *found = NULL;
	unsigned int noio = bf_lock();

	list_for_each_entry(att, &bf_attachments, all) {
		if (att->id > id) {
			kref_get(&att->ref);
			found = att;
			break;
		}
	}
	bf_unlock(noio);
	return found;
}

/* Under bf_lock: an attachment of @f that is not about to end. */
struct bf_attachment *bf_attachment_own(struct bf_filter *f, u32 id)
{
	struct bf_attachment *att;

	lockdep_assert_held(&bf_mutex);
	list_for_each_entry(att, &f->attachments, of_filter)
		if (att->id == id && att->state != BFUSE_STATE_LEAVING)
			return att;
	return NULL;
}

static bool is_idle(struct bf_attachment *att)
{
	bool idle = true;
	u32 i;

	for (i = 0; i < att->filter->nr_queues; i++) {
		struct bf_queue *q = &att->filter->queues[i];

		spin_lock_irq(&q->lock);
		idle &= !att->lanes[i].nr_tags && !att->lanes[i].nr_joined && !att->lanes[i].nr_waiting;
		spin_unlock_irq(&q->lock);
	}
	return idle;
}

/* STALE tags outlive the attachment: a late verdict must not find it. */
static void forget_tags(struct bf_attachment *att)
{
	u32 i, tag;

	for (i = 0; i < att->filter->nr_queues; i++) {
		struct bf_queue *q = &att->filter->queues[i];

		spin_lock_irq(&q->lock);
		for (tag = 0; tag < att->filter->depth; tag++)
			if (q->requests[tag].att == att)
				q->requests[tag].att = NULL;
		spin_unlock_irq(&q->lock);
	}
}

static void set_lanes(struct bf_attachment *att, bool add)
{
	struct bf_filter *f = att->filter;
	u32 i;

	lockdep_assert_held(&bf_mutex);
	if (att->stacked)
		f->nr_stacked += add ? 1 : -1;
	for (i = 0; i < f->nr_queues; i++) {
		struct bf_queue *q = &f->queues[i];

		spin_lock_irq(&q->lock);
		att->lanes[i].stacked = att->stacked;
		if (add)
			bf_lane_add(&att->lanes[i], q);
		else
			bf_lane_del(&att->lanes[i], q);
		spin_unlock_irq(&q->lock);
	}
}

/* Under bf_lock: it gets its name, and counts. */
void bf_attachment_enlist(struct bf_attachment *att)
{
	struct bf_filter *f = att->filter;

	att->id = ++last_id;
	att->attached->attachment = att->id;
	att->detached->attachment = att->id;
	list_add_tail(&att->all, &bf_attachments);
	list_add_tail(&att->of_filter, &f->attachments);
	f->nr_attachments++;
	bf_nr_attachments++;
	set_lanes(att, true);
}

static void gone(struct bf_attachment *att)
{
	struct bf_filter *f = att->filter;
	struct bf_event *ev = att->detached;
	s32 reason = att->reason;
	unsigned int noio;

	cancel_delayed_work_sync(&att->hold);
	forget_tags(att);

	noio = bf_lock();
	list_del_init(&att->all);
	list_del(&att->of_filter);
	att->filter->nr_attachments--;
	bf_nr_attachments--;
	bf_chain_forget(att);
	set_lanes(att, false);
	bf_server_review(att->filter);
	bf_unlock(noio);
	/*
	 * The tag that was the last has queued this work under the lock that is_idle() has taken since, and bf_succeed() does so
	 * only for what is in the list.
	 */
	cancel_work(&att->reap);

	bf_log(BFUSE_LOG_DETACHED, att, att->reason, 0);
	/* Whoever hears of it finds it gone: the module can be unloaded. */
	kref_get(&f->ref);
	att->detached = NULL;
	complete_all(&att->gone);
	bf_attachment_put(att);
	/* The filter was never told of one that is undone. */
	if (ev) {
		ev->status = reason;
		bf_queue_post_event(f, ev);
	}
	bf_filter_put(f);
}

static bool is_adopting(struct bf_attachment *att)
{
	unsigned int noio = bf_lock();
	bool adopting = att->adopting;

	bf_unlock(noio);
	return adopting;
}

static void reap(struct work_struct *work)
{
	struct bf_attachment *att = container_of(work, struct bf_attachment, reap);

	if (is_adopting(att))
		return;		/* bf_attachment_open() will queue this again */
	if (!att->unhooked) {
		synchronize_rcu();
		att->unhooked = true;
	}
	bf_settle_lanes(att, att->filter->dead);
	if (is_idle(att) && !test_and_set_bit(0, &att->reaped))
		gone(att);
}

/* Under bf_lock. */
void bf_attachment_leave(struct bf_attachment *att, int reason)
{
	lockdep_assert_held(&bf_mutex);
	if (att->state == BFUSE_STATE_LEAVING)
		return;
	/* Pairs with admission(): who sees this sees an heir. */
	smp_store_release(&att->state, BFUSE_STATE_LEAVING);
	att->reason = reason;
	if (att->in_chain)
		bf_chain_remove(att);
	bf_changeset_end(att);
	queue_work(bf_wq, &att->reap);
}

static struct bf_event *alloc_event(u8 op)
{
	struct bf_event *ev = kzalloc(sizeof(*ev), GFP_KERNEL);

	if (ev)
		ev->op = op;
	return ev;
}

/* What a verdict needs that is not promised is not there. */
static bool alloc_parts(struct bf_attachment *att, const struct bf_filter *f, struct block_device *bdev, u32 verdicts)
{
	att->stat = alloc_percpu(struct bf_stat);
	att->attached = alloc_event(BFUSE_EVENT_ATTACHED);
	att->detached = alloc_event(BFUSE_EVENT_DETACHED);
	if (!att->stat || !att->attached || !att->detached)
		return false;
	if (verdicts & BF_WAY_VERBS) {
		att->ways = bf_ways_alloc(f);
		if (!att->ways)
			return false;
	}
	if (verdicts & 1u << BFUSE_MODIFY)
		att->shadows = bf_shadows_alloc(bdev);
	return att->shadows || !(verdicts & 1u << BFUSE_MODIFY);
}

static void init_lanes(struct bf_attachment *att)
{
	u32 i;

	for (i = 0; i < att->filter->nr_queues; i++) {
		bio_list_init(&att->lanes[i].waiting);
		INIT_LIST_HEAD(&att->lanes[i].hungry);
		att->lanes[i].att = att;
	}
}

/* Takes its own references; the hook must be held by the caller, and becomes the attachment's. */
struct bf_attachment *bf_attachment_alloc(struct bf_filter *f, struct block_device *bdev, const struct bfuse_attach *arg)
{
	struct bf_attachment *att = kzalloc(struct_size(att, lanes, f->nr_queues), GFP_KERNEL);

	if (!att)
		return NULL;
	if (!alloc_parts(att, f, bdev, arg->interest.verdicts)) {
		free_parts(att);
		kfree(att);
		return NULL;
	}
	kref_init(&att->ref);
	INIT_WORK(&att->reap, reap);
	INIT_DELAYED_WORK(&att->hold, bf_settle_hold_expired);
	init_completion(&att->gone);
	__module_get(THIS_MODULE);
	kref_get(&f->ref);
	att->filter = f;
	get_device(&bdev->bd_device);
	att->bdev = bdev;
	att->is_part = bdev_is_partition(bdev);
	att->sectors = att->largest = bdev_nr_sectors(bdev);
	att->rank = bf_rank(bdev, arg->altitude ?: f->altitude);
	att->layer = arg->layer;
	att->interest = arg->interest;
	att->match = bf_match_of(arg->interest.ops & f->known_ops);
	if (f->unknown == BFUSE_POLICY_ERROR)
		att->match |= bf_match_of(~f->known_ops);
	bf_interest_init(att);
	init_lanes(att);
	return att;
}

/* What reaches @att need not wait any longer: for a predecessor's requests, or for the drain. May sleep. */
void bf_attachment_open(struct bf_attachment *att)
{
	unsigned int noio = bf_lock();
	bool was_adopting = att->adopting;
	u32 i;

	WRITE_ONCE(att->adopting, false);
	if (was_adopting && att->state == BFUSE_STATE_LEAVING)
		queue_work(bf_wq, &att->reap);
	bf_unlock(noio);
	if (!was_adopting)
		return;
	if (att->state == BFUSE_STATE_ORPHAN)
		bf_settle_lanes(att, true);
	for (i = 0; i < att->filter->nr_queues; i++)
		bf_queue_pump(&att->filter->queues[i]);
}
