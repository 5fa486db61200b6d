// SPDX-License-Identifier: GPL-2.0
/*
 * BFUSE_ENTER, the system call of a serving thread: verdicts in, requests out. Only the former is serialised, so that
 * one thread can wait for requests while another hands over a verdict.
 */
#include <linux/hrtimer.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "blkfilter.h"

/*
 * When the machine goes to sleep, processes are frozen in no order, and what waits for I/O can't be frozen: the sleep would fail for
 * a writer whose filter was frozen first. So whoever serves is not frozen, and goes on until the processors stop. Each thread sets it
 * for itself, as nobody else may; exec clears it.
 */
static void stay_awake(bool yes)
{
	if (yes)
		current->flags |= PF_NOFREEZE;
	else
		current->flags &= ~PF_NOFREEZE;
}

static bool is_spoiled(struct bf_queue *q)
{
	return bf_queue_ready(q) > q->filter->entries;
}

/* Any context. Heeds a BFUSE_ENTER_WAKE, which is then used up. */
bool bf_queue_over(struct bf_queue *q, u32 min)
{
	if (bf_queue_ready(q) >= min || READ_ONCE(q->filter->dead))
		return true;
	return READ_ONCE(q->wake) && xchg(&q->wake, false);
}

/*
 * Sleeps until over(). The first thread that waits in a queue is known by name, which makes it cheap to sleep and to be woken;
 * others use the wait queue.
 */
static int sleep_alone(struct bf_queue *q, u32 min)
{
	int err = 0;

	for (;;) {
		/* Its barrier pairs with bf_queue_wake(): either it sees us sleep, or we see what it has published. */
		set_current_state(TASK_INTERRUPTIBLE);
		if (bf_queue_over(q, min))
			break;
		if (signal_pending(current)) {
			err = -EINTR;
			break;
		}
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	WRITE_ONCE(q->sleeper, NULL);
	return err;
}

static int wait(struct bf_queue *q, u32 min, u64 timeout_ns)
{
	int err;

	if (bf_queue_over(q, min))
		return 0;
	atomic_inc(&q->waiters);
	/*
	 * Pairs with stall(): either it sees the waiter, or we see what it did. And with bf_queue_offer(): either that sees
	 * the room that our reading has made, or we see what has found none.
	 */
	smp_mb__after_atomic();
	bf_unstall(q->filter);
	bf_queue_catch_up(q);
	if (timeout_ns)
		err = wait_event_interruptible_hrtimeout(q->wait, bf_queue_over(q, min),
							 ns_to_ktime(min_t(u64, timeout_ns, KTIME_MAX)));
	else if (!cmpxchg(&q->sleeper, NULL, current))
		err = sleep_alone(q, min);
	else
		err = wait_event_interruptible(q->wait, bf_queue_over(q, min));
	atomic_dec(&q->waiters);
	if (err == -ETIME)
		return 0;
	return err ? -EINTR : 0;
}

/* What the spinner refused meanwhile. Under the verdict_mutex. */
static int tell_refused(struct bf_queue *q, struct bfuse_enter *arg)
{
	if (likely(!q->refused))
		return 0;
	arg->reason = q->refused;
	arg->entry = q->refused_entry;
	WRITE_ONCE(q->refused, BFUSE_REASON_NONE);
	return -EINVAL;
}

static int enter_queue(struct bf_queue *q, struct bfuse_enter *arg)
{
	int err = 0;

	if (READ_ONCE(q->head->verdict_tail) != READ_ONCE(q->verdict_head) || unlikely(READ_ONCE(q->refused))) {
		if (mutex_lock_killable(&q->verdict_mutex))
			return -EINTR;
		err = tell_refused(q, arg) ?: bf_verdicts_apply(q, arg);
		mutex_unlock(&q->verdict_mutex);
		if (!err && !arg->min_requests)
			bf_spin_kick(q);
	}
	if (!err && is_spoiled(q)) {
		arg->reason = BFUSE_REASON_RING;
		err = -EINVAL;
	}
	bf_queue_catch_up(q);
	if (!err && arg->min_requests)
		err = wait(q, arg->min_requests, arg->timeout_ns);
	arg->ready = bf_queue_ready(q);
	return err;
}

/* What io_uring's workers do, and its polling thread, is done for a thread that we don't know. */
static pid_t caller(void)
{
	return current->flags & PF_IO_WORKER ? BF_ANY_THREAD : current->pid;
}

/* @holds: the caller has a reference to the file beside its descriptors, until this returns. */
long bf_enter(struct bf_filter *f, struct bfuse_enter *arg, bool holds)
{
	struct bf_queue *q;
	long err;

	arg->verdicts = 0;
	arg->reason = 0;
	arg->entry = 0;
	arg->ready = 0;
	if (arg->queue >= f->nr_queues || (arg->flags & ~BFUSE_ENTER_WAKE) || arg->min_requests > f->depth)
		return -EINVAL;
	q = &f->queues[arg->queue];
	if (READ_ONCE(f->dead)) {
		stay_awake(false);
		return -ESHUTDOWN;
	}
	stay_awake(true);
	/* Before it is counted: see bf_filter_closing(). */
	bf_server_note(f);
	if (holds)
		bf_ref_count(&q->calls);
	bf_unstall(f);
	if (arg->flags & BFUSE_ENTER_WAKE) {
		WRITE_ONCE(q->wake, true);
		bf_queue_rouse(q);
	} else if (READ_ONCE(q->thread) != caller()) {
		WRITE_ONCE(q->thread, caller());
	}
	err = enter_queue(q, arg);
	if (holds)
		bf_ref_uncount(&q->calls);
	/* Else it would go on until its last thread is gone, and that may wait for this very filter. */
	if (unlikely(err == -EINTR) && bf_server_is_dying(f))
		bf_filter_die(f);
	return err;
}
