// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow of a write: what goes down in its place when the filter supplies other data. The submitter's pages are not
 * ours to change (the page cache maps them, direct I/O reads them again), so the new data get pages of their own.
 *
 * A shadow consists of parts, legs (leg.c) of up to BIO_MAX_VECS pages. Each goes its own way, below the attachment or where the verdict
 * redirects it, with its mirror if there is one, which shares its pages.
 *
 *	MODIFY --> parts are built and sent, without waiting for memory --> all sent --> all ended --> bf_request_endio()
 *			|						^
 *			+-- no memory --> a worker goes on, which may wait ------+
 *
 * Why the worker gets on without memory: each attachment has pages, vectors and a worker of its own, in reserve. Who waits for
 * them builds parts that fit into the reserve, has sent all that it had built before, and waits for pages alone. So what it waits
 * for has been sent below the attachment, or elsewhere. There it may wait for the reserve of another attachment, which is below
 * this one, and so on, but never for this one's. (Filters that redirect to each other's devices make a circle of their own.)
 *
 * Zoned disks: there the filter's thread waits itself, or a later write would overtake. So one thread that serves two attachments to such a
 * disk, both of which change data, may wait for itself when the machine has no memory at all, until the deadline.
 */
#include <linux/blk-cgroup.h>
#include <linux/mempool.h>

#include "blkfilter.h"

#define PART_BYTES	((u32)BIO_MAX_VECS << PAGE_SHIFT)
#define RESERVE_BYTES	((u32)SZ_64K)	/* no logical block is larger */

/* Of an attachment. */
struct bf_shadows {
	struct bio_set		parts;
	mempool_t		pages;
	u32			reserve;	/* bytes of @pages, and of a part for which somebody waits */
	struct mutex		patience;	/* one at a time may hold some of the pages that it needs while it waits for others */
	struct workqueue_struct	*wq;
};

static bool must_be_whole(const struct bf_request *rq)
{
	return rq->op == BFUSE_OP_ZONE_APPEND || (rq->bio->bi_opf & REQ_ATOMIC);
}

/*
 * A write that must not be split has to fit into one part, and into one request of the driver: the submitter's pages may lie one behind
 * the other, and be few segments; of the part's each is one.
 */
bool bf_shadow_fits(const struct bf_request *rq)
{
	u32 most = min_t(u32, BIO_MAX_VECS, queue_max_segments(bdev_get_queue(rq->bio->bi_bdev)));

	return !must_be_whole(rq) || DIV_ROUND_UP(rq->length, PAGE_SIZE) <= most;
}

/* What must be whole fits into the reserve, too, unless its device can do such writes only since a while ago: then memory has to be found. */
static u32 part_bytes(const struct bf_request *rq, bool wait)
{
	u32 most = wait && !must_be_whole(rq) ? rq->att->shadows->reserve : PART_BYTES;

	return min(rq->length - rq->built, most);
}

static void free_part(struct bf_leg *leg)
{
	struct bf_shadows *shadows = leg->rq->att->shadows;
	struct bio_vec *bv;
	struct bvec_iter_all i;

	bio_for_each_segment_all(bv, &leg->bio, i)
		mempool_free(bv->bv_page, &shadows->pages);
	bio_put(&leg->bio);
}

static bool get_data_pages(struct bf_shadows *shadows, struct bio *bio, u32 bytes, gfp_t gfp)
{
	while (bytes) {
		u32 n = min_t(u32, bytes, PAGE_SIZE);
		struct page *page = mempool_alloc(&shadows->pages, gfp);

		if (!page)
			return false;
		__bio_add_page(bio, page, n, 0);
		bytes -= n;
	}
	return true;
}

static bool get_data_pages_patiently(struct bf_shadows *shadows, struct bio *bio, u32 bytes)
{
	bool ok;

	mutex_lock(&shadows->patience);
	ok = get_data_pages(shadows, bio, bytes, GFP_NOIO);
	mutex_unlock(&shadows->patience);
	return ok;
}

/* What a write has beside its data, for part of it. A flush that must precede the data precedes all parts. */
static void inherit(struct bio *bio, const struct bf_request *rq)
{
	struct bio *from = rq->bio;

	bio->bi_ioprio = from->bi_ioprio;
	bf_bio_copy_hints(bio, from);
	bio_clone_blkg_association(bio, from);
}

static const void *source(const struct bf_request *rq)
{
	return (rq->staged ?: bf_slot(rq)) + rq->built;
}

/* The next part, or NULL if @wait is false and there is no memory. */
static struct bf_leg *build(struct bf_request *rq, bool wait)
{
	struct bf_shadows *shadows = rq->att->shadows;
	u32 bytes = part_bytes(rq, wait);
	gfp_t gfp = wait ? GFP_NOIO : GFP_NOWAIT | __GFP_NOWARN;
	struct bio *bio = bio_alloc_bioset(bf_leg_bdev(rq, BF_LEG_MAIN), DIV_ROUND_UP(bytes, PAGE_SIZE),
					   rq->bio->bi_opf & ~(REQ_NOWAIT | REQ_POLLED), gfp, &shadows->parts);
	struct bf_leg *leg = container_of(bio, struct bf_leg, bio);

