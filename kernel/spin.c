// SPDX-License-Identifier: GPL-2.0
/*
 * Verdicts without a system call, for a filter that spins: a kernel thread for each queue looks at the verdict ring.
 *
 *	 filter answers, and the head says BFUSE_QUEUE_NEED_ENTER: BFUSE_ENTER --> applies, wakes the thread
 *			|								|
 *		no need: the thread sees it	<---- clears the flag, looks <------------------+
 *							|
 *			sets the flag, looks once more, sleeps: spin_us without a verdict, or one was refused
 *
 * The thread is bounded by what the filter does: it looks for spin_us after the last verdict that it could apply. It gives way to
 * whoever wants its processor, and to synchronize_rcu_tasks(). A ring index or a verdict that it doesn't like ends its looking;
 * the next BFUSE_ENTER says why, and must come before the thread looks again.
 *
 * What it submits to, and may wait for, is the same as for the filter's own threads (server.c): it counts as one of them.
 *
 * Lifetime: it is made with the queue and stopped before the queue is freed, which is when no attachment is left. It touches
 * nothing else. A dead filter's thread sleeps.
 */
#include <linux/kthread.h>
#include <linux/sched/mm.h>

#include "blkfilter.h"

static bool has_verdicts(const struct bf_queue *q)
{
	return READ_ONCE(q->head->verdict_tail) != READ_ONCE(q->verdict_head);
}

/* False: the filter did something wrong, or is dead. */
static bool apply(struct bf_queue *q)
{
	struct bfuse_enter arg = {};
	int err;

	mutex_lock(&q->verdict_mutex);
	err = READ_ONCE(q->filter->dead) ? -ESHUTDOWN : bf_verdicts_apply(q, &arg);
	if (err == -EINVAL) {
		q->refused_entry = arg.entry;
		WRITE_ONCE(q->refused, arg.reason);
	}
	mutex_unlock(&q->verdict_mutex);
	if (!err)
		bf_unstall(q->filter);
	return !err;
}

/* Has the filter read since? */
static bool has_read(const struct bf_queue *q, u32 *head)
{
	u32 before = *head;

	*head = READ_ONCE(q->head->request_head);
	/* Pairs with wait_in_lane(): what found no room before this is seen by who looks now. */
	smp_rmb();
	return *head != before;
}

static void look(struct bf_queue *q)
{
	u64 end = ktime_get_ns() + q->spin_ns;
	u32 head = READ_ONCE(q->head->request_head);

	while (!kthread_should_stop() && !READ_ONCE(q->filter->dead)) {
		if (has_verdicts(q)) {
			if (!apply(q))
				return;
			bf_queue_catch_up(q);
			end = ktime_get_ns() + q->spin_ns;
		} else if (ktime_get_ns() > end) {
			return;
		}
		if (has_read(q, &head))
			bf_queue_catch_up(q);
		cpu_relax();
		cond_resched_tasks_rcu_qs();
	}
}

static bool is_wanted(struct bf_queue *q)
{
	return READ_ONCE(q->spin_wanted) && !READ_ONCE(q->filter->dead);
}

static int spin(void *queue)
{
	struct bf_queue *q = queue;

	/* As in a worker that serves I/O: an allocation must not wait for some. */
	memalloc_noio_save();
	while (!kthread_should_stop()) {
		wait_event_idle(q->spin_wait, is_wanted(q) || kthread_should_stop());
		WRITE_ONCE(q->spin_wanted, false);
		WRITE_ONCE(q->head->flags, 0);
		look(q);
		/* The filter looks at the flag after it has published: either it sees the flag, or we see the verdict. */
		smp_store_mb(q->head->flags, BFUSE_QUEUE_NEED_ENTER);
		if (has_verdicts(q) && !READ_ONCE(q->refused) && !READ_ONCE(q->filter->dead))
			WRITE_ONCE(q->spin_wanted, true);
	}
	return 0;
}

/* In BFUSE_ENTER: the filter has handed over verdicts and doesn't wait, so it goes on looking itself. */
void bf_spin_kick(struct bf_queue *q)
{
	if (likely(!q->spinner) || READ_ONCE(q->spin_wanted))
		return;
	WRITE_ONCE(q->spin_wanted, true);
	wake_up(&q->spin_wait);
}

/* While the queue is made. */
int bf_spin_init(struct bf_queue *q, u32 spin_us)
{
	struct task_struct *task;

	init_waitqueue_head(&q->spin_wait);
	if (!spin_us)
		return 0;
	q->spin_ns = (u64)spin_us * NSEC_PER_USEC;
	q->head->flags = BFUSE_QUEUE_NEED_ENTER;
	task = kthread_run(spin, q, "bfuse-%u/%s", q->number, q->filter->name);
	if (IS_ERR(task))
		return PTR_ERR(task);
	q->spinner = task;
	return 0;
}

/* Before the queue is freed. Sleeps. */
void bf_spin_exit(struct bf_queue *q)
{
	if (q->spinner)
		kthread_stop(q->spinner);
	q->spinner = NULL;
}
