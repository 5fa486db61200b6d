// SPDX-License-Identifier: GPL-2.0
/* The module and its device: /dev/blkfilter. Filters I/O of live block devices by user-space programs. */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/mm.h>
#include <linux/uaccess.h>

#include "blkfilter.h"
#include "compat/uring.h"

DEFINE_MUTEX(bf_mutex);
struct workqueue_struct *bf_wq, *bf_copy_wq;

/*
 * Allocations under the lock must not wait for I/O: it could be I/O that waits for a filter to be buried under this
 * lock.
 */
unsigned int bf_lock(void)
{
	unsigned int noio = memalloc_noio_save();

	mutex_lock(&bf_mutex);
	return noio;
}

void bf_unlock(unsigned int noio)
{
	mutex_unlock(&bf_mutex);
	memalloc_noio_restore(noio);
}

union bf_arg {
	u32			size;
	struct bfuse_info	info;
	struct bfuse_register	reg;
	struct bfuse_attach	attach;
	struct bfuse_detach	detach;
	struct bfuse_enter	enter;
	struct bfuse_data	data;
	struct bfuse_target	target;
	struct bfuse_untarget	untarget;
	struct bfuse_inject	inject;
	struct bfuse_log	log;
	struct bfuse_ranges	ranges;
	struct bfuse_chunks	chunks;
	struct bfuse_mark	mark;
	struct bfuse_next	next;
	struct bfuse_next_filter next_filter;
	struct bfuse_match	match;
	struct bfuse_offer	offer;
	struct bfuse_answer	answer;
};

static struct bf_filter *filter_of(const struct file *file)
{
	return READ_ONCE(file->private_data);
}

static long do_info(struct file *file, union bf_arg *arg)
{
	return bf_info(&arg->info);
}

static long do_register(struct file *file, union bf_arg *arg)
{
	struct bf_filter *f;

	if (filter_of(file))
		return -EBUSY;
	f = bf_filter_register(&arg->reg);
	if (IS_ERR(f))
		return PTR_ERR(f);
	if (!bf_filter_publish(f, file)) {
		bf_filter_put(f);
		return -EBUSY;
	}
	arg->reg.filter = f->id;
	return 0;
}

static long do_attach(struct file *file, union bf_arg *arg)
{
	return bf_attach(filter_of(file), &arg->attach);
}

static long do_detach(struct file *file, union bf_arg *arg)
{
	return bf_detach(&arg->detach);
}

static long do_enter(struct file *file, union bf_arg *arg)
{
	return filter_of(file) ? bf_enter(filter_of(file), &arg->enter, bf_call_holds_file()) : -ENOENT;
}

static long do_data(struct file *file, union bf_arg *arg)
{
	return filter_of(file) ? bf_data(filter_of(file), &arg->data) : -ENOENT;
}

static long do_target(struct file *file, union bf_arg *arg)
{
	return filter_of(file) ? bf_target_add(filter_of(file), &arg->target) : -ENOENT;
}

static long do_untarget(struct file *file, union bf_arg *arg)
{
	return filter_of(file) ? bf_target_remove(filter_of(file), &arg->untarget) : -ENOENT;
}

static long do_inject(struct file *file, union bf_arg *arg)
{
	return filter_of(file) ? bf_inject(filter_of(file), &arg->inject) : -ENOENT;
}

static long do_match(struct file *file, union bf_arg *arg)
{
	return filter_of(file) ? bf_match(filter_of(file), &arg->match) : -ENOENT;
}

static long do_offer(struct file *file, union bf_arg *arg)
{
	return filter_of(file) ? bf_offer(filter_of(file), &arg->offer) : -ENOENT;
}

static long do_answer(struct file *file, union bf_arg *arg)
{
	return filter_of(file) ? bf_answer(filter_of(file), &arg->answer) : -ENOENT;
}

static long do_next(struct file *file, union bf_arg *arg)
{
	return bf_next(&arg->next);
}

static long do_next_filter(struct file *file, union bf_arg *arg)
{
	return bf_next_filter(&arg->next_filter);
}

