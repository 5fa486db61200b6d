// SPDX-License-Identifier: GPL-2.0
/*
 * File systems frozen for a drain: those on the attached device and, if it is a whole disk, on its partitions.
 *
 * To freeze writes all that is dirty, and to thaw may write too; either can hang as long as a filter or a disk does. So a
 * thread does both. Who drains waits for the former as long as it may, and never for the latter; a freeze that comes too
 * late is undone at once.
 */
#include <linux/module.h>

#include "drain.h"

#define MAX_FROZEN	256	/* as many as a disk's partitions */

/* A reference to the next block device of the disk from index @i on, which it advances. */
static struct block_device *next_bdev(struct gendisk *disk, unsigned long *i)
{
	struct block_device *bdev, *found = NULL;

	rcu_read_lock();
	xa_for_each_start(&disk->part_tbl, *i, bdev, *i) {
		if (kobject_get_unless_zero(&bdev->bd_device.kobj)) {
			found = bdev;
			break;
		}
	}
	rcu_read_unlock();
	++*i;
	return found;
}

/* Takes over the caller's reference to @bdev. */
static void freeze_one(struct bf_drain *d, struct block_device *bdev)
{
	bool has_fs = false;

	if (d->nr_frozen < MAX_FROZEN && !bf_freeze_bdev(bdev, &has_fs)) {
		d->frozen[d->nr_frozen++].bdev = bdev;
		d->nr_fs += has_fs;
	} else {
		d->refused = true;
		put_device(&bdev->bd_device);
	}
}

static int run(void *drain)
{
	struct bf_drain *d = drain;
	struct block_device *bdev;
	unsigned long i = 0;

	if (bdev_is_partition(d->bdev)) {
		get_device(&d->bdev->bd_device);
		freeze_one(d, d->bdev);
	} else {
		while (!READ_ONCE(d->thaw) && (bdev = next_bdev(d->disk, &i)))
			freeze_one(d, bdev);
	}
	complete(&d->is_frozen);
	wait_event_idle(d->thaw_wait, READ_ONCE(d->thaw));
	while (d->nr_frozen) {
		bdev = d->frozen[--d->nr_frozen].bdev;
		bf_thaw_bdev(bdev);
		put_device(&bdev->bd_device);
	}
	bf_drain_put(d);
	module_put_and_kthread_exit(0);
	return 0;
}

/* 0, or as bf_drain_pause(); that something can't be frozen is no error. */
int bf_freeze(struct bf_drain *d)
{
	int err;

	d->frozen = kvcalloc(MAX_FROZEN, sizeof(*d->frozen), GFP_KERNEL);
	if (!d->frozen)
		return -ENOMEM;
	err = bf_drain_thread(d, run, "freeze");
	return err ?: bf_drain_await(d, &d->is_frozen);
}

/* Does not wait. Also without bf_freeze(). */
void bf_freeze_end(struct bf_drain *d)
{
	WRITE_ONCE(d->thaw, true);
	wake_up(&d->thaw_wait);
}
