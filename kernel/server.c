// SPDX-License-Identifier: GPL-2.0
/*
 * The process that serves a filter, and what its threads may wait for.
 *
 * After PASS somebody must submit the bio, and may have to wait there, for a tag or for memory of the disk's driver. A worker
 * can always wait, but costs two switches between threads. The filter's own thread may wait only for what comes without its
 * doing: if it waits on one disk for a bio that is to be presented to it on another one, below, it waits for itself. So it
 * submits by itself
 *
 *	- to hardware (device.c:is_hardware()), which waits for nobody's filter, or
 *	- to the only disk, @only, on which its process has attachments, whatever kind of disk that is.
 *
 * Why nobody waits for himself there. Whoever submits to a disk waits, if at all, for what lies strictly below that disk:
 * its driver, the devices and files that the driver uses, the file systems of these files. A disk is not below itself. Let a
 * thread of process A wait while it submits to its only disk a. If what it waits for depends on a filter, then on one of a
 * disk b strictly below a, so of another process B, for A has attachments only on a. If a thread of B waits in its turn, then
 * for hardware, or while it submits to B's only disk, which is b, and then for something strictly below b. So it goes down
 * with each step, and ends. What serves such a disk from user space (an nbd or ublk server, a FUSE file system under a
 * loop device) must not be the thread that serves the filter; nor could that thread do I/O to the disk.
 *
 * A process is a table of descriptors here, struct files_struct, which is what a filter's life hangs on as well. A filter that
 * is served by more than one process connects all that these serve: as long as there is one nobody has an only disk.
 *
 * An attachment may come while a thread waits in this way. bf_server_suspend() takes the privilege away, and waits until no
 * thread of the process submits; only then does the attachment enter its chain. What the threads wait for at that
 * moment ends without this process, by what was said. A deadline is the second line: should a thread ever wait for a request
 * of its own, that request is settled as one that is late.
 *
 * Zoned disks are left to the worker: a thread that begins to submit by itself could overtake it.
 */
#include <linux/delay.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>

#include "blkfilter.h"

static u32 nr_shared;	/* filters that more than one process serves; under bf_lock */
atomic_t bf_servers[1 << BF_SERVERS_BITS];

static bool has_other_disk(const struct bf_filter *f, const struct bf_device **dev)
{
	struct bf_attachment *att;

	list_for_each_entry(att, &f->attachments, of_filter) {
		if (!*dev)
			*dev = att->dev;
		if (att->dev->disk != (*dev)->disk)
			return true;
	}
	return false;
}

static const struct gendisk *only_disk(const void *files)
{
	const struct bf_device *dev = NULL;
	struct bf_filter *f;

	if (nr_shared)
		return NULL;
	list_for_each_entry(f, &bf_filters, node)
		if (f->server_files == files && (f->nr_attaching || has_other_disk(f, &dev)))
			return NULL;
	return dev && !dev->zone_sectors ? dev->disk : NULL;
}

/* Under bf_lock: what the process that serves @f serves has changed. */
void bf_server_review(struct bf_filter *f)
{
	const void *files = f->server_files;
	const struct gendisk *only;
	struct bf_filter *other;

	lockdep_assert_held(&bf_mutex);
	if (!files)
		return;
	only = only_disk(files);
	list_for_each_entry(other, &bf_filters, node)
		if (other->server_files == files)
			WRITE_ONCE(other->only, only);
}

static void set_shared(struct bf_filter *f, bool shared)
{
	struct bf_filter *other;

	if (f->shared == shared)
		return;
	f->shared = shared;
	nr_shared += shared ? 1 : -1;
	list_for_each_entry(other, &bf_filters, node)
		bf_server_review(other);
}

/* Before @f is found by anybody; under bf_lock; at last with 0, when nobody has it any more. */
void bf_server_set(struct bf_filter *f, pid_t server)
{
	if (server)
		atomic_inc(&bf_servers[bf_server_hash(server)]);
	if (f->server)
		atomic_dec(&bf_servers[bf_server_hash(f->server)]);
	WRITE_ONCE(f->server, server);
}

static void note(struct bf_filter *f)
{
	unsigned int noio = bf_lock();

	if (!f->server_files) {
		WRITE_ONCE(f->server_files, current->files);
		bf_server_set(f, current->tgid);
		bf_server_review(f);
	} else if (f->server_files != current->files && !f->dead) {
		set_shared(f, true);
	}
	bf_unlock(noio);
}

/*
 * The first thread to come makes its process the server: its own I/O is not for itself, its exit is the filter's end.
 */
void bf_server_note(struct bf_filter *f)
{
	if (unlikely(READ_ONCE(f->server_files) != current->files && !READ_ONCE(f->shared)))
		note(f);
}

