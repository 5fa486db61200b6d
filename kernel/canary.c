// SPDX-License-Identifier: GPL-2.0
/*
 * What blk-throttle has parked is in nobody's count, and its queues are its own. They are first in, first out by cgroup and
 * direction, and so are the ways up through the parents. So a canary is put behind, in each cgroup and direction, and when
 * it comes out, what was in front has been submitted to the driver. A canary has to keep to the limits, and takes as long
 * as what is in front.
 *
 * The canaries of a disk are empty bios, which no driver should get. So they go to a cage: a disk of ours that shares the
 * other's request queue, hence its throttle, and ends each bio that reaches its submit_bio(). It was never added, so nobody
 * else knows it. The queue lives as long as the disk's struct device, which the drain holds.
 */
#include <linux/blk-cgroup.h>
#include <linux/cgroup.h>

#include "drain.h"

#if defined(CONFIG_BLK_CGROUP) && defined(CONFIG_BLK_DEV_THROTTLING)

static void canary_endio(struct bio *bio)
{
	struct bf_drain *d = bio->bi_private;

	bio_uninit(bio);
	kfree(bio);
	atomic_dec(&d->nr_canaries);
	bf_drain_put(d);
}

static void cage_submit(struct bio *bio)
{
	bio_endio(bio);
}

static const struct block_device_operations cage_fops = {
	.submit_bio = cage_submit,
};

static int build_cage(struct bf_drain *d)
{
	struct gendisk *cage = bf_alloc_disk();

	if (IS_ERR(cage))
		return PTR_ERR(cage);
	cage->fops = &cage_fops;
	/* Who can't enter the queue, as its disk has died, is not to wait for it; the throttle has let it go by then. */
	set_bit(GD_DEAD, &cage->state);
	bf_bdev_has_submit_bio(cage->part0);
	d->cage_queue = cage->queue;
	cage->queue = d->disk->queue;
	cage->part0->bd_queue = d->disk->queue;
	d->cage = cage;
	return 0;
}

/* No canary is left. May sleep. */
void bf_cage_free(struct bf_drain *d)
{
	if (!d->cage)
		return;
	d->cage->queue = d->cage_queue;
	d->cage->part0->bd_queue = d->cage_queue;
	put_disk(d->cage);
}

/* The cgroup's part of the disk is found, or made, by the disk's own name. */
static int send(struct bf_drain *d, struct cgroup_subsys_state *css, blk_opf_t op)
{
	struct bio *bio = kmalloc(sizeof(*bio), GFP_KERNEL);

	if (!bio)
		return -ENOMEM;
	bio_init(bio, d->disk->part0, NULL, 0, op);
	bio_associate_blkg_from_css(bio, css);
	bio->bi_bdev = d->cage->part0;
	bio->bi_end_io = canary_endio;
	bio->bi_private = d;
	bf_drain_get(d);
	atomic_inc(&d->nr_canaries);
	submit_bio_noacct(bio);
	return 0;
}

static int send_all(struct bf_drain *d)
{
	struct cgroup_subsys_state *css;
	int err = 0;

	rcu_read_lock();
	css_for_each_descendant_pre(css, blkcg_root_css) {
		if (err || !css_tryget(css))
			continue;
		rcu_read_unlock();
		err = send(d, css, REQ_OP_READ) ?: send(d, css, REQ_OP_WRITE);
		rcu_read_lock();
		css_put(css);
	}
	rcu_read_unlock();
	return err;
}

/* May sleep. 0, or as bf_drain_pause(); then canaries may be left, and keep the drain. */
int bf_await_throttle(struct bf_drain *d)
{
	int err = build_cage(d);

	d->stage = "requests parked by blk-throttle";
	if (!err)
		err = send_all(d);
	while (!err && atomic_read(&d->nr_canaries))
		err = bf_drain_pause(d);
	return err;
}

#else

int bf_await_throttle(struct bf_drain *d)
{
	return 0;
}

void bf_cage_free(struct bf_drain *d)
{
}

#endif
