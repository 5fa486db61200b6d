// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks that sleep on the way of a bio from the hook to the driver.
 *
 * From its first step that may sleep on (memory to split the bio, the frozen queue, a tag, the queue's limits),
 * submit_bio_noacct() has current->bio_list set: the list of what a stacked driver submits meanwhile, which belongs to no
 * queue's count either. Before that step it is only preempted. So after a grace period of RCU tasks, which waits for
 * whoever is preempted, a submitter from before it shows its bio_list, or has left.
 *
 * A task has left when its bio_list was seen empty once; one that submits all the time shows gaps too, as each bio that it
 * submits sets it anew.
 */
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "drain.h"

/* Counts them; the first @room get a place in @tasks, and a reference. */
static u32 find(struct task_struct **tasks, u32 room)
{
	struct task_struct *process, *task;
	u32 found = 0;

	rcu_read_lock();
	for_each_process_thread(process, task) {
		if (!READ_ONCE(task->bio_list))
			continue;
		if (found < room) {
			get_task_struct(task);
			tasks[found] = task;
		}
		found++;
	}
	rcu_read_unlock();
	return found;
}

static void forget(struct task_struct **tasks, u32 n)
{
	while (n)
		put_task_struct(tasks[--n]);
}

/* Drops those that have left. Returns how many stay. */
static u32 sift(struct task_struct **tasks, u32 n)
{
	u32 i, left = 0;

	for (i = 0; i < n; i++) {
		if (READ_ONCE(tasks[i]->bio_list))
			tasks[left++] = tasks[i];
		else
			put_task_struct(tasks[i]);
	}
	return left;
}

/* May sleep. 0, or as bf_drain_pause(). */
int bf_await_submitters(struct bf_drain *d)
{
	struct task_struct **tasks = NULL;
	u32 n = find(NULL, 0), room = 0;
	int err = 0;

	d->stage = "submitters that sleep";
	while (n > room) {
		kvfree(tasks);
		room = n + 16;
		tasks = kvcalloc(room, sizeof(*tasks), GFP_KERNEL);
		if (!tasks)
			return -ENOMEM;
		n = find(tasks, room);
		if (n > room)
			forget(tasks, room);
	}
	while (n && !err) {
		n = sift(tasks, n);
		if (n)
			err = bf_drain_pause(d);
	}
	forget(tasks, n);
	kvfree(tasks);
	return err;
}