static long do_log(struct file *file, union bf_arg *arg)
{
	return bf_log_read(&arg->log);
}

static long do_ranges(struct file *file, union bf_arg *arg)
{
	return filter_of(file) ? bf_ranges(filter_of(file), &arg->ranges) : -ENOENT;
}

static long do_chunks(struct file *file, union bf_arg *arg)
{
	return filter_of(file) ? bf_chunks(filter_of(file), &arg->chunks) : -ENOENT;
}

static long do_mark(struct file *file, union bf_arg *arg)
{
	return filter_of(file) ? bf_mark(filter_of(file), &arg->mark) : -ENOENT;
}

static const struct bf_call {
	long (*call)(struct file *file, union bf_arg *arg);
	size_t size;		/* what this version knows */
	size_t least;		/* what the first version had */
	enum { CONTROL, SERVE, ASK } kind;	/* who may call it: see may_call() */
} calls[] = {
	[_IOC_NR(BFUSE_GET_INFO)] = { do_info, sizeof(struct bfuse_info), sizeof(struct bfuse_info), ASK },
	[_IOC_NR(BFUSE_REGISTER)] = {
		do_register, sizeof(struct bfuse_register), offsetof(struct bfuse_register, window_size) },
	[_IOC_NR(BFUSE_ATTACH)] = {
		do_attach, sizeof(struct bfuse_attach), offsetof(struct bfuse_attach, drain_ms) },
	[_IOC_NR(BFUSE_DETACH)] = { do_detach, sizeof(struct bfuse_detach), sizeof(struct bfuse_detach) },
	[_IOC_NR(BFUSE_ENTER)] = { do_enter, sizeof(struct bfuse_enter), sizeof(struct bfuse_enter), SERVE },
	[_IOC_NR(BFUSE_DATA)] = { do_data, sizeof(struct bfuse_data), sizeof(struct bfuse_data), SERVE },
	[_IOC_NR(BFUSE_TARGET)] = { do_target, sizeof(struct bfuse_target), sizeof(struct bfuse_target) },
	[_IOC_NR(BFUSE_UNTARGET)] = { do_untarget, sizeof(struct bfuse_untarget), sizeof(struct bfuse_untarget) },
	[_IOC_NR(BFUSE_INJECT)] = { do_inject, sizeof(struct bfuse_inject), sizeof(struct bfuse_inject), SERVE },
	[_IOC_NR(BFUSE_LOG)] = { do_log, sizeof(struct bfuse_log), sizeof(struct bfuse_log) },
	[_IOC_NR(BFUSE_RANGES)] = { do_ranges, sizeof(struct bfuse_ranges), sizeof(struct bfuse_ranges), SERVE },
	[_IOC_NR(BFUSE_CHUNKS)] = { do_chunks, sizeof(struct bfuse_chunks), sizeof(struct bfuse_chunks), SERVE },
	[_IOC_NR(BFUSE_MARK)] = { do_mark, sizeof(struct bfuse_mark), sizeof(struct bfuse_mark), SERVE },
	[_IOC_NR(BFUSE_NEXT)] = { do_next, sizeof(struct bfuse_next), offsetof(struct bfuse_next, ranges) },
	[_IOC_NR(BFUSE_NEXT_FILTER)] = {
		do_next_filter, sizeof(struct bfuse_next_filter), offsetof(struct bfuse_next_filter, rules) },
	[_IOC_NR(BFUSE_MATCH)] = { do_match, sizeof(struct bfuse_match), sizeof(struct bfuse_match) },
	[_IOC_NR(BFUSE_OFFER)] = { do_offer, sizeof(struct bfuse_offer), sizeof(struct bfuse_offer), SERVE },
	[_IOC_NR(BFUSE_ANSWER)] = { do_answer, sizeof(struct bfuse_answer), sizeof(struct bfuse_answer), SERVE },
};

