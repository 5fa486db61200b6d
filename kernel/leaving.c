// SPDX-License-Identifier: GPL-2.0
/*
 * Devices leave, and the filters on them are called, one after the other.
 *
 * The block layer tells nobody before a disk goes. So two functions are redirected by ftrace, as hook.c does it, while the module
 * is loaded; they are called once in the life of a disk:
 *
 *	del_gendisk()		a regular removal: the highest attachment first, so that each can finish with all that is below
 *				it still at work. If the disk is marked dead, a surprise that nobody told us of: see the next.
 *	blk_mark_disk_dead()	a surprise: the lowest first, so that errors go up. Device mapper calls it for every removal,
 *				while the table still works: there it is a regular one.
 *
 * Our function calls the filters, and then the function that it stands in for, whose own call the hook lets pass. In either case the
 * filters come first: what is parked in one must not hold up what the block layer then waits for (from 6.12 on
 * blk_mark_disk_dead() shuts file systems down). A partition that is deleted alone, or because its table is read again,
 * leaves in remove_dev(), where its I/O still works: only the disk's open_mutex and the block class' lock are held.
 *
 * While a disk is in @departures nobody can attach to it, so the chain gets empty, and stays so.
 *
 * Leaving: our function sleeps, for which synchronize_rcu_tasks() does not wait. So the hook takes a reference to the module, which
 * the function drops as the last that it does; what is left is its end, and for that synchronize_rcu_tasks() is good.
 *
 * FTRACE_OPS_FL_PERMANENT is left out, or kernel.ftrace_enabled could not be changed while the module is loaded; while
 * anything is attached hook.c sees to that.
 */
#include <linux/delay.h>
#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "blkfilter.h"

struct departure {
	struct list_head	node;
	const struct gendisk	*disk;	/* only compared */
	struct task_struct	*task;	/* only compared */
};

static LIST_HEAD(departures);
static DEFINE_SPINLOCK(departures_lock);

static void begin(struct departure *d, struct gendisk *disk)
{
	unsigned long flags;

	d->disk = disk;
	d->task = current;
	spin_lock_irqsave(&departures_lock, flags);
	list_add(&d->node, &departures);
	spin_unlock_irqrestore(&departures_lock, flags);
}

static void end(struct departure *d)
{
	unsigned long flags;

	spin_lock_irqsave(&departures_lock, flags);
	list_del(&d->node);
	spin_unlock_irqrestore(&departures_lock, flags);
}

/* @task: whose call it is; NULL: anybody's. */
static bool is_departing(const struct gendisk *disk, const struct task_struct *task)
{
	struct departure *d;
	unsigned long flags;
	bool found = false;

	spin_lock_irqsave(&departures_lock, flags);
	list_for_each_entry(d, &departures, node)
		found |= d->disk == disk && (!task || d->task == task);
	spin_unlock_irqrestore(&departures_lock, flags);
	return found;
}

bool bf_disk_is_leaving(const struct gendisk *disk)
{
	return test_bit(GD_DEAD, &disk->state) || is_departing(disk, NULL);
}

/* The one whose turn it is, with a reference. @part: only its. */
static struct bf_attachment *next(struct gendisk *disk, struct block_device *part, bool lowest)
{
	struct bf_attachment *att, *found = NULL;
	unsigned int noio = bf_lock();
	struct bf_device *dev = bf_device_find(disk);

	if (dev) {
		list_for_each_entry(att, &dev->chain, node) {
			if (part && att->bdev != part)
				continue;
			found = att;
			if (!lowest)
				break;
		}
	}
	if (found)
		kref_get(&found->ref);
	bf_unlock(noio);
	return found;
}

static void call_filter(struct bf_attachment *att, bool torn)
{
	struct bf_upcall call = {
		.filter = att->filter,
		.bdev = att->bdev,
		.att = att,
		.event.op = torn ? BFUSE_EVENT_TORN_OUT : BFUSE_EVENT_LEAVING,
	};

	bf_log(torn ? BFUSE_LOG_TORN_OUT : BFUSE_LOG_LEAVING, att, 0, 0);
	if (bf_upcall_is_possible(att->filter))
		bf_upcall_account(&call, bf_upcall(&call));
}

