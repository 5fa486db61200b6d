// SPDX-License-Identifier: GPL-2.0
/*
 * Where a bio is caught: submit_bio_noacct() by ftrace, while anything is attached.
 *
 * The callback decides. A bio that nobody wants returns to the function as if nothing had been; for one that is wanted
 * it sets the instruction pointer to bf_intercept(), which takes the function's place. With nothing attached the
 * function's entry is the NOP that it was.
 *
 * FTRACE_OPS_FL_IPMODIFY makes this the function's only redirection (a second one, a livepatch or another filter
 * module, gets EBUSY, as do we), FTRACE_OPS_FL_PERMANENT keeps sysctl kernel.ftrace_enabled=0 from bypassing it
 * silently. There is no FTRACE_OPS_FL_RECURSION: nothing that the callback calls submits a bio.
 *
 * Leaving: after unregister_ftrace_function() no new task enters; one that is still inside bf_intercept() or the
 * trampoline does not sleep there, so synchronize_rcu_tasks() waits for it.
 */
#include <linux/ftrace.h>
#include <linux/rcupdate.h>

#include "blkfilter.h"

static DEFINE_MUTEX(hook_mutex);
static unsigned int users;
static bool registered;

/* There is one attachment, and the bio goes where that does not look? */
static bool notrace is_elsewhere(struct bf_device *dev, struct bio *bio)
{
	const struct bf_attachment *sole = READ_ONCE(dev->sole);
	u64 first = bf_bio_disk_sector(bio);

	return sole && bio->bi_iter.bi_size && bf_is_elsewhere(sole, first, first + bio_sectors(bio) - 1);
}

static bool notrace is_for_us(struct bf_device *dev, struct bio *bio)
{
	if (bf_bio_is_marked(bio) || bf_bio_is_plugged(bio))
		return false;
	if (is_elsewhere(dev, bio)) {
		this_cpu_inc(*dev->bypassed);
		return false;
	}
	return bf_chain_wants(dev, bio) && !bf_bio_is_refused(bio);
}

/* For what is_settled() leaves open. Ends what the callback has begun. */
static noinline notrace void decide(struct bf_device *dev, struct bio *bio, struct ftrace_regs *fregs)
{
	u64 op = bf_op_bit(bio);
	bool found = false;

	if (READ_ONCE(dev->tracked) & op)
		bf_change_track(dev, bio);
	if (READ_ONCE(dev->match) & op)
		found = is_for_us(dev, bio);
	else
		this_cpu_inc(*dev->bypassed);
	preempt_enable_notrace();
	if (found)
		ftrace_regs_set_instruction_pointer(fregs, (unsigned long)bf_intercept);
}

/* The commonest case of is_elsewhere(): all of it in one chunk, whose bit is clear. */
static __always_inline bool is_in_clear_chunk(struct bf_device *dev, struct bio *bio)
{
	const struct bf_attachment *sole = READ_ONCE(dev->sole);
	const struct bf_chunks *chunks;
	u64 first = bf_bio_disk_sector(bio);

	if (!sole || !bio->bi_iter.bi_size)
		return false;
	chunks = rcu_dereference_check(sole->chunks, rcu_read_lock_any_held());
	return chunks && bf_chunk_is_clear(chunks, first, first + bio_sectors(bio) - 1);
}

/*
 * Is there nothing to do for it, which is so for most? Here nothing is called, so that the callback need not save a
 * register. What is marked was counted before, unless nobody wanted its operation: then bf_present() left that to here.
 */
static __always_inline bool is_settled(struct bf_device *dev, struct bio *bio)
{
	u64 op = bf_op_bit(bio);

	if (unlikely(READ_ONCE(dev->tracked) & op))
		return false;
	if (READ_ONCE(dev->match) & op) {
		if (!is_in_clear_chunk(dev, bio))
			return false;
		if (bf_bio_is_marked(bio))
			return true;
	}
	this_cpu_inc(*dev->bypassed);
	return true;
}