static const struct bf_call *find_call(unsigned int cmd)
{
	unsigned int nr = _IOC_NR(cmd);

	return _IOC_TYPE(cmd) == BFUSE_IOCTL_TYPE && nr < ARRAY_SIZE(calls) && calls[nr].call ? &calls[nr] : NULL;
}

/* What the caller gets back: of the size that it gave, what this version knows. */
static int give_back(void __user *user, const union bf_arg *arg, const struct bf_call *call, u32 size)
{
	return copy_to_user(user, arg, min_t(size_t, size, call->size)) ? -EFAULT : 0;
}

/*
 * The opener's privilege guards against a privileged program that is made to use a file it was handed, the caller's against
 * an unprivileged one that was handed the file to serve it.
 */
static bool may_call(const struct bf_call *call, struct file *file)
{
	if (call->kind == ASK)
		return true;
	if (!file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN))
		return false;
	return call->kind == SERVE || capable(CAP_SYS_ADMIN);
}

/*
 * BFUSE_ENTER of the size that this version knows, as each request has a share of one: what is in is read at once, what is out
 * is written at once. The file's opener has been found privileged when it registered. False: call_by_table() is to do it.
 */
static bool enter_at_once(struct bf_filter *f, struct bfuse_enter __user *user, long *result)
{
	struct bfuse_enter arg;
	long err;

	if (!user_read_access_begin(user, sizeof(*user)))
		return false;
	unsafe_get_user(arg.size, &user->size, fault);
	unsafe_get_user(arg.queue, &user->queue, fault);
	unsafe_get_user(arg.flags, &user->flags, fault);
	unsafe_get_user(arg.min_requests, &user->min_requests, fault);
	unsafe_get_user(arg.timeout_ns, &user->timeout_ns, fault);
	user_read_access_end();
	if (arg.size != sizeof(arg))
		return false;

	err = bf_enter(f, &arg, bf_call_holds_file());
	if (!user_write_access_begin(user, sizeof(*user)))
		goto unwritten;
	unsafe_put_user(arg.verdicts, &user->verdicts, write_fault);
	unsafe_put_user(arg.reason, &user->reason, write_fault);
	unsafe_put_user(arg.entry, &user->entry, write_fault);
	unsafe_put_user(arg.ready, &user->ready, write_fault);
	user_write_access_end();
	*result = err;
	return true;

fault:
	user_read_access_end();
	return false;
write_fault:
	user_write_access_end();
unwritten:
	*result = -EFAULT;
	return true;
}

/* BFUSE_ENTER counts itself. */
static long make_call(const struct bf_call *call, struct file *file, union bf_arg *arg)
{
	struct bf_filter *f = filter_of(file);
	bool counts = f && call->call != do_enter && bf_call_holds_file();
	long err;

	if (counts)
		bf_ref_count(&f->calls);
	err = call->call(file, arg);
	if (counts)
		bf_ref_uncount(&f->calls);
	return err;
}

/* Of its own, as compilers clear @arg on entry. */
static noinline long call_by_table(struct file *file, unsigned int cmd, void __user *user)
{
	const struct bf_call *call = find_call(cmd);
	union bf_arg arg;
	u32 size;
	long err;

	if (!call)
		return -ENOTTY;
	if (!may_call(call, file))
		return -EPERM;
	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < call->least)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(&arg, call->size, user, size);
	if (err)
		return err;
	arg.size = size;
	err = make_call(call, file, &arg);
	if (!err || call->call == do_enter)
		err = give_back(user, &arg, call, size) ?: err;
	return err;
}

static long bf_ioctl(struct file *file, unsigned int cmd, unsigned long address)
{
	void __user *user = (void __user *)address;
	long err;

	if (likely(cmd == BFUSE_ENTER && filter_of(file)) && enter_at_once(filter_of(file), user, &err))
		return err;
	return call_by_table(file, cmd, user);
}

