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

static void fill(struct bfuse_log *e, enum bfuse_log_event event, const struct bf_attachment *att, s32 status, u64 count)
{
	const struct bf_filter *f = att->filter;

	*e = (struct bfuse_log){
		.seq = next,
		.time = ktime_get_real_ns(),
		.count = count,
		.event = event,
		.status = status,
		.attachment = att->id,
		.filter = f->id,
		.altitude = bf_altitude(att),
		.pid = READ_ONCE(f->server),
		.major = MAJOR(att->bdev->bd_dev),
		.minor = MINOR(att->bdev->bd_dev),
	};
	snprintf(e->device, sizeof(e->device), "%pg", att->bdev);
	memcpy(e->name, f->name, sizeof(e->name));
}

/* Any context. */
void bf_log(enum bfuse_log_event event, const struct bf_attachment *att, s32 status, u64 count)
{
	unsigned long flags;

	spin_lock_irqsave(&lock, flags);
	fill(&entries[next % ENTRIES], event, att, status, count);
	WRITE_ONCE(next, next + 1);
	spin_unlock_irqrestore(&lock, flags);
	wake_up_interruptible_all(&more);
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
