// SPDX-License-Identifier: GPL-2.0
/*
 * A call to a filter: an event that somebody waits for the answer to.
 *
 *	OPEN ----BFUSE_ANSWER----> TAKEN ----> OVER	the answer is being carried out in the filter's thread (it may attach)
 *	  |				        ^
 *	  +-- limit, death of the filter, ------+	unanswered
 *	      device gone, waiter killed
 *
 * All moves are under bf_lock. The call lies on the stack of whoever waits. He leaves only when it is OVER: by himself from
 * OPEN, or after complete_all(), which is the last that the answerer does with it; and its event is in no list any more. So a
 * cookie either finds a call that somebody waits for, or none. It is looked up among the filter's own calls only.
 *
 * The waiter may hold what he likes (the block class' lock, a driver's, open_mutex): nothing here and nothing that an answer
 * does wants more than bf_lock and memory. What a filter does meanwhile may want those locks; then it waits for the limit,
 * and nobody for ever.
 */
#include <linux/sched/signal.h>

#include "blkfilter.h"

static u64 last_cookie;

/* False: nobody would answer. */
static bool open_call(struct bf_upcall *call)
{
	struct bf_filter *f = call->filter;
	unsigned int noio = bf_lock();

	call->result = f->dead ? -ESHUTDOWN : call->gone && *call->gone ? -ENODEV : 0;
	if (!call->result) {
		call->event.tag = ++last_cookie;
		call->state = BF_CALL_OPEN;
		list_add_tail(&call->node, &f->upcalls);
	}
	bf_unlock(noio);
	return !call->result;
}

/* Under bf_lock: unanswered. */
static void give_up(struct bf_upcall *call, int err)
{
	lockdep_assert_held(&bf_mutex);
	call->state = BF_CALL_OVER;
	call->result = err;
	complete_all(&call->done);
}

/* Ends an OPEN call for @err; one whose answer is being carried out ends with that. */
static void close_call(struct bf_upcall *call, int err)
{
	unsigned int noio = bf_lock();

	if (call->state == BF_CALL_OPEN)
		give_up(call, err);
	bf_unlock(noio);
	wait_for_completion(&call->done);
	/* Whoever completed it has done so under this lock. */
	noio = bf_lock();
	list_del(&call->node);
	bf_unlock(noio);
	bf_queue_retract_event(call->filter, &call->event);
}

/*
 * Asks call->filter, and waits. The caller has set @filter, @bdev, @att, @gone and event.op, and keeps them. May sleep, up to
 * the filter's limit. Returns BFUSE_ANSWER_*, or why there is no answer: -ETIMEDOUT, -ESHUTDOWN (the filter is dead), -ENODEV
 * (*@gone), -EINTR (the caller is being killed). An acceptance that failed is BFUSE_ANSWER_DECLINE with call->error.
 */
int bf_upcall(struct bf_upcall *call)
{
	struct bf_filter *f = call->filter;
	unsigned long limit = msecs_to_jiffies(f->call_ms);
	long left;

	init_completion(&call->done);
	call->error = 0;
	call->end = jiffies + limit;
	call->event.embedded = true;
	call->event.attachment = call->att ? call->att->id : 0;
	if (!open_call(call))
		return call->result;
	bf_queue_post_event(f, &call->event);
	left = wait_for_completion_killable_timeout(&call->done, limit);
	close_call(call, left ? -EINTR : -ETIMEDOUT);
	return call->result;
}

/* A filter's own thread may be what the caller runs in, and would wait for itself. */
bool bf_upcall_is_possible(const struct bf_filter *f)
{
	return (f->features & BFUSE_F_EVENTS) && !READ_ONCE(f->dead) && READ_ONCE(f->server) != current->tgid;
}

/* Who did not answer is told of in the log and in the kernel's. @result: of bf_upcall(). */
void bf_upcall_account(struct bf_upcall *call, int result)
{
	struct bf_filter *f = call->filter;
	unsigned int noio;

	if (result >= 0)
		return;
	noio = bf_lock();
	f->unanswered++;
	bf_unlock(noio);
	bf_log_call(BFUSE_LOG_UNANSWERED, call, result, result == -ETIMEDOUT ? f->call_ms : 0);
	if (result == -ETIMEDOUT)
		pr_warn("%pg: \"%s\" at altitude %u has not answered within %u ms: this goes on without it\n", call->bdev,
			f->name, f->altitude, f->call_ms);
}

/* Under bf_lock: @f is dead. */
void bf_upcalls_end(struct bf_filter *f)
{
	struct bf_upcall *call;

	list_for_each_entry(call, &f->upcalls, node)
		if (call->state == BF_CALL_OPEN)
			give_up(call, -ESHUTDOWN);
}

