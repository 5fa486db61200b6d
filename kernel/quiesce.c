// SPDX-License-Identifier: GPL-2.0
/*
 * What the driver has: all of it went in, and completes.
 *
 *	requests (blk-mq)	each holds the queue's usage count until it completes, so the queue is frozen once.
 *	dm			the count covers only the driver's submit_bio(), and not all targets account for what they
 *				keep (dm-crypt); dm itself knows: it is suspended for a moment, as its own snapshots do.
 *	other bios (md ...)	the count as far as it goes; then what the driver has under way by its own statistics,
 *				while the queue is frozen and nothing is added. A bio of ours tells whether it keeps them.
 *
 * The thread that suspends dm may have to wait for a filter, as long as that takes.
 */
#include <linux/blk-mq.h>
#include <linux/module.h>
#include <linux/part_stat.h>

#include "drain.h"

static int freeze_queue(struct bf_drain *d)
{
	struct request_queue *q = d->disk->queue;
	int err = 0;

	bf_freeze_queue_start(q);
	while (!err && blk_mq_freeze_queue_wait_timeout(q, HZ / 50) <= 0)
		err = bf_drain_pause(d);
	return err;
}

static void thaw_queue(struct bf_drain *d)
{
	bf_unfreeze_queue(d->disk->queue);
}

static unsigned long under_way(struct block_device *bdev)
{
	unsigned long n = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		n += part_stat_local_read_cpu(bdev, in_flight[0], cpu) + part_stat_local_read_cpu(bdev, in_flight[1], cpu);
	return n;
}

/* The disk's, and each partition's own. */
static bool is_busy(struct gendisk *disk)
{
	struct block_device *bdev;
	unsigned long i, n = 0;

	rcu_read_lock();
	xa_for_each(&disk->part_tbl, i, bdev)
		n += under_way(bdev);
	rcu_read_unlock();
	return n;
}

struct probe {
	struct bf_drain		*drain;
	struct bio		bio;
	struct bio_vec		vec;
};

static void probe_endio(struct bio *bio)
{
	struct probe *p = container_of(bio, struct probe, bio);
	struct bf_drain *d = p->drain;

	if (bio->bi_vcnt)
		__free_page(p->vec.bv_page);
	bio_uninit(bio);
	kfree(p);
	atomic_dec(&d->nr_probes);
	bf_drain_put(d);
}

/* Past all filters: marked for its disk. The reserve of marks may wait for what only the end of the drain lets go. */
static int submit(struct bf_drain *d, struct bio *bio)
{
	static const struct bf_origin nobody;
	int err = 0;

	bio->bi_end_io = probe_endio;
	bf_drain_get(d);
	atomic_inc(&d->nr_probes);
	while (!err && !bf_mark_unseen(bio, &nobody))
		err = bf_drain_pause(d);
	if (err)
		probe_endio(bio);
	else
		submit_bio_noacct(bio);
	return err;
}

static struct probe *probe_alloc(struct bf_drain *d, blk_opf_t op)
{
	struct probe *p = kzalloc(sizeof(*p), GFP_NOIO);

	if (p) {
		p->drain = d;
		bio_init(&p->bio, d->disk->part0, &p->vec, 1, op);
	}
	return p;
}

/* An empty flush goes behind what md keeps for one. */
static int probe_flush(struct bf_drain *d)
{
	struct probe *p = probe_alloc(d, REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC);

	return p ? submit(d, &p->bio) : -ENOMEM;
}

static int probe_read(struct bf_drain *d)
{
	struct probe *p = probe_alloc(d, REQ_OP_READ | REQ_SYNC);
	struct page *page = alloc_page(GFP_NOIO);

	if (!p || !page) {
		if (p)
			bio_uninit(&p->bio);
		kfree(p);
		if (page)
			__free_page(page);
		return -ENOMEM;
	}
	__bio_add_page(&p->bio, page, min_t(u32, bdev_logical_block_size(d->disk->part0), PAGE_SIZE), 0);
	return submit(d, &p->bio);
}

/* Does the driver count what it does? Else nobody can tell when it is done. */
static int probe_driver(struct bf_drain *d)
{
	unsigned long before = part_stat_read(d->disk->part0, ios[STAT_READ]);
	int err = probe_flush(d) ?: probe_read(d);

	while (!err && atomic_read(&d->nr_probes))
		err = bf_drain_pause(d);
	if (!err && part_stat_read(d->disk->part0, ios[STAT_READ]) == before)
		err = -EOPNOTSUPP;
	return err;
}

static int quiesce_bios(struct bf_drain *d)
{
	/* The worker that md has for flushes was waited for by the probe; it may be about to go on with what was behind one. */
	int err = probe_driver(d) ?: bf_drain_submitters(d);

	if (err)
		return err;
	d->stage = "requests in the driver";
	err = freeze_queue(d);
	while (!err && is_busy(d->disk))
		err = bf_drain_pause(d);
	thaw_queue(d);
	return err;
}

static int suspend_once(void *drain)
{
	struct bf_drain *d = drain;

	bf_dm_suspend_once(d->disk);
	complete(&d->suspended);
	bf_drain_put(d);
	module_put_and_kthread_exit(0);
	return 0;
}

/*
 * Writes to a zone that wait for the one before them dm has not seen yet, but the count of the queue has. For moments only is it
 * frozen: in early versions of 6.12 they would not be sent on meanwhile. Who has suspended dm before, with the last of these in
 * it, has it put off, and that one passes the hook unseen.
 */
static int quiesce_plugs(struct bf_drain *d)
{
	struct request_queue *q = d->disk->queue;
	bool empty = false;
	int err = 0;

	while (!err && !empty) {
		bf_freeze_queue_start(q);
		empty = blk_mq_freeze_queue_wait_timeout(q, HZ / 10) > 0;
		thaw_queue(d);
		if (!empty)
			err = bf_drain_pause(d);
	}
	return err;
}

static int quiesce_dm(struct bf_drain *d)
{
	int err = bdev_is_zoned(d->disk->part0) ? quiesce_plugs(d) : 0;

	err = err ?: bf_drain_thread(d, suspend_once, "suspend");
	return err ?: bf_drain_await(d, &d->suspended);
}

/* May sleep. 0, or as bf_drain_pause(); -EOPNOTSUPP: nobody knows. */
int bf_quiesce(struct bf_drain *d)
{
	int err;

	d->stage = "requests in the driver";
	if (d->disk->fops->submit_bio)
		return bf_disk_is_dm(d->disk) ? quiesce_dm(d) : quiesce_bios(d);
	err = freeze_queue(d);
	thaw_queue(d);
	return err;
}
