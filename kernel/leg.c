// SPDX-License-Identifier: GPL-2.0
/*
 * Legs: bios of our own, which together do what a request asks for, in its place: parts of a write with other data
 * (shadow.c), a request that goes elsewhere, its mirror, the copy before it (copy.c).
 *
 * The request stays in BF_TAG_DOWN and counts those legs that are to end before it, and itself until the last is on its
 * way. The last that ends completes the request's own bio, which has gone nowhere. So the request outlives its legs,
 * and with it attachment, device and pools; its targets it holds itself until then.
 *
 * A clone uses the pages of what it is cloned from: the request's own, which live as long as it does, or those of a
 * shadow, which it counts on.
 */
#include "blkfilter.h"

static struct bf_leg *leg_of(struct bio *bio)
{
	return container_of(bio, struct bf_leg, bio);
}

static struct kmem_cache *cache;

/* In reserve for an attachment. */
#define MIN_LEGS	4

/*
 * Not a bio_set: without waiting some kernels don't give what that has in reserve, and nobody would know when to try again.
 */
int bf_legs_pool(mempool_t *pool)
{
	return mempool_init_slab_pool(pool, MIN_LEGS, cache);
}

/* Of an attachment's pool. */
void bf_leg_free(struct bf_leg *leg)
{
	bio_uninit(&leg->bio);
	mempool_free(leg, &leg->rq->att->ways->legs);
}

int bf_legs_init(void)
{
	int err;

	cache = kmem_cache_create("blkfilter_leg", sizeof(struct bf_leg), 0, SLAB_HWCACHE_ALIGN, NULL);
	if (!cache)
		return -ENOMEM;
	err = bf_pieces_init();
	if (err)
		kmem_cache_destroy(cache);
	return err;
}

/* The pools went with their attachments. */
void bf_legs_exit(void)
{
	bf_pieces_exit();
	kmem_cache_destroy(cache);
}

static bool is_redirected(const struct bf_request *rq)
{
	return rq->way && rq->way->redirected;
}

static struct bf_target *target_of(const struct bf_request *rq, enum bf_leg_role role)
{
	if (role == BF_LEG_MIRROR)
		return rq->way->mirror;
	return is_redirected(rq) ? rq->way->target : NULL;
}

/* Where a leg is to go. For one that a file gets it says whom to charge. */
struct block_device *bf_leg_bdev(const struct bf_request *rq, enum bf_leg_role role)
{
	struct bf_target *t = target_of(rq, role);

	if (t)
		return t->bdev ?: rq->bio->bi_bdev;
	return is_redirected(rq) ? rq->att->bdev : rq->bio->bi_bdev;
}

/*
 * Marks it for where it goes. Below the attachment a request goes on as its submitter's; elsewhere, and in copies, it
 * is the filter's, so that the filter is not asked.
 */
void bf_leg_mark(struct bf_leg *leg)
{
	struct bf_filter *f = leg->rq->queue->filter;

	leg->mark.origin = leg->rq->mark.origin;
	if (leg->target || leg->role == BF_LEG_COPY) {
		leg->mark.origin.injector = f->id;
		leg->mark.origin.pid = leg->mark.origin.tgid = READ_ONCE(f->server);
		leg->mark.origin.shared = BF_OWN;
	}
	bf_mark_bio(&leg->bio, &leg->mark, bf_leg_endio);
}

void bf_leg_init(struct bf_leg *leg, struct bf_request *rq, enum bf_leg_role role, void (*release)(struct bf_leg *leg))
{
	leg->rq = rq;
	leg->role = role;
	leg->target = NULL;
	leg->shares = NULL;
	leg->release = release;
	refcount_set(&leg->users, 1);
}

/* Main leg or mirror, which begins @offset bytes into the request. */
void bf_leg_aim(struct bf_leg *leg, u32 offset)
{
	struct bf_request *rq = leg->rq;
	struct bio *bio = &leg->bio;

	leg->target = target_of(rq, leg->role);
	bio_clear_flag(bio, BIO_REMAPPED);
	if (leg->role == BF_LEG_MIRROR) {
		bio->bi_iter.bi_sector = rq->way->mirror_sector;
	} else if (is_redirected(rq)) {
		bio->bi_iter.bi_sector = rq->way->sector;
	} else {
		bio->bi_iter.bi_sector = rq->iter.bi_sector;
		if (bio_flagged(rq->bio, BIO_REMAPPED))
			bio_set_flag(bio, BIO_REMAPPED);
	}
	bio->bi_iter.bi_sector += offset >> SECTOR_SHIFT;
	bf_leg_mark(leg);
}

/* NULL: no memory. @of: the leg whose data it shares, or NULL: the request's own. */
struct bf_leg *bf_leg_clone(struct bf_request *rq, enum bf_leg_role role, struct bf_leg *of, u32 offset, gfp_t gfp)
{
	struct bf_leg *leg = mempool_alloc(&rq->att->ways->legs, gfp);

	if (!leg)
		return NULL;
	/* Fails only for what has a context, and with that is not here. */
	if (bio_init_clone(bf_leg_bdev(rq, role), &leg->bio, of ? &of->bio : rq->bio, gfp)) {
		mempool_free(leg, &rq->att->ways->legs);
		return NULL;
	}
	bf_leg_init(leg, rq, role, bf_leg_free);
	if (of) {
		refcount_inc(&of->users);
		leg->shares = of;
	}
	leg->bio.bi_opf &= ~(REQ_NOWAIT | REQ_POLLED);
	bf_leg_aim(leg, offset);
	return leg;
}