/* Under bf_lock: @bdev is gone, offers of it are void. */
void bf_upcalls_void(struct block_device *bdev)
{
	struct bf_upcall *call;
	struct bf_filter *f;

	list_for_each_entry(f, &bf_filters, node)
		list_for_each_entry(call, &f->upcalls, node)
			if (call->state == BF_CALL_OPEN && call->bdev == bdev && !call->att)
				give_up(call, -ENODEV);
}

static struct bf_upcall *find(struct bf_filter *f, u64 cookie)
{
	struct bf_upcall *call;

	lockdep_assert_held(&bf_mutex);
	list_for_each_entry(call, &f->upcalls, node)
		if (call->event.tag == cookie && call->state == BF_CALL_OPEN)
			return call;
	return NULL;
}

static u32 offer_flags(const struct bf_upcall *call)
{
	struct block_device *bdev = call->bdev;
	u32 flags = call->gone ? BFUSE_OFFER_EXISTING : 0;

	if (bdev_is_partition(bdev))
		flags |= BFUSE_OFFER_PARTITION;
	if (bdev_read_only(bdev))
		flags |= BFUSE_OFFER_READ_ONLY;
	if (bdev_is_zoned(bdev))
		flags |= BFUSE_OFFER_ZONED;
	if (bdev->bd_disk->flags & GENHD_FL_REMOVABLE)
		flags |= BFUSE_OFFER_REMOVABLE;
	return flags;
}

/* bd_dev is set only after the arrival. */
static void describe(const struct bf_upcall *call, struct bfuse_offer *arg)
{
	struct block_device *bdev = call->bdev;
	dev_t devt = bdev->bd_device.devt, disk = disk_devt(bdev->bd_disk);

	*arg = (struct bfuse_offer){
		.size = arg->size,
		.flags = offer_flags(call),
		.cookie = arg->cookie,
		.major = MAJOR(devt),
		.minor = MINOR(devt),
		.disk_major = MAJOR(disk),
		.disk_minor = MINOR(disk),
		.sectors = bdev_nr_sectors(bdev),
		.block_size = bdev_logical_block_size(bdev),
		.left_ms = time_before(jiffies, call->end) ? jiffies_to_msecs(call->end - jiffies) : 0,
	};
	strscpy(arg->device, dev_name(&bdev->bd_device), sizeof(arg->device));
}

long bf_offer(struct bf_filter *f, struct bfuse_offer *arg)
{
	struct bf_upcall *call;
	unsigned int noio = bf_lock();
	long err = -ENOENT;

	call = find(f, arg->cookie);
	if (call && !call->att) {
		describe(call, arg);
		err = 0;
	}
	bf_unlock(noio);
	return err;
}

static bool fits(const struct bf_upcall *call, u32 answer)
{
	if (call->att)
		return answer == BFUSE_ANSWER_DONE;
	return answer == BFUSE_ANSWER_ACCEPT || answer == BFUSE_ANSWER_DECLINE;
}

static int take(struct bf_filter *f, const struct bfuse_answer *arg, struct bf_upcall **taken)
{
	struct bf_upcall *call;
	unsigned int noio = bf_lock();
	int err = 0;

	call = find(f, arg->cookie);
	if (!call)
		err = -ENOENT;
	else if (!fits(call, arg->answer))
		err = -EINVAL;
	else
		call->state = BF_CALL_TAKEN;
	*taken = call;
	bf_unlock(noio);
	return err;
}

static int check_answer(struct bf_filter *f, struct bfuse_answer *arg)
{
	bool accept = arg->answer == BFUSE_ANSWER_ACCEPT, defaults = arg->flags & BFUSE_ATTACH_DEFAULTS;

	if (arg->answer > BFUSE_ANSWER_DONE || arg->__reserved ||
	    (arg->flags & ~(accept ? BFUSE_ATTACH_DEFAULTS | BFUSE_ATTACH_REPLACE : 0)))
		return -EINVAL;
	if ((!accept || defaults) && memchr_inv(&arg->interest, 0, sizeof(arg->interest)))
		return -EINVAL;
	if (!accept)
		return 0;
	if (!defaults)
		return bf_interest_check(f, &arg->interest);
	arg->interest = f->defaults;
	return 0;
}

long bf_answer(struct bf_filter *f, struct bfuse_answer *arg)
{
	struct bf_upcall *call;
	unsigned int noio;
	long err = check_answer(f, arg);

	if (!err)
		err = take(f, arg, &call);
	if (err)
		return err;
	if (arg->answer == BFUSE_ANSWER_ACCEPT)
		err = bf_attach_offered(call, arg);
	noio = bf_lock();
	call->error = err;
	call->result = err ? BFUSE_ANSWER_DECLINE : arg->answer;
	call->state = BF_CALL_OVER;
	complete_all(&call->done);
	bf_unlock(noio);
	return err;
}
