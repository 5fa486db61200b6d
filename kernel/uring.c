// SPDX-License-Identifier: GPL-2.0
/*
 * BFUSE_ENTER as a command of io_uring. The verdicts are applied when it is issued, by whoever issues it: he waits
 * where a thread in BFUSE_ENTER would. Then it completes at once, or stays until its queue has enough requests.
 *
 * A command that stays is an entry in its queue's list of waiting threads. So who has requests for them wakes it in the
 * same way, at no further cost, and so do BFUSE_ENTER_WAKE and the death of the filter. The wake function may run in
 * any context: it takes the command out, and io_uring completes it in the task that submitted it, or in a worker if
 * that task is exiting.
 *
 * Who ends a command owns it by having taken it out of queue->uring, under queue->wait.lock: the wake function, the
 * cancelling, or the end of patience on kernels that can't cancel. Until bf_uring_done() it holds the file, by itself
 * or through the ring's table of files, and so the filter and its queues. A ring that ends has its commands cancelled,
 * or waits a second for them, and then lets go of the files. So a pending command never keeps a filter longer than the
 * process that serves it lives: its exit comes to ->flush, which ends the filter and with it the commands; or, if it
 * had closed its descriptors, the end of its ring to ->release.
 */
#include <linux/uaccess.h>

#include "blkfilter.h"
#include "compat/uring.h"

/* In a command's own memory, from its issue to its completion. */
struct pending {
	struct bf_queue	*q;
	int		err;
	bool		holds_file;
};

static struct pending *pending_of(struct io_uring_cmd *cmd)
{
	BUILD_BUG_ON(sizeof(struct pending) > sizeof(cmd->pdu));
	return (struct pending *)cmd->pdu;
}

static void done(struct io_uring_cmd *cmd, int res, unsigned int issue_flags)
{
	struct pending *p = pending_of(cmd);

	if (p->holds_file)
		bf_ref_uncount(&p->q->filter->calls);
	bf_uring_done(cmd, res, issue_flags);
}

/* What the filter may have spoiled must not read as an errno: io_uring would take one for a command that is still under way. */
static int ready(struct bf_queue *q)
{
	return min(bf_queue_ready(q), q->filter->entries);
}

BF_URING_WORK(finish)
{
	struct bf_queue *q = pending_of(cmd)->q;
	int res = pending_of(cmd)->err;

	if (!res)
		res = READ_ONCE(q->filter->dead) ? -ESHUTDOWN : ready(q);
	done(cmd, res, issue_flags);
}

/* Under q->wait.lock, with a command there. */
static struct io_uring_cmd *take(struct bf_queue *q)
{
	struct io_uring_cmd *cmd = q->uring.cmd;

	lockdep_assert_held(&q->wait.lock);
	q->uring.cmd = NULL;
	list_del_init(&q->uring.wait.entry);
	atomic_dec(&q->waiters);
	return cmd;
}

/* Any context, under q->wait.lock. */
static int wake(struct wait_queue_entry *wait, unsigned int mode, int sync, void *key)
{
	struct bf_queue *q = container_of(wait, struct bf_queue, uring.wait);

	if (!bf_queue_over(q, q->uring.min))
		return 0;
	io_uring_cmd_complete_in_task(take(q), finish);
	return 1;
}

static void lose_patience(struct work_struct *work)
{
	struct bf_queue *q = container_of(to_delayed_work(work), struct bf_queue, uring.patience);

	spin_lock_irq(&q->wait.lock);
	if (q->uring.cmd)
		io_uring_cmd_complete_in_task(take(q), finish);
	spin_unlock_irq(&q->wait.lock);
}

void bf_uring_init(struct bf_queue *q)
{
	init_waitqueue_func_entry(&q->uring.wait, wake);
	INIT_LIST_HEAD(&q->uring.wait.entry);
	INIT_DELAYED_WORK(&q->uring.patience, lose_patience);
}

void bf_uring_exit(struct bf_queue *q)
{
	cancel_delayed_work_sync(&q->uring.patience);
}

/* By io_uring, which knows that @cmd has not completed, but not that nobody is about to. */
void bf_uring_cancel(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct bf_queue *q = pending_of(cmd)->q;
	bool ours;

	spin_lock_irq(&q->wait.lock);
	ours = q->uring.cmd == cmd;
	if (ours)
		take(q);
	spin_unlock_irq(&q->wait.lock);
	if (ours)
		done(cmd, -ECANCELED, issue_flags);
}

