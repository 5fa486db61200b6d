/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A drain, between its parts: drain.c leads, frozen.c freezes file systems, submitters.c waits for tasks, canary.c for the
 * throttle, quiesce.c for the device.
 *
 * Everything waits no longer than @end, so what can't be waited for that way is done by others, who hold a reference and
 * may be late: the thread that freezes and thaws, that which suspends a dm device, the grace period, the canaries. The
 * drain, what it pins of the device, and the module live until the last of them is done.
 */
#ifndef BLKFILTER_DRAIN_H
#define BLKFILTER_DRAIN_H

#include <linux/rcupdate.h>

#include "blkfilter.h"

struct bf_frozen {
	struct block_device	*bdev;	/* pinned by its struct device */
};

struct bf_drain {
	struct kref		ref;
	struct work_struct	free;
	struct block_device	*bdev;		/* pinned by its struct device; and so is its disk */
	struct gendisk		*disk;
	struct bf_attachment	*att;		/* only for the one who attaches */
	unsigned long		end;		/* jiffies: give up */
	unsigned long		open;		/* jiffies: requests wait no longer */
	bool			opens;		/* they wait for this: it is an attach */
	const char		*stage;		/* what is waited for, for people */
	u64			since;		/* CLOCK_MONOTONIC: what was intercepted up to then is older */

	struct rcu_head		rcu;
	struct completion	grace;
	struct work_struct	behind;
	struct completion	passed;

	/* frozen.c */
	struct bf_frozen	*frozen;
	u32			nr_frozen;
	u32			nr_fs;		/* file systems among them */
	bool			refused;	/* one could not be frozen */
	struct completion	is_frozen;
	bool			thaw;
	wait_queue_head_t	thaw_wait;

	/* canary.c */
	struct gendisk		*cage;
	struct request_queue	*cage_queue;	/* its own */
	atomic_t		nr_canaries;	/* under way */

	/* quiesce.c */
	struct completion	suspended;
	atomic_t		nr_probes;	/* under way */
};

/* drain.c */
void bf_drain_get(struct bf_drain *d);
void bf_drain_put(struct bf_drain *d);
int bf_drain_pause(struct bf_drain *d);
int bf_drain_submitters(struct bf_drain *d);
int bf_drain_await(struct bf_drain *d, struct completion *done);
int bf_drain_thread(struct bf_drain *d, int (*run)(void *drain), const char *what);

/* frozen.c */
int bf_freeze(struct bf_drain *d);
void bf_freeze_end(struct bf_drain *d);

/* submitters.c */
int bf_await_submitters(struct bf_drain *d);

/* canary.c */
int bf_await_throttle(struct bf_drain *d);
void bf_cage_free(struct bf_drain *d);

/* dm.c */
void bf_dm_suspend_once(struct gendisk *disk);

/* quiesce.c */
int bf_quiesce(struct bf_drain *d);

#endif
