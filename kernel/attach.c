// SPDX-License-Identifier: GPL-2.0
/*
 * How a filter comes to stand on a device: by hand, by an offer that it accepts, by somebody else's wish.
 *
 * Context: ioctls; may sleep. What the filter's own threads do meanwhile is in server.c.
 */
#include <linux/file.h>
#include <linux/fs.h>

#include "blkfilter.h"

/* Does a queue have a tag for each attachment that may need one to let another's go? See reserve() in queue.c. */
static bool fits(const struct bf_attachment *att)
{
	const struct bf_filter *f = att->filter;
	bool stacked = att->stacked;

	return f->nr_stacked + stacked + (f->nr_attachments + !stacked > f->nr_stacked) <= f->depth;
}

/* A reference to the disk's device, new or old. */
static struct bf_device *device_get(struct gendisk *disk)
{
	struct bf_device *dev;
	unsigned int noio = bf_lock();

	dev = bf_device_find(disk);
	if (dev)
		kref_get(&dev->ref);
	bf_unlock(noio);
	return dev ?: bf_device_alloc(disk);
}

/* The order of the layers is that of the altitudes, as bits of a mask tell of them. */
static bool is_in_order(const struct bf_attachment *att)
{
	struct bf_attachment *other;

	list_for_each_entry(other, &att->filter->attachments, of_filter)
		if (other->bdev == att->bdev && other->state != BFUSE_STATE_LEAVING &&
		    (other->rank == att->rank || other->layer == att->layer ||
		     (other->rank > att->rank) != (other->layer < att->layer)))
			return false;
	return true;
}

/* What is attached to, and how to see that it is gone: by the inode of an open file, or by the flag of an offer. */
struct seat {
	struct block_device	*bdev;	/* the caller keeps it */
	struct inode		*inode;
	const bool		*gone;
	unsigned long		limit;	/* jiffies: others wait for this no longer; 0: nobody does */
};

/*
 * Under bf_lock. A device that leaves is unhashed, or the flag set, before device.c is told under this lock, so either we see it
 * or it sees us. A partition that goes with its disk may be unhashed only later, but its disk is before. Who comes when the
 * filters of a disk are already being called for its removal would not be called any more.
 */
static bool is_gone(const struct seat *seat)
{
	if (seat->inode ? inode_unhashed(seat->inode) || !disk_live(seat->bdev->bd_disk) : seat->gone && *seat->gone)
		return true;
	return bf_disk_is_leaving(seat->bdev->bd_disk);
}

/*
 * Publishes @att, whose device the caller prepared but somebody else may have published meanwhile. *@dead, with a
 * reference, is the one whose place it takes. -EAGAIN: try again with the published device.
 */
static int publish(struct bf_attachment *att, const struct seat *seat, u32 flags, struct bf_attachment **dead)
{
	bool replace = flags & BFUSE_ATTACH_REPLACE;
	struct bf_device *dev = bf_device_find(att->bdev->bd_disk);
	struct bf_attachment *other = NULL;

	lockdep_assert_held(&bf_mutex);
	if (att->filter->dead)
		return -ESHUTDOWN;
	if (is_gone(seat))
		return -ENXIO;
	if (dev && dev != att->dev)
		return -EAGAIN;
	if (dev)
		other = bf_chain_at(dev, att->bdev, att->rank);
	if (replace && !other)
		return -ESRCH;
	if (other && !bf_may_succeed(att, other, replace))
		return replace ? -ESRCH : -EEXIST;
	if (!is_in_order(att))
		return -EINVAL;
	att->stacked = !att->dev->may_submit_inline || att->filter->layered;
	if (!fits(att))
		return -ENOSPC;
	if (!dev)
		bf_device_publish(att->dev);

	att->adopting = other || (flags & BFUSE_ATTACH_DRAIN);
	bf_attachment_enlist(att);
	bf_log(BFUSE_LOG_ATTACHED, att, 0, 0);
	if (other)
		bf_ways_inherit(att->ways, other->ways);
	bf_chain_insert(att);
	if (other) {
		kref_get(&other->ref);
		kref_get(&att->ref);
		WRITE_ONCE(other->heir, att);
		bf_chain_remove(other);
		bf_changeset_inherit(att, other);
	}
	*dead = other;
	return 0;
}