static bool put(struct bf_queue *q, struct io_uring_cmd *cmd, u32 min)
{
	bool free;

	spin_lock_irq(&q->wait.lock);
	free = !q->uring.cmd;
	if (free) {
		q->uring.cmd = cmd;
		q->uring.min = min;
		__add_wait_queue(&q->wait, &q->uring.wait);
		atomic_inc(&q->waiters);
	}
	spin_unlock_irq(&q->wait.lock);
	return free;
}

/*
 * From put() on @cmd may complete. It can be cancelled before, as it could not be made so afterwards; and what can be
 * cancelled completes by bf_uring_done() alone.
 */
static int stay(struct bf_queue *q, struct io_uring_cmd *cmd, u32 min, unsigned int issue_flags)
{
	struct pending *p = pending_of(cmd);

	if (READ_ONCE(q->uring.cmd))
		return -EBUSY;
	*p = (struct pending){ .q = q, .holds_file = bf_uring_holds_file(cmd) };
	if (p->holds_file)
		bf_ref_count(&q->filter->calls);
	io_uring_cmd_mark_cancelable(cmd, issue_flags);
	if (!put(q, cmd, min)) {
		p->err = -EBUSY;
		io_uring_cmd_complete_in_task(cmd, finish);
		return -EIOCBQUEUED;
	}
	/* Pairs with wq_has_sleeper() in bf_queue_wake(), and as in wait(): they see the waiter, or we see what they did. */
	smp_mb();
	bf_unstall(q->filter);
	bf_queue_catch_up(q);
	if (bf_queue_ready(q) >= min || READ_ONCE(q->filter->dead) || READ_ONCE(q->wake))
		bf_queue_rouse(q);
	if (BF_URING_PATIENCE)
		queue_delayed_work(bf_wq, &q->uring.patience, BF_URING_PATIENCE);
	return -EIOCBQUEUED;
}

/* The SQE is the filter's memory, too. */
static int read_sqe(struct io_uring_cmd *cmd, struct bfuse_uring_enter *in, unsigned int issue_flags)
{
	const struct bfuse_uring_enter *sqe = bf_uring_data(cmd);

	in->queue = READ_ONCE(sqe->queue);
	in->flags = READ_ONCE(sqe->flags);
	in->min_requests = READ_ONCE(sqe->min_requests);
	in->refusal = READ_ONCE(sqe->refusal);
	if ((issue_flags & IO_URING_F_SQE128) && memchr_inv(sqe + 1, 0, 80 - sizeof(*sqe)))
		return -EINVAL;
	return 0;
}

static int tell_refusal(const struct bfuse_uring_enter *in, const struct bfuse_enter *arg)
{
	struct bfuse_refusal refusal = { .reason = arg->reason, .entry = arg->entry };

	if (in->refusal && copy_to_user(u64_to_user_ptr(in->refusal), &refusal, sizeof(refusal)))
		return -EFAULT;
	return -EINVAL;
}

/* Up to 6.1 a positive number is not to be returned from here: io_uring would lose the command if a worker issued it. */
static int complete_now(struct io_uring_cmd *cmd, int res, unsigned int issue_flags)
{
	if (res <= 0)
		return res;
	bf_uring_done(cmd, res, issue_flags);
	return -EIOCBQUEUED;
}

/* May sleep. */
int bf_uring_enter(struct bf_filter *f, struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct bfuse_uring_enter in;
	struct bfuse_enter arg = {};
	int err = read_sqe(cmd, &in, issue_flags);

	if (err || in.min_requests > f->depth)
		return -EINVAL;
	arg.queue = in.queue;
	arg.flags = in.flags;
	err = bf_enter(f, &arg, bf_uring_holds_file(cmd));
	if (arg.reason)
		return tell_refusal(&in, &arg);
	if (err)
		return err;
	if (bf_queue_over(&f->queues[in.queue], in.min_requests))
		return complete_now(cmd, ready(&f->queues[in.queue]), issue_flags);
	return stay(&f->queues[in.queue], cmd, in.min_requests, issue_flags);
}