/* For each bio in the system: no lock but disabled preemption, no call but for filtered disks. */
static void notrace callback(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			     struct ftrace_regs *fregs)
{
	struct bio *bio = (struct bio *)ftrace_regs_get_argument(fregs, 0);
	const struct gendisk *disk = bio->bi_bdev->bd_disk;
	unsigned int hash = bf_disk_hash(disk);
	struct bf_device *dev;

	if (likely(!bf_may_be_filtered(hash)))
		return;
	preempt_disable_notrace();
	dev = bf_device_hashed(hash, disk);
	if (dev && !is_settled(dev, bio)) {
		decide(dev, bio, fregs);
		return;
	}
	preempt_enable_notrace();
}

static struct ftrace_ops hook = {
	.func = callback,
	.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT,
};

static int enable(struct ftrace_ops *ops)
{
	int err = register_ftrace_function(ops);

	if (err == -EBUSY)
		pr_err("submit_bio_noacct is taken by another module or livepatch, or kernel.ftrace_enabled is 0\n");
	else if (err)
		pr_err("submit_bio_noacct can't be hooked: error %d\n", err);
	return err;
}

static void disable_unused(struct work_struct *work)
{
	mutex_lock(&hook_mutex);
	if (!users && registered) {
		unregister_ftrace_function(&hook);
		registered = false;
	}
	mutex_unlock(&hook_mutex);
}

static DECLARE_WORK(unhook_work, disable_unused);

/* May sleep. -EBUSY: see enable(). */
int bf_hook_get(void)
{
	int err = 0;

	mutex_lock(&hook_mutex);
	if (!registered)
		err = enable(&hook);
	if (!err) {
		registered = true;
		users++;
	}
	mutex_unlock(&hook_mutex);
	return err;
}

/* The unhooking itself takes a grace period that a dying filter need not wait for. */
void bf_hook_put(void)
{
	mutex_lock(&hook_mutex);
	if (!--users)
		queue_work(system_long_wq, &unhook_work);
	mutex_unlock(&hook_mutex);
}

bool bf_hook_active(void)
{
	return READ_ONCE(registered);
}

/*
 * Do both ways in lead through the hook? A compiler may have inlined submit_bio_noacct() into submit_bio(). The canary
 * is an operation that submit_bio_noacct() refuses for any disk, sent to a disk that was never added: harmless if
 * missed.
 */
static struct bio *canary;
static unsigned int canary_seen;

static void canary_steal(struct bio *bio)
{
	canary_seen++;
}

static void notrace canary_callback(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
				    struct ftrace_regs *fregs)
{
	if ((struct bio *)ftrace_regs_get_argument(fregs, 0) == canary)
		ftrace_regs_set_instruction_pointer(fregs, (unsigned long)canary_steal);
}

static struct ftrace_ops canary_hook = {
	.func = canary_callback,
	.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT,
};

static int sing(void)
{
	struct gendisk *disk = bf_alloc_disk();
	struct bio bio;
	int err;

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	bio_init(&bio, NULL, NULL, 0, REQ_OP_FLUSH);
	bio.bi_bdev = disk->part0;
	canary = &bio;

	err = enable(&canary_hook);
	if (!err) {
		submit_bio(&bio);
		submit_bio_noacct(&bio);
		unregister_ftrace_function(&canary_hook);
	}
	put_disk(disk);
	if (!err && canary_seen != 2) {
		pr_err("submit_bio_noacct can't be intercepted in this kernel: %u of 2 test requests seen\n", canary_seen);
		return -EOPNOTSUPP;
	}
	return err;
}

static int prepare(struct ftrace_ops *ops)
{
	int err = ftrace_set_filter_ip(ops, (unsigned long)submit_bio_noacct, 0, 0);

	if (err)
		pr_err("ftrace does not know submit_bio_noacct: error %d\n", err);
	return err;
}

int bf_hook_init(void)
{
	int err = prepare(&canary_hook);

	if (!err)
		err = sing();
	ftrace_free_filter(&canary_hook);
	return err ?: prepare(&hook);
}

/* Nothing is attached any more: open files and attachments hold the module. */
void bf_hook_exit(void)
{
	flush_work(&unhook_work);
	WARN_ON(registered);
	ftrace_free_filter(&hook);
	/* Also for the ends of what dropped the last references, and of the completions before. */
	synchronize_rcu_tasks();
}