static int publish_retry(struct bf_attachment *att, const struct seat *seat, u32 flags, struct bf_attachment **dead)
{
	unsigned int noio;
	int err;

	do {
		att->dev = device_get(att->bdev->bd_disk);
		if (!att->dev)
			return -ENOMEM;
		noio = bf_lock();
		err = publish(att, seat, flags, dead);
		bf_unlock(noio);
		if (err == -EAGAIN) {
			bf_device_put(att->dev);
			att->dev = NULL;
		}
	} while (err == -EAGAIN);
	return err;
}

/* While it enters the chain its process' threads don't wait for disks (server.c). */
static int take_seat(struct bf_attachment *att, const struct seat *seat, u32 flags, struct bf_attachment **dead)
{
	int err = bf_server_suspend(att->filter, seat->limit);

	if (!err)
		err = publish_retry(att, seat, flags, dead);
	bf_server_resume(att->filter);
	return err;
}

/* As if it had never been: what waits goes on below, and the filter is told nothing. */
static void undo(struct bf_attachment *att, int err)
{
	unsigned int noio = bf_lock();

	/* Also of one that leaves: as long as it lets requests wait, it does not get to tell. */
	if (att->adopting || att->state != BFUSE_STATE_LEAVING) {
		kfree(att->detached);
		att->detached = NULL;
	}
	bf_attachment_leave(att, err);
	bf_unlock(noio);
	bf_attachment_open(att);
	/* Else its place among the tags would be taken for a moment yet. If it was opened, the filter may have some of its requests. */
	wait_for_completion_timeout(&att->gone, HZ);
}

static int finish(struct bf_attachment *att, struct bf_drain *drain, struct bf_attachment *dead,
		  struct bfuse_attach *arg)
{
	int drained = BFUSE_DRAINED_NOT;

	arg->adopted = 0;
	if (dead) {
		/* Who takes over from the dead has them before anything new: a drain would wait for what waits for it. */
		arg->adopted = bf_succeed(att, dead);
	} else if (drain) {
		drained = bf_drain_wait(drain, att);
		if (drained < 0) {
			undo(att, drained);
			return drained;
		}
		bf_log(BFUSE_LOG_DRAINED, att, 0, drained);
		bf_attachment_open(att);
	}
	arg->drained = drained;
	return 0;
}

/* Before it is told, if ever, that the attachment has left. */
static void announce(struct bf_attachment *att)
{
	struct bf_queue *q = &att->filter->queues[0];
	unsigned int noio = bf_lock();

	if (att->state != BFUSE_STATE_LEAVING)
		bf_queue_add_event(q, xchg(&att->attached, NULL));
	bf_unlock(noio);
	bf_queue_pump(q);
}

static long attach(struct bf_filter *f, struct seat *seat, struct bfuse_attach *arg, bool foreign)
{
	struct bf_attachment *att, *dead;
	struct bf_drain *drain = NULL;
	int err;

	if (bf_disk_bypasses_bios(seat->bdev->bd_disk))
		return -EOPNOTSUPP;
	err = bf_hook_get();
	if (err)
		return err;
	att = bf_attachment_alloc(f, seat->bdev, arg);
	if (!att) {
		bf_hook_put();
		return -ENOMEM;
	}
	kref_get(&att->ref);
	if (arg->flags & BFUSE_ATTACH_DRAIN)
		drain = bf_drain_begin(att, arg->drain_ms);
	err = PTR_ERR_OR_ZERO(drain);
	if (!err && drain)
		seat->limit = bf_drain_limit(drain);
	if (!err)
		err = take_seat(att, seat, arg->flags, &dead);
	if (err) {
		bf_drain_end(drain);
		bf_attachment_put(att);
		bf_attachment_put(att);
		return err;
	}
	/* From now on there is something to watch: also while finish() waits for a drain, and that for the filter. */
	mod_delayed_work(bf_wq, &f->watch, 1);
	err = finish(att, drain, dead, arg);
	bf_drain_end(drain);
	arg->attachment = att->id;
	arg->policy = att->interest.policy;
	if (foreign && !err)
		announce(att);
	bf_attachment_put(att);
	return err;
}