/* BFUSE_ENTER from a ring. */
static int bf_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	const struct bf_call *call = find_call(cmd->cmd_op);

	if (issue_flags & IO_URING_F_CANCEL) {
		bf_uring_cancel(cmd, issue_flags);
		return 0;
	}
	if (!call || call->call != do_enter)
		return -ENOTTY;
	if (!may_call(call, cmd->file))
		return -EPERM;
	return filter_of(cmd->file) ? bf_uring_enter(filter_of(cmd->file), cmd, issue_flags) : -ENOENT;
}

static int bf_mmap(struct file *file, struct vm_area_struct *vma)
{
	return filter_of(file) ? bf_filter_mmap(filter_of(file), vma) : -ENOENT;
}

static __poll_t bf_poll(struct file *file, struct poll_table_struct *wait)
{
	return filter_of(file) ? bf_filter_poll(filter_of(file), file, wait) : EPOLLERR;
}

static int bf_open(struct inode *inode, struct file *file)
{
	file->private_data = NULL;	/* misc_open() put itself there */
	return nonseekable_open(inode, file);
}

static int bf_flush(struct file *file, fl_owner_t files)
{
	if (filter_of(file))
		bf_filter_closing(filter_of(file), file, files);
	return 0;
}

static int bf_release(struct inode *inode, struct file *file)
{
	struct bf_filter *f = filter_of(file);

	if (f)
		bf_filter_released(f);
	return 0;
}

static const struct file_operations fops = {
	.owner = THIS_MODULE,
	.open = bf_open,
	.flush = bf_flush,
	.release = bf_release,
	.unlocked_ioctl = bf_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = bf_mmap,
	.poll = bf_poll,
	.uring_cmd = bf_uring_cmd,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "blkfilter",
	.mode = 0600,
	.fops = &fops,
};

static void destroy_workqueues(void)
{
	if (bf_copy_wq)
		destroy_workqueue(bf_copy_wq);
	if (bf_wq)
		destroy_workqueue(bf_wq);
}

static int __init blkfilter_init(void)
{
	int err = -ENOMEM;

	/* As many at once as it takes: work for one device may wait for work for the device below it. */
	bf_wq = alloc_workqueue("blkfilter", WQ_MEM_RECLAIM | WQ_UNBOUND, WQ_UNBOUND_MAX_ACTIVE);
	/* What runs here never waits for I/O, so it gets on when the other's rescuer is all that is left and does wait. */
	bf_copy_wq = alloc_workqueue("blkfilter-copy", WQ_MEM_RECLAIM | WQ_HIGHPRI | WQ_PERCPU, 0);
	if (!bf_wq || !bf_copy_wq)
		goto no_requests;
	err = bf_request_init();
	if (err)
		goto no_requests;
	err = bf_legs_init();
	if (err)
		goto no_legs;
	err = bf_hook_init();
	if (err)
		goto no_hook;
	err = bf_leaving_init();
	if (err)
		goto no_leaving;
	err = bf_arrival_init();
	if (err)
		goto no_arrival;
	err = misc_register(&device);
	if (!err)
		return 0;
	bf_arrival_exit();
no_arrival:
	bf_leaving_exit();
no_leaving:
	bf_hook_exit();
no_hook:
	bf_legs_exit();
no_legs:
	bf_request_exit();
no_requests:
	destroy_workqueues();
	return err;
}

/*
 * Each open file and each attachment holds the module, so there is none. What may be left are submitters on their way into
 * bf_intercept(), who find no attachment and need what bf_request_exit() frees; what went down unseen; and the ends of functions:
 * of the works that dropped the last references, of completions.
 */
static void __exit blkfilter_exit(void)
{
	misc_deregister(&device);
	bf_arrival_exit();
	bf_leaving_exit();
	flush_workqueue(bf_wq);
	bf_hook_exit();
	bf_change_exit();
	bf_request_exit();
	bf_legs_exit();
	destroy_workqueues();
	rcu_barrier();
}

module_init(blkfilter_init);
module_exit(blkfilter_exit);

MODULE_DESCRIPTION("Filters of live block devices in user space");
MODULE_LICENSE("GPL");
MODULE_VERSION(BF_VERSION);