	if (!bio)
		return NULL;
	bf_leg_init(leg, rq, BF_LEG_MAIN, free_part);
	if (!(wait ? get_data_pages_patiently(shadows, bio, bytes) : get_data_pages(shadows, bio, bytes, gfp))) {
		bf_leg_put(leg);
		return NULL;
	}
	inherit(bio, rq);
	bf_copy_to_bio(bio, bio->bi_iter, source(rq), 0, bytes);
	bf_leg_aim(leg, rq->built);
	return leg;
}

/* Who waits here for a mirror's leg keeps a part, but legs that are under way need no pages to come back. */
static bool build_mirror(struct bf_request *rq, struct bf_leg *part, bool wait, struct bf_leg **mirror)
{
	*mirror = NULL;
	if (!rq->way || !(rq->way->flags & BFUSE_VERDICT_MIRROR))
		return true;
	*mirror = bf_leg_clone(rq, BF_LEG_MIRROR, part, rq->built, wait ? GFP_NOIO : GFP_NOWAIT | __GFP_NOWARN);
	return *mirror;
}

/* False: out of memory. */
static bool send_part(struct bf_request *rq, struct bf_batch *batch, bool wait)
{
	struct bf_leg *part = build(rq, wait), *mirror;

	if (!part)
		return false;
	if (!build_mirror(rq, part, wait, &mirror)) {
		bf_leg_put(part);
		return false;
	}
	rq->built += part->bio.bi_iter.bi_size;
	atomic_add(mirror ? 2 : 1, &rq->parts);
	bf_leg_send(part, batch);
	if (mirror)
		bf_leg_send(mirror, batch);
	return true;
}

/* Builds and sends what is left. False: out of memory. Else @rq is not to be touched any more. */
static bool send_parts(struct bf_request *rq, struct bf_batch *batch, bool wait)
{
	while (rq->built < rq->length) {
		if (!send_part(rq, batch, wait))
			return false;
		/* Who is going to wait for the next part's memory must not keep this one's. */
		if (wait)
			bf_batch_kick(batch);
	}
	bf_unstage(rq);
	bf_legs_end(rq);
	return true;
}

static void go_on(struct work_struct *work)
{
	struct bf_request *rq = container_of(work, struct bf_request, work);
	struct bf_batch batch = {};

	send_parts(rq, &batch, true);
	bf_batch_kick(&batch);
}

/*
 * After BFUSE_VERDICT_MODIFY, @rq in BF_TAG_DOWN. The filter's thread must not wait for memory that comes back when it
 * serves another request; except where zones are written to, and a later write must not overtake this one.
 */
void bf_shadow_forward(struct bf_request *rq, struct bf_batch *batch)
{
	bool wait = bf_keeps_order(rq);

	bf_legs_begin(rq);
	/* Parts of requests before this one may be in there. */
	if (wait)
		bf_batch_kick(batch);
	if (send_parts(rq, batch, wait))
		return;
	INIT_WORK(&rq->work, go_on);
	queue_work(rq->att->shadows->wq, &rq->work);
}

/* What must be whole comes where there are zones, or atomic writes. */
static u32 reserve_for(struct block_device *bdev)
{
	return bdev_is_zoned(bdev) || bf_bdev_has_atomic_writes(bdev) ? PART_BYTES : RESERVE_BYTES;
}

/* For an attachment that promises MODIFY. May sleep. */
struct bf_shadows *bf_shadows_alloc(struct block_device *bdev)
{
	struct bf_shadows *shadows = kzalloc(sizeof(*shadows), GFP_KERNEL);

	if (!shadows)
		return NULL;
	mutex_init(&shadows->patience);
	shadows->reserve = reserve_for(bdev);
	shadows->wq = alloc_ordered_workqueue("blkfilter/data", WQ_MEM_RECLAIM | WQ_HIGHPRI);
	if (shadows->wq && !bioset_init(&shadows->parts, BIO_POOL_SIZE, offsetof(struct bf_leg, bio), BIOSET_NEED_BVECS) &&
	    !mempool_init_page_pool(&shadows->pages, shadows->reserve >> PAGE_SHIFT, 0))
		return shadows;
	bf_shadows_free(shadows);
	return NULL;
}

/* No part outlives its request. May sleep: who sent the last part may not have left the worker yet. */
void bf_shadows_free(struct bf_shadows *shadows)
{
	if (!shadows)
		return;
	if (shadows->wq)
		destroy_workqueue(shadows->wq);
	mempool_exit(&shadows->pages);
	bioset_exit(&shadows->parts);
	kfree(shadows);
}