/*
 * In the thread of a filter that accepts, while whoever offers waits. Here BFUSE_ATTACH_REPLACE is only for where there is
 * somebody.
 */
long bf_attach_offered(struct bf_upcall *call, struct bfuse_answer *answer)
{
	struct seat seat = { .bdev = call->bdev, .gone = call->gone, .limit = call->end };
	struct bfuse_attach arg = { .flags = answer->flags & BFUSE_ATTACH_REPLACE, .interest = answer->interest };
	long err = attach(call->filter, &seat, &arg, false);

	if (err == -ESRCH) {
		arg.flags = 0;
		err = attach(call->filter, &seat, &arg, false);
	}
	answer->attachment = arg.attachment;
	answer->policy = arg.policy;
	return err;
}

static int choose_interest(const struct bf_filter *f, struct bfuse_attach *arg)
{
	if (!(arg->flags & BFUSE_ATTACH_DEFAULTS))
		return bf_interest_check(f, &arg->interest);
	if (memchr_inv(&arg->interest, 0, sizeof(arg->interest)))
		return -EINVAL;
	arg->interest = f->defaults;
	return 0;
}

static long attach_fd(struct bf_filter *f, struct bfuse_attach *arg, bool foreign)
{
	struct file *file;
	long err = choose_interest(f, arg);

	if (err)
		return err;
	file = fget(arg->fd);
	if (!file)
		return -EBADF;
	if (S_ISBLK(file_inode(file)->i_mode)) {
		struct inode *inode = file->f_mapping->host;
		struct seat seat = { .bdev = I_BDEV(inode), .inode = inode };

		err = attach(f, &seat, arg, foreign);
	} else {
		err = -ENOTBLK;
	}
	fput(file);
	return err;
}

static bool drain_is_good(const struct bfuse_attach *arg)
{
	if (!(arg->flags & BFUSE_ATTACH_DRAIN))
		return !arg->drain_ms;
	return !(arg->flags & BFUSE_ATTACH_REPLACE) && arg->drain_ms <= BFUSE_DEADLINE_MAX;
}

/* @own may be NULL. */
long bf_attach(struct bf_filter *own, struct bfuse_attach *arg)
{
	bool foreign = arg->filter && (!own || own->id != arg->filter);
	struct bf_filter *f = own;
	long err;

	if ((arg->flags & ~(BFUSE_ATTACH_DEFAULTS | BFUSE_ATTACH_DRAIN | BFUSE_ATTACH_REPLACE)) || !drain_is_good(arg) ||
	    arg->altitude > BFUSE_ALTITUDE_MAX || arg->layer >= BFUSE_LAYERS_MAX)
		return -EINVAL;
	if ((arg->altitude || arg->layer) && (foreign || (f && !f->layered)))
		return -EINVAL;
	if (!foreign)
		return f ? attach_fd(f, arg, false) : -ENOENT;

	f = bf_filter_by_id(arg->filter);
	if (!f)
		return -ENOENT;
	if (!(f->flags & BFUSE_FILTER_ATTACHABLE))
		err = -EACCES;
	else if ((arg->flags & ~BFUSE_ATTACH_DRAIN) != BFUSE_ATTACH_DEFAULTS)
		err = -EINVAL;
	else
		err = attach_fd(f, arg, true);
	bf_filter_put(f);
	return err;
}

long bf_detach(const struct bfuse_detach *arg)
{
	struct bf_attachment *att;
	unsigned int noio;
	long err = 0;

	if ((arg->flags & ~BFUSE_DETACH_WAIT) || arg->__reserved || !arg->attachment)
		return -EINVAL;
	att = bf_attachment_above(arg->attachment - 1);
	if (!att)
		return -ENOENT;
	noio = bf_lock();
	if (att->id != arg->attachment || (att->state == BFUSE_STATE_LEAVING && !(arg->flags & BFUSE_DETACH_WAIT)))
		err = -ENOENT;
	else
		bf_attachment_leave(att, 0);
	bf_unlock(noio);
	if (!err && (arg->flags & BFUSE_DETACH_WAIT) && wait_for_completion_interruptible(&att->gone))
		err = -EINTR;
	bf_attachment_put(att);
	return err;
}
