// SPDX-License-Identifier: GPL-2.0
/*
 * The life of an attachment.
 *
 *	bf_attach --> LIVE <--> STALLED			the filter is late, and back (settle.c)
 *	                |----> ORPHAN			the filter died; its policy makes it stay
 *	                |        |----> adopted		a successor's attachment takes its place, on demand also
 *	                v        v			that of a living one (live upgrade)
 *	              LEAVING --> gone
 *
 * Adoption leaves no gap: in one step the heir stands in the chain and the predecessor points to it. Who has found the
 * predecessor in the chain before that either gives it a request, which it answers, or waits in its lane (admission());
 * after a grace period nobody finds it any more, and the heir takes over what waits there (bf_adopt()). What the
 * predecessor has when it dies goes to the heir as well.
 *
 * LEAVING: out of the chain. Its work (reap) waits for a grace period, after which no submitter can add a request,
 * sends on what waits, and looks whether a tag is still taken; the last tag that is freed makes it look again. What is
 * gone holds
 * nothing: a tag counts in its lane from interception to completion, so no bio can come back to a gone attachment.
 *
 * The references of an attachment (device, its struct device, filter, module, hook) are dropped with its own last one.
 */
#include <linux/file.h>
#include <linux/fs.h>
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

static void attachment_free(struct bf_attachment *att)
{
	if (att->dev)
		bf_device_put(att->dev);
	if (att->bdev)
		put_device(&att->bdev->bd_device);
	if (att->filter)
		bf_filter_put(att->filter);
	bf_interest_end(att);
	free_percpu(att->stat);
	bf_ways_free(att->ways);
	kfree(att->attached);
	kfree(att->detached);
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

/* Does a queue have a tag for each attachment that may need one to let another's go? See reserve() in queue.c. */
static bool fits(const struct bf_attachment *att)
{
	const struct bf_filter *f = att->filter;
	bool stacked = att->stacked;

	return f->nr_stacked + stacked + (f->nr_attachments + !stacked > f->nr_stacked) <= f->depth;
}

static void add_lanes(struct bf_attachment *att, bool add)
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
	add_lanes(att, false);
	bf_server_review(att->filter);
	bf_unlock(noio);
	/*
	 * The tag that was the last has queued this work under the lock that is_idle() has taken since, and succeed() does so
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
static struct bf_attachment *attachment_alloc(struct bf_filter *f, struct block_device *bdev,
					      const struct bfuse_attach *arg)
{
	struct bf_attachment *att = kzalloc(struct_size(att, lanes, f->nr_queues), GFP_KERNEL);

	if (!att)
		return NULL;
	att->stat = alloc_percpu(struct bf_stat);
	att->attached = alloc_event(BFUSE_EVENT_ATTACHED);
	att->detached = alloc_event(BFUSE_EVENT_DETACHED);
	if (arg->interest.verdicts & BF_WAY_VERBS)
		att->ways = bf_ways_alloc(f);
	if (!att->stat || !att->attached || !att->detached || (!att->ways && (arg->interest.verdicts & BF_WAY_VERBS))) {
		free_percpu(att->stat);
		bf_ways_free(att->ways);
		kfree(att->attached);
		kfree(att->detached);
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
	att->sectors = bdev_nr_sectors(bdev);
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
		    (other->rank == att->rank || (other->rank > att->rank) != (other->layer < att->layer)))
			return false;
	return true;
}

/* @replace: also of the living. */
static bool may_succeed(const struct bf_attachment *heir, const struct bf_attachment *other, bool replace)
{
	if (other->adopting || other->state == BFUSE_STATE_LEAVING || strcmp(heir->filter->name, other->filter->name))
		return false;
	return other->state == BFUSE_STATE_ORPHAN || (replace && other->filter != heir->filter);
}

/* What is attached to, and how to see that it is gone: by the inode of an open file, or by the flag of an existing device's offer. */
struct seat {
	struct block_device	*bdev;	/* the caller keeps it */
	struct inode		*inode;
	const bool		*gone;
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
	if (other && !may_succeed(att, other, replace))
		return replace ? -ESRCH : -EEXIST;
	if (!is_in_order(att))
		return -EINVAL;
	att->stacked = !att->dev->may_submit_inline || att->filter->layered;
	if (!fits(att))
		return -ENOSPC;
	if (!dev)
		bf_device_publish(att->dev);

	att->id = ++last_id;
	att->attached->attachment = att->id;
	att->detached->attachment = att->id;
	att->adopting = other || (flags & BFUSE_ATTACH_DRAIN);
	list_add_tail(&att->all, &bf_attachments);
	list_add_tail(&att->of_filter, &att->filter->attachments);
	att->filter->nr_attachments++;
	bf_nr_attachments++;
	bf_log(BFUSE_LOG_ATTACHED, att, 0, 0);
	add_lanes(att, true);
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
	int err = bf_server_suspend(att->filter);

	if (!err)
		err = publish_retry(att, seat, flags, dead);
	bf_server_resume(att->filter);
	return err;
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

/* Takes what @dead holds. Until here its submitters went to it, or wait with the heir. */
static u32 succeed(struct bf_attachment *heir, struct bf_attachment *dead)
{
	unsigned int noio;
	u32 adopted;

	synchronize_rcu();
	adopted = bf_adopt(heir, dead);
	bf_log(BFUSE_LOG_ADOPTED, heir, 0, adopted);
	noio = bf_lock();
	bf_attachment_leave(dead, -ESTALE);
	/* It may have been leaving already, and have seen what was adopted since. */
	if (!list_empty(&dead->all))
		queue_work(bf_wq, &dead->reap);
	bf_unlock(noio);
	bf_attachment_put(dead);
	bf_attachment_open(heir);
	return adopted;
}

static int finish(struct bf_attachment *att, struct bf_drain *drain, struct bf_attachment *dead,
		  struct bfuse_attach *arg)
{
	int drained = BFUSE_DRAINED_NOT;

	arg->adopted = 0;
	if (dead) {
		/* Who takes over from the dead has them before anything new: a drain would wait for what waits for it. */
		arg->adopted = succeed(att, dead);
	} else if (drain) {
		drained = bf_drain_wait(drain, att);
		if (drained < 0)
			return drained;
		bf_log(BFUSE_LOG_DRAINED, att, 0, drained);
		bf_attachment_open(att);
	}
	arg->drained = drained;
	return 0;
}

static long attach(struct bf_filter *f, const struct seat *seat, struct bfuse_attach *arg, bool foreign)
{
	struct bf_attachment *att, *dead;
	struct bf_drain *drain = NULL;
	int err;

	if (bf_disk_bypasses_bios(seat->bdev->bd_disk))
		return -EOPNOTSUPP;
	err = bf_hook_get();
	if (err)
		return err;
	att = attachment_alloc(f, seat->bdev, arg);
	if (!att) {
		bf_hook_put();
		return -ENOMEM;
	}
	kref_get(&att->ref);
	if (arg->flags & BFUSE_ATTACH_DRAIN)
		drain = bf_drain_begin(att, arg->drain_ms);
	err = PTR_ERR_OR_ZERO(drain);
	if (!err)
		err = take_seat(att, seat, arg->flags, &dead);
	if (err) {
		bf_drain_end(drain);
		bf_attachment_put(att);
		bf_attachment_put(att);
		return err;
	}
	err = finish(att, drain, dead, arg);
	bf_drain_end(drain);
	arg->attachment = att->id;
	arg->policy = att->interest.policy;
	mod_delayed_work(bf_wq, &f->watch, 1);
	if (foreign && !err)
		bf_queue_post_event(f, xchg(&att->attached, NULL));
	bf_attachment_put(att);
	return err;
}

/*
 * In the thread of a filter that accepts, while whoever offers waits. Here BFUSE_ATTACH_REPLACE is only for where there is
 * somebody.
 */
long bf_attach_offered(struct bf_upcall *call, struct bfuse_answer *answer)
{
	struct seat seat = { .bdev = call->bdev, .gone = call->gone };
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
