// SPDX-License-Identifier: GPL-2.0
/* The kernel's end of the request ring, and who is woken for it. */
#include <linux/module.h>

#include "blkfilter.h"

/* Entries that the kernel may still publish. An index that the filter spoiled reads as a full ring. */
u32 bf_ring_room(const struct bf_queue *q)
{
	u32 used = q->request_tail - READ_ONCE(q->head->request_head) + q->reserved;

	return used < q->filter->entries ? q->filter->entries - used : 0;
}

/* Published and not consumed. More than a ring: the filter spoiled its index. */
u32 bf_queue_ready(struct bf_queue *q)
{
	return READ_ONCE(q->request_tail) - READ_ONCE(q->head->request_head);
}

/* Under the lock, with room. */
void bf_ring_publish(struct bf_queue *q, const struct bfuse_request *desc)
{
	*bf_ring_next(q) = *desc;
	bf_ring_advance(q);
}

/* Under the lock: what was written to bf_ring_next() is the filter's. */
void bf_ring_advance(struct bf_queue *q)
{
	WRITE_ONCE(q->request_tail, q->request_tail + 1);
	/* Pairs with the filter's acquire: what the index covers is there. */
	smp_store_release(&q->head->request_tail, q->request_tail);
}

/* The threads that wait in BFUSE_ENTER. A task that has exited meanwhile is there until RCU says otherwise. */
static void wake_sleepers(struct bf_queue *q)
{
	struct task_struct *sleeper;

	if (READ_ONCE(q->sleeper)) {
		rcu_read_lock();
		sleeper = READ_ONCE(q->sleeper);
		if (sleeper)
			wake_up_process(sleeper);
		rcu_read_unlock();
	}
	/* The caller has the barrier. */
	if (waitqueue_active(&q->wait))
		wake_up_all(&q->wait);
}

/* They are to look again, though nothing was published. */
void bf_queue_rouse(struct bf_queue *q)
{
	/* Pairs with who begins to wait. */
	smp_mb();
	wake_sleepers(q);
}

/* After entries were published and the lock dropped. */
void bf_queue_wake(struct bf_queue *q)
{
	/* Pairs with who begins to wait: it sees what was published, or we see it. */
	smp_mb();
	wake_sleepers(q);
	/* After the barrier above, as poll_wait() has one. */
	if (waitqueue_active(&q->filter->poll_wait))
		wake_up_poll(&q->filter->poll_wait, EPOLLIN);
}

/*
 * Submitters that plug send in bursts: the filter is woken when the burst ends, or its submitter sleeps. The plug keeps
 * the filter, and the module for this function. The queue has the record of one plug at hand, which nearly always is enough.
 */
static void unplug_wake(struct blk_plug_cb *cb, bool from_schedule)
{
	struct bf_queue *q = cb->data;

	if (cb == &q->wake_plug)
		clear_bit_unlock(0, &q->wake_plug_used);
	else
		kfree(cb);
	bf_queue_wake(q);
	bf_filter_put(q->filter);
	module_put(THIS_MODULE);
}

static bool is_plugged(const struct blk_plug *plug, const struct bf_queue *q)
{
	const struct blk_plug_cb *cb;

	list_for_each_entry(cb, &plug->cb_list, list)
		if (cb->callback == unplug_wake && cb->data == q)
			return true;
	return false;
}

static struct blk_plug_cb *get_record(struct bf_queue *q)
{
	if (!test_and_set_bit_lock(0, &q->wake_plug_used))
		return &q->wake_plug;
	return kmalloc(sizeof(struct blk_plug_cb), GFP_NOWAIT | __GFP_NOWARN);
}

/* In the submitter's context. */
void bf_queue_wake_plugged(struct bf_queue *q)
{
	struct blk_plug *plug = current->plug;
	struct blk_plug_cb *cb;

	if (plug && is_plugged(plug, q))
		return;
	cb = plug ? get_record(q) : NULL;
	if (!cb) {
		bf_queue_wake(q);
		return;
	}
	cb->callback = unplug_wake;
	cb->data = q;
	kref_get(&q->filter->ref);
	__module_get(THIS_MODULE);
	list_add(&cb->list, &plug->cb_list);
}

/* It waits for room in the ring, and the caller owes bf_queue_pump(). Any context. */
void bf_queue_add_event(struct bf_queue *q, struct bf_event *ev)
{
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	list_add_tail(&ev->node, &q->events);
	spin_unlock_irqrestore(&q->lock, flags);
	/* Pairs with wait(): who has made room meanwhile sees it, or the pump sees the room. */
	smp_mb();
}

/* Takes over @ev, unless it is embedded: then until bf_queue_retract_event(). */
void bf_queue_post_event(struct bf_filter *f, struct bf_event *ev)
{
	bf_queue_add_event(&f->queues[0], ev);
	bf_queue_pump(&f->queues[0]);
}

/* What was not in the ring by now will not come. */
void bf_queue_retract_event(struct bf_filter *f, struct bf_event *ev)
{
	struct bf_queue *q = &f->queues[0];

	spin_lock_irq(&q->lock);
	list_del_init(&ev->node);
	spin_unlock_irq(&q->lock);
}