/* After a grace period no submitter adds anything to it. */
static void leave(struct bf_attachment *att, bool torn)
{
	unsigned int noio = bf_lock();

	att->torn |= torn;
	bf_attachment_leave(att, -ENODEV);
	bf_unlock(noio);
}

/* Copying takes no longer than that; whatever is left then follows the deadline. */
static void settle(struct bf_attachment *att)
{
	int tries = 50;

	for (bf_deadline_now(att); bf_is_owed(att) && --tries; bf_deadline_now(att))
		msleep(20);
}

/* Until @end, jiffies. */
static void await_answers(struct bf_attachment *att, unsigned long end)
{
	while (bf_is_owed(att) && time_before(jiffies, end))
		wait_for_completion_timeout(&att->gone, HZ / 50);
	settle(att);
}

static unsigned long limit_of(const struct bf_attachment *att)
{
	return jiffies + msecs_to_jiffies(att->filter->call_ms);
}

/*
 * What the filter has been given it may answer up to its limit. What it has passed is not waited for: it may be with a lower filter,
 * whose turn comes, or in the device.
 */
static void say_goodbye(struct bf_attachment *att)
{
	unsigned long end = limit_of(att);

	WRITE_ONCE(att->departing, true);
	call_filter(att, false);
	leave(att, false);
	synchronize_rcu();
	await_answers(att, end);
}

/* What is below will fail when the driver lets it go, and that may be after us. */
static void tear_off(struct bf_attachment *att)
{
	call_filter(att, true);
	leave(att, true);
	synchronize_rcu();
	settle(att);
}

/* A partition may be deleted alone while its disk goes, or a disk be torn out while it is removed: who comes first calls. */
static bool is_first(struct bf_attachment *att)
{
	unsigned int noio = bf_lock();
	bool first = !att->claimed;

	att->claimed = true;
	bf_unlock(noio);
	return first;
}

/* Somebody else calls @att, for whom it leaves as well. He takes no longer than its limits. */
static void follow(struct bf_attachment *att, bool torn)
{
	if (torn) {
		leave(att, true);
		synchronize_rcu();
		settle(att);
		return;
	}
	while (READ_ONCE(att->in_chain))
		msleep(20);
	wait_for_completion_timeout(&att->gone, msecs_to_jiffies(att->filter->call_ms));
}

/*
 * All that the filters passed on shall get to the device while it is there. It does not take long, and a completion that a filter
 * holds gets the limit once more.
 */
static void see_off(struct list_head *left, bool torn)
{
	struct bf_attachment *att, *next;

	list_for_each_entry_safe(att, next, left, departed) {
		if (!torn && !wait_for_completion_timeout(&att->gone, msecs_to_jiffies(att->filter->call_ms)))
			settle(att);
		list_del(&att->departed);
		bf_attachment_put(att);
	}
}

/* All of its disks are called so, and nobody else's. */
static bool is_device_mapper(const struct gendisk *disk)
{
	return !strncmp(disk->disk_name, "dm-", 3);
}

/* One that is out of the chain already, by a detach or for a successor, but not gone; with a reference. @part: only its. */
static struct bf_attachment *lingering(struct gendisk *disk, struct block_device *part)
{
	struct bf_attachment *att, *found = NULL;
	unsigned int noio = bf_lock();

	list_for_each_entry(att, &bf_attachments, all) {
		if (att->bdev->bd_disk == disk && (!part || att->bdev == part) && !att->in_chain && !att->claimed) {
			kref_get(&att->ref);
			att->claimed = true;
			found = att;
			break;
		}
	}
	bf_unlock(noio);
	return found;
}

/* They are told nothing, but have the same limits. Others may detach while some are called. */
static void call_in(struct gendisk *disk, struct block_device *part, bool torn, struct list_head *left)
{
	struct bf_attachment *att;

	while ((att = lingering(disk, part))) {
		await_answers(att, torn ? jiffies : limit_of(att));
		list_add_tail(&att->departed, left);
	}
}

/*
 * Each that has had its turn is out of the chain. The device stays known, so that what goes on below unseen all goes by its worker,
 * for which can be waited. May sleep.
 */
