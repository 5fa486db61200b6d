// SPDX-License-Identifier: GPL-2.0
/*
 * The log of what happens to filters: the last 256 entries, each with a number, for whoever wants to follow. An entry is a copy
 * of all that it says, so it refers to nothing that may go. Who falls behind finds numbers missing.
 */
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>

#include "blkfilter.h"

#define ENTRIES	256

static DEFINE_SPINLOCK(lock);
static DECLARE_WAIT_QUEUE_HEAD(more);
static struct bfuse_log entries[ENTRIES];
static u64 next = 1;

/* What is not the event's: whose, and of which device; bd_dev is set only after its arrival. */
static struct bfuse_log whose(const struct bf_filter *f, const struct block_device *bdev, u32 attachment)
{
	struct bfuse_log e = {
		.attachment = attachment,
		.filter = f->id,
		.altitude = f->altitude,
		.pid = READ_ONCE(f->server),
		.major = MAJOR(bdev->bd_device.devt),
		.minor = MINOR(bdev->bd_device.devt),
	};

	snprintf(e.device, sizeof(e.device), "%pg", bdev);
	memcpy(e.name, f->name, sizeof(e.name));
	return e;
}

static void append(struct bfuse_log *e, enum bfuse_log_event event, s32 status, u64 count)
{
	unsigned long flags;

	e->event = event;
	e->status = status;
	e->count = count;
	spin_lock_irqsave(&lock, flags);
	e->seq = next;
	e->time = ktime_get_real_ns();
	entries[next % ENTRIES] = *e;
	WRITE_ONCE(next, next + 1);
	spin_unlock_irqrestore(&lock, flags);
	wake_up_interruptible_all(&more);
}

/* Any context. */
void bf_log(enum bfuse_log_event event, const struct bf_attachment *att, s32 status, u64 count)
{
	struct bfuse_log e = whose(att->filter, att->bdev, att->id);

	e.altitude = bf_altitude(att);
	append(&e, event, status, count);
}

/* Of a call, which may have no attachment. */
void bf_log_call(enum bfuse_log_event event, const struct bf_upcall *call, s32 status, u64 count)
{
	struct bfuse_log e = whose(call->filter, call->bdev, call->att ? call->att->id : 0);

	if (call->att)
		e.altitude = bf_altitude(call->att);
	append(&e, event, status, count);
}

static bool read_entry(struct bfuse_log *arg)
{
	u32 size = arg->size;
	bool there;

	spin_lock_irq(&lock);
	if (next > ENTRIES && arg->seq < next - ENTRIES)
		arg->seq = next - ENTRIES;
	arg->seq = max(arg->seq, 1ull);
	there = arg->seq < next;
	if (there)
		*arg = entries[arg->seq % ENTRIES];
	spin_unlock_irq(&lock);
	arg->size = size;
	return there;
}

long bf_log_read(struct bfuse_log *arg)
{
	u64 seq = max(arg->seq, 1ull);

	if (arg->flags & ~(BFUSE_LOG_WAIT | BFUSE_LOG_NEWEST))
		return -EINVAL;
	if (arg->flags & BFUSE_LOG_NEWEST) {
		arg->seq = READ_ONCE(next);
		return 0;
	}
	if ((arg->flags & BFUSE_LOG_WAIT) && wait_event_interruptible(more, READ_ONCE(next) > seq))
		return -ERESTARTSYS;	/* so that a stop and continue is no end */
	return read_entry(arg) ? 0 : -ENOENT;
}
