// SPDX-License-Identifier: GPL-2.0
/*
 * Device-mapper disks: whether a disk is one, and until when it has something under way. dm is a module that need not be
 * there, so its functions are looked up, and kept, for each use.
 */
#include <linux/device-mapper.h>
#include <linux/module.h>

#include "drain.h"
#include "compat/dm.h"

/* With a reference, for bf_dm_put(); NULL: it is no dm disk. May sleep. */
static struct mapped_device *md_get(struct gendisk *disk)
{
	typeof(&dm_get_md) get = symbol_get(dm_get_md);
	typeof(&dm_disk) disk_of = symbol_get(dm_disk);
	typeof(&dm_put) put = symbol_get(dm_put);
	struct mapped_device *md = NULL;

	if (get && disk_of && put)
		md = get(disk_devt(disk));
	if (md && disk_of(md) != disk) {
		put(md);
		md = NULL;
	}
	if (get)
		symbol_put(dm_get_md);
	if (disk_of)
		symbol_put(dm_disk);
	if (put)
		symbol_put(dm_put);
	return md;
}

/* The module is there as long as there is a disk of it. */
static void md_put(struct mapped_device *md)
{
	typeof(&dm_put) put = symbol_get(dm_put);

	if (put) {
		put(md);
		symbol_put(dm_put);
	}
}

bool bf_disk_is_dm(struct gendisk *disk)
{
	struct mapped_device *md = md_get(disk);

	if (md)
		md_put(md);
	return md;
}

/*
 * Waits until all that @disk has under way has completed; what comes meanwhile, and what it had put off, is submitted to it
 * afresh. For a disk that somebody else has suspended that is so already. Sleeps as long as it takes.
 */
void bf_dm_suspend_once(struct gendisk *disk)
{
	typeof(&dm_internal_suspend_fast) suspend = symbol_get(dm_internal_suspend_fast);
	typeof(&dm_internal_resume_fast) resume = symbol_get(dm_internal_resume_fast);
	struct mapped_device *md = md_get(disk);

	if (md && suspend && resume) {
		suspend(md);
		resume(md);
	}
	if (md)
		md_put(md);
	if (suspend)
		symbol_put(dm_internal_suspend_fast);
	if (resume)
		symbol_put(dm_internal_resume_fast);
}
