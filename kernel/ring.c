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
	q->request_ring[q->request_tail & (q->filter->entries - 1)] = *desc;
	WRITE_ONCE(q->request_tail, q->request_tail + 1);
	/* Pairs with the filter's acquire: what the index covers is there. */
	smp_store_release(&q->head->request_tail, q->request_tail);
}

/* After entries were published and the lock dropped. */
void bf_queue_wake(struct bf_queue *q)
{
	if (wq_has_sleeper(&q->wait))
		wake_up(&q->wait);
	if (wq_has_sleeper(&q->filter->poll_wait))
		wake_up_poll(&q->filter->poll_wait, EPOLLIN);
}

/*
 * Submitters that plug send in bursts: the filter is woken when the burst ends, or its submitter sleeps. The plug keeps
 * the filter, and the module for this function.
 */
struct wake_plug {
	struct blk_plug_cb	cb;
	bool			armed;
};

static void unplug_wake(struct blk_plug_cb *cb, bool from_schedule)
{
	struct bf_queue *q = cb->data;

	kfree(container_of(cb, struct wake_plug, cb));
	bf_queue_wake(q);
	bf_filter_put(q->filter);
	module_put(THIS_MODULE);
}

void bf_queue_wake_plugged(struct bf_queue *q)
{
	struct blk_plug_cb *cb = blk_check_plugged(unplug_wake, q, sizeof(struct wake_plug));
	struct wake_plug *plug = container_of(cb, struct wake_plug, cb);

	if (!cb) {
		bf_queue_wake(q);
	} else if (!plug->armed) {
		plug->armed = true;
		kref_get(&q->filter->ref);
		__module_get(THIS_MODULE);
	}
}