/* Any context. */
void bf_leg_put(struct bf_leg *leg)
{
	struct bf_ways *ways = leg->rq->att->ways;
	struct bf_leg *shares = leg->shares;

	if (!refcount_dec_and_test(&leg->users))
		return;
	leg->release(leg);
	if (ways)
		bf_way_fed(ways);
	if (shares)
		bf_leg_put(shares);
}

/* Has a device that wants its memory better aligned than the one that the request was made for. */
static bool is_misaligned(const struct bf_leg *leg)
{
	u32 mask = bdev_dma_alignment(leg->bio.bi_bdev);
	struct bvec_iter i;
	struct bio_vec bv;

	if (!leg->target || !leg->target->bdev || mask <= bdev_dma_alignment(leg->rq->bdev))
		return false;
	if (!bio_has_data((struct bio *)&leg->bio))
		return false;
	bio_for_each_bvec(bv, (struct bio *)&leg->bio, i)
		if ((bv.bv_offset | bv.bv_len) & mask)
			return true;
	return false;
}

/* Process context. From here on the leg may be done at any moment, and with the last one its request. */
void bf_leg_send(struct bf_leg *leg, struct bf_batch *batch)
{
	struct bf_origin origin = leg->mark.origin;
	struct bf_attachment *att = leg->rq->att;

	if (unlikely(is_misaligned(leg))) {
		bio_io_error(&leg->bio);
		return;
	}
	if (leg->target)
		bf_target_submit(leg->target, &leg->bio);
	else
		/* What the device will refuse is nobody else's business. */
		bf_send_below(att->dev, bf_bio_is_refused(&leg->bio) ? 0 : att->rank, &leg->bio, &origin, batch);
}

/* The request's own bio won't go down, so who polls finds nothing; and a polled one may count on not ending in an interrupt. */
void bf_legs_begin(struct bf_request *rq)
{
	bio_clear_polled(rq->bio);
	rq->built = 0;
	rq->shadowed = true;
	rq->status = BLK_STS_OK;
	atomic_set(&rq->parts, 1);
}

/* One less to wait for. Any context. */
void bf_legs_end(struct bf_request *rq)
{
	if (!atomic_dec_and_test(&rq->parts))
		return;
	if (rq->way) {
		rq->status = bf_way_status(rq, rq->status);
		bf_way_release(rq);
	}
	bf_set_status(rq->bio, rq->status);
	bf_request_endio(rq->bio);
}

/* bi_end_io. Any context. */
void bf_leg_endio(struct bio *bio)
{
	struct bf_leg *leg = leg_of(bio);
	struct bf_request *rq = leg->rq;

	if (leg->role == BF_LEG_COPY) {
		bf_step_endio(container_of(leg, struct bf_piece, leg));
		return;
	}
	if (bio->bi_status && leg->role == BF_LEG_MIRROR)
		bf_way_failed(rq, BF_LEG_MIRROR, bio->bi_status);
	else if (bio->bi_status)
		WRITE_ONCE(rq->status, bio->bi_status);
	else if (rq->op == BFUSE_OP_ZONE_APPEND)
		rq->bio->bi_iter.bi_sector = bio->bi_iter.bi_sector;
	bf_leg_put(leg);
	bf_legs_end(rq);
}

/* The request itself, and then its mirror. False: out of memory. Else @rq is not to be touched any more. */
bool bf_legs_send(struct bf_request *rq, struct bf_batch *batch, bool wait)
{
	u32 legs = rq->way->flags & BFUSE_VERDICT_MIRROR ? 2 : 1;
	gfp_t gfp = wait ? GFP_NOIO : GFP_NOWAIT | __GFP_NOWARN;
	struct bf_leg *leg;

	while (rq->built < legs) {
		leg = bf_leg_clone(rq, rq->built ? BF_LEG_MIRROR : BF_LEG_MAIN, NULL, 0, gfp);
		if (!leg)
			return false;
		rq->built++;
		atomic_inc(&rq->parts);
		bf_leg_send(leg, batch);
		/* See send_parts(). */
		if (wait)
			bf_batch_kick(batch);
	}
	bf_legs_end(rq);
	return true;
}

static bool is_to_zones(const struct bf_target *t)
{
	return t && t->bdev && bdev_is_zoned(t->bdev);
}

/* May what is written to it not be overtaken by what is written later? */
bool bf_keeps_order(const struct bf_request *rq)
{
	const struct bf_way *way = rq->way;

	return bdev_is_zoned(rq->bdev) || (way && (is_to_zones(way->target) || is_to_zones(way->mirror)));
}

/* As it is, but elsewhere, or twice. The filter's thread does not wait for memory, but for zones: see bf_shadow_forward(). */
void bf_legs_forward(struct bf_request *rq, struct bf_batch *batch)
{
	bool wait = bf_keeps_order(rq);

	rq->way->copying = false;
	bf_legs_begin(rq);
	/* Legs of requests before this one may be in there. */
	if (wait)
		bf_batch_kick(batch);
	if (!bf_legs_send(rq, batch, wait))
		bf_way_starve(rq);
}
