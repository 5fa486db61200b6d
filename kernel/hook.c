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
static struct bio *canary;
static unsigned int canary_seen;

static void canary_steal(struct bio *bio)
{
	canary_seen++;
}

static __always_inline bool wanted(struct bio *bio)
{
	struct bf_device *dev;
	bool found = false;

	rcu_read_lock();
	dev = bf_device_find(bio->bi_bdev->bd_disk);
	if (dev && !bf_bio_is_marked(bio))
		found = bf_chain_wants(dev, bio, current->tgid) && !bf_bio_is_refused(bio);
	rcu_read_unlock();
	return found;
}

static void notrace callback(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			     struct ftrace_regs *fregs)
{
	struct bio *bio = (struct bio *)ftrace_regs_get_argument(fregs, 0);

	if (unlikely(bio == READ_ONCE(canary)))
		ftrace_regs_set_instruction_pointer(fregs, (unsigned long)canary_steal);
	else if (wanted(bio))
		ftrace_regs_set_instruction_pointer(fregs, (unsigned long)bf_intercept);
}

static struct ftrace_ops hook = {
	.func = callback,
	.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT,
};

static int enable(void)
{
	int err = register_ftrace_function(&hook);

	if (err == -EBUSY)
		pr_err("submit_bio_noacct is taken by another module or livepatch, or kernel.ftrace_enabled is 0\n");
	else if (err)
		pr_err("submit_bio_noacct can't be hooked: error %d\n", err);
	registered = !err;
	return err;
}

static void disable(void)
{
	unregister_ftrace_function(&hook);
	registered = false;
}

static void disable_unused(struct work_struct *work)
{
	mutex_lock(&hook_mutex);
	if (!users && registered)
		disable();
	mutex_unlock(&hook_mutex);
}

static DECLARE_WORK(unhook_work, disable_unused);

/* May sleep. -EBUSY: see enable(). */
int bf_hook_get(void)
{
	int err = 0;

	mutex_lock(&hook_mutex);
	if (!registered)
		err = enable();
	if (!err)
		users++;
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
static int sing(void)
{
	struct gendisk *disk = bf_alloc_disk();
	struct bio bio;
	int err;

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	bio_init(&bio, NULL, NULL, 0, REQ_OP_FLUSH);
	bio.bi_bdev = disk->part0;
	WRITE_ONCE(canary, &bio);

	err = enable();
	if (!err) {
		submit_bio(&bio);
		submit_bio_noacct(&bio);
		disable();
	}
	WRITE_ONCE(canary, NULL);
	put_disk(disk);
	if (err)
		return err;
	if (canary_seen != 2) {
		pr_err("submit_bio_noacct can't be intercepted in this kernel: %u of 2 test requests seen\n", canary_seen);
		return -EOPNOTSUPP;
	}
	return 0;
}

int bf_hook_init(void)
{
	int err = ftrace_set_filter_ip(&hook, (unsigned long)submit_bio_noacct, 0, 0);

	if (err) {
		pr_err("ftrace does not know submit_bio_noacct: error %d\n", err);
		return err;
	}
	err = sing();
	if (err)
		ftrace_free_filter(&hook);
	return err;
}

/* Nothing is attached any more: open files and attachments hold the module. */
void bf_hook_exit(void)
{
	flush_work(&unhook_work);
	WARN_ON(registered);
	ftrace_free_filter(&hook);
	synchronize_rcu_tasks();
}