/* Any context. Threads end, and exec(2) ends all but one, without a word to us. */
static bool lives(const struct bf_filter *f, pid_t thread)
{
	struct task_struct *task;
	bool lives;

	rcu_read_lock();
	task = pid_task(find_pid_ns(thread, &init_pid_ns), PIDTYPE_PID);
	lives = task && task->tgid == READ_ONCE(f->server) && !(READ_ONCE(task->flags) & PF_EXITING);
	rcu_read_unlock();
	return lives;
}

/* Any context. Would thread @pid of the process that serves @f wait for itself, or for nobody, if it waited for @f? */
bool bf_server_is_alone(const struct bf_filter *f, pid_t pid)
{
	pid_t thread;
	u32 i, others = 0;

	for (i = 0; i < f->nr_queues; i++) {
		thread = READ_ONCE(f->queues[i].thread);
		if (thread == pid || thread == BF_ANY_THREAD)
			return true;
		others += thread && lives(f, thread);
	}
	return !others;
}

/*
 * Is the process that serves @f killed, or exits, whatever its threads still wait for? What they do before they are gone is no
 * answer any more. exec(2), which ends all threads but one, is no such thing.
 */
bool bf_server_is_dying(const struct bf_filter *f)
{
	struct task_struct *task;
	bool dying;

	if (!READ_ONCE(f->server_files))
		return false;
	rcu_read_lock();
	task = pid_task(find_pid_ns(READ_ONCE(f->server), &init_pid_ns), PIDTYPE_TGID);
	dying = task && (READ_ONCE(task->signal->flags) & SIGNAL_GROUP_EXIT);
	rcu_read_unlock();
	return dying;
}

/* Under bf_lock: @f, dead and not in bf_filters any more, is served by nobody. */
void bf_server_gone(struct bf_filter *f)
{
	set_shared(f, false);
	bf_server_review(f);
}

/* A thread begins to apply verdicts, under the verdict_mutex: the disk that it may wait for beside hardware, or NULL. */
const struct gendisk *bf_server_begin(struct bf_queue *q)
{
	const struct bf_filter *f = q->filter;

	if (!READ_ONCE(f->only) || (READ_ONCE(f->server_files) != current->files && current != q->spinner))
		return NULL;
	/* Pairs with drain(): either it sees this, or we see that there is none. */
	smp_store_mb(q->waits_for_only, true);
	return READ_ONCE(f->only);
}

void bf_server_end(struct bf_queue *q)
{
	/* Pairs with wait_for_queue(): what it submitted is submitted. */
	smp_store_release(&q->waits_for_only, false);
}

/* With a reference, the next filter that @files serves; drops that of @f. */
static struct bf_filter *next_served(struct bf_filter *f, const void *files)
{
	struct bf_filter *other, *found = NULL;
	u32 id = f ? f->id : 0;
	unsigned int noio = bf_lock();

	list_for_each_entry(other, &bf_filters, node) {
		if (other->id > id && other->server_files == files) {
			kref_get(&other->ref);
			found = other;
			break;
		}
	}
	bf_unlock(noio);
	if (f)
		bf_filter_put(f);
	return found;
}

/* @limit: jiffies, or 0. */
static int wait_for_queue(struct bf_queue *q, unsigned long limit)
{
	/* Pairs with bf_server_end(). */
	while (smp_load_acquire(&q->waits_for_only)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (limit && time_after(jiffies, limit)) {
			pr_warn("\"%s\": not attached, as one of its threads waits for the device that it has already\n",
				q->filter->name);
			return -ETIMEDOUT;
		}
		usleep_range(500, 1000);
	}
	return 0;
}

/* The privilege is gone; who begins after this has it no more, who still has it ends. */
static int drain(struct bf_filter *f, unsigned long limit)
{
	int err = 0;
	u32 i;

	/* Pairs with bf_server_begin(). */
	smp_mb();
	for (i = 0; i < f->nr_queues && !err; i++)
		err = wait_for_queue(&f->queues[i], limit);
	return err;
}

/*
 * Before an attachment of @f enters its chain. Until bf_server_resume(), which the caller owes even on failure, no thread of
 * the process submits to anything but hardware. Sleeps until those that do are through. -EINTR: killed. -ETIMEDOUT: @limit, in
 * jiffies, if it is not 0: what they wait for may be what the caller holds (a frozen file system, the class of devices).
 */
int bf_server_suspend(struct bf_filter *f, unsigned long limit)
{
	struct bf_filter *other = NULL;
	unsigned int noio = bf_lock();
	void *files = f->server_files;
	int err = 0;

	f->nr_attaching++;
	bf_server_review(f);
	bf_unlock(noio);

	while (files && (other = next_served(other, files)))
		err = err ?: drain(other, limit);
	return err;
}

void bf_server_resume(struct bf_filter *f)
{
	unsigned int noio = bf_lock();

	f->nr_attaching--;
	bf_server_review(f);
	bf_unlock(noio);
}