static void call_all(struct gendisk *disk, struct block_device *part, bool torn)
{
	struct bf_device *dev = bf_device_hold(disk);
	struct bf_attachment *att;
	LIST_HEAD(left);

	if (!dev)
		return;
	call_in(disk, part, torn, &left);
	while ((att = next(disk, part, torn))) {
		if (!is_first(att)) {
			follow(att, torn);
			bf_attachment_put(att);
			continue;
		}
		if (torn)
			tear_off(att);
		else
			say_goodbye(att);
		list_add_tail(&att->departed, &left);
	}
	call_in(disk, part, torn, &left);
	see_off(&left, torn);
	/*
	 * Of a partition alone the disk stays; and under the class' lock nothing is submitted. A driver with requests of its own counts
	 * injects as well, and can end them only after us if the device is torn out.
	 */
	if (!torn && !part) {
		flush_work(&dev->work);
		if (disk->fops->submit_bio || is_device_mapper(disk))
			bf_injects_await(dev);
	}
	bf_device_release(dev);
}

/* A partition alone; or one that came to its disk between the hook and here, of which nobody hears. */
void bf_device_removed(struct block_device *bdev)
{
	struct bf_attachment *att;

	if (bdev_is_partition(bdev) && !bf_disk_is_leaving(bdev->bd_disk))
		call_all(bdev->bd_disk, bdev, false);
	while ((att = next(bdev->bd_disk, bdev, false))) {
		leave(att, false);
		bf_attachment_put(att);
	}
}

/* In place of del_gendisk(). */
static void removed(struct gendisk *disk)
{
	struct departure d;

	begin(&d, disk);
	call_all(disk, NULL, test_bit(GD_DEAD, &disk->state));
	del_gendisk(disk);
	end(&d);
	module_put(THIS_MODULE);
}

/* Some kernels don't count what preemptible() asks for. */
static bool may_sleep(void)
{
	if (rcu_preempt_depth())
		return false;
	return IS_ENABLED(CONFIG_PREEMPT_COUNT) ? preemptible() : !in_interrupt() && !irqs_disabled();
}

/* In place of blk_mark_disk_dead(). Where that can't sleep del_gendisk() will see to the filters. */
static void marked_dead(struct gendisk *disk)
{
	struct departure d;

	begin(&d, disk);
	if (may_sleep())
		call_all(disk, NULL, !is_device_mapper(disk));
	blk_mark_disk_dead(disk);
	end(&d);
	module_put(THIS_MODULE);
}

struct redirection {
	struct ftrace_ops	ops;
	void			(*to)(struct gendisk *disk);
};

static bool is_filtered(const struct gendisk *disk)
{
	bool found;

	rcu_read_lock();
	found = bf_device_find(disk);
	rcu_read_unlock();
	return found;
}

static void notrace callback(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			     struct ftrace_regs *fregs)
{
	struct gendisk *disk = (struct gendisk *)ftrace_regs_get_argument(fregs, 0);

	if (is_filtered(disk) && !is_departing(disk, current) && try_module_get(THIS_MODULE))
		ftrace_regs_set_instruction_pointer(fregs, (unsigned long)container_of(ops, struct redirection, ops)->to);
}

static struct redirection removal = {
	.ops = { .func = callback, .flags = FTRACE_OPS_FL_IPMODIFY },
	.to = removed,
};

static struct redirection death = {
	.ops = { .func = callback, .flags = FTRACE_OPS_FL_IPMODIFY },
	.to = marked_dead,
};

static int redirect(struct redirection *r, unsigned long function, const char *name)
{
	int err = ftrace_set_filter_ip(&r->ops, function, 0, 0);

	if (!err)
		err = register_ftrace_function(&r->ops);
	if (err == -EBUSY)
		pr_err("%s is taken by another module or livepatch, or kernel.ftrace_enabled is 0\n", name);
	else if (err)
		pr_err("%s can't be hooked: error %d\n", name, err);
	if (err)
		ftrace_free_filter(&r->ops);
	return err;
}

static void restore(struct redirection *r)
{
	unregister_ftrace_function(&r->ops);
	ftrace_free_filter(&r->ops);
}

int bf_leaving_init(void)
{
	int err = redirect(&removal, (unsigned long)del_gendisk, "del_gendisk");

	if (err)
		return err;
	err = redirect(&death, (unsigned long)blk_mark_disk_dead, "blk_mark_disk_dead");
	if (err)
		restore(&removal);
	return err;
}

/* bf_hook_exit() waits for the ends of our functions. */
void bf_leaving_exit(void)
{
	restore(&death);
	restore(&removal);
}
