// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow of a write: what goes down in its place when the filter supplies other data. The submitter's pages are not
 * ours to change (the page cache maps them, direct I/O reads them again), so the new data get pages of their own.
 *
 * A shadow consists of parts, bios of up to BIO_MAX_VECS pages. Each goes its own way below the attachment. The request
 * stays in BF_TAG_DOWN and counts its parts, and itself until the last is built; the last that ends completes the bio.
 *
 *	MODIFY --> parts are built and sent, without waiting for memory --> all sent --> all ended --> bf_request_endio()
 *			|						^
 *			+-- no memory --> a worker goes on, which may wait ------+
 *
 * Why the worker gets on without memory: pages come from a pool that holds a part, vectors from a bioset. Whoever waits for
 * them has sent all that it had built, and only one at a time waits for pages, so what is missing is on its way to a device.
 */
#include <linux/blk-cgroup.h>
#include <linux/mempool.h>

#include "blkfilter.h"

#define PART_BYTES	((u32)BIO_MAX_VECS << PAGE_SHIFT)

struct part {
	struct bf_mark		mark;	/* first: bio->bi_private points here */
	struct bf_request	*rq;
	struct bio		bio;	/* last: its vectors follow */
};

static struct bio_set parts;
static mempool_t pages;
static DEFINE_MUTEX(patience);

/* A write that must not be split has to fit into one part. */
bool bf_shadow_fits(const struct bf_request *rq)
{
	bool whole = rq->op == BFUSE_OP_ZONE_APPEND || (rq->bio->bi_opf & REQ_ATOMIC);

	return !whole || rq->length <= PART_BYTES;
}

static void free_part(struct bio *bio)
{
	struct bio_vec *bv;
	struct bvec_iter_all i;

	bio_for_each_segment_all(bv, bio, i)
		mempool_free(bv->bv_page, &pages);
	bio_put(bio);
}

static bool get_data_pages(struct bio *bio, u32 bytes, gfp_t gfp)
{
	while (bytes) {
		u32 n = min_t(u32, bytes, PAGE_SIZE);
		struct page *page = mempool_alloc(&pages, gfp);

		if (!page)
			return false;
		__bio_add_page(bio, page, n, 0);
		bytes -= n;
	}
	return true;
}

/* One at a time may hold a part of what it needs while it waits for the rest. */
static bool get_data_pages_patiently(struct bio *bio, u32 bytes)
{
	bool ok;

	mutex_lock(&patience);
	ok = get_data_pages(bio, bytes, GFP_NOIO);
	mutex_unlock(&patience);
	return ok;
}

/* What a write has beside its data, for part of it. A flush that must precede the data precedes all parts. */
static void inherit(struct bio *bio, const struct bf_request *rq)
{
	struct bio *from = rq->bio;

	bio->bi_iter.bi_sector = rq->iter.bi_sector + (rq->built >> SECTOR_SHIFT);
	bio->bi_ioprio = from->bi_ioprio;
	bf_bio_copy_hints(bio, from);
	bio_clone_blkg_association(bio, from);
	if (bio_flagged(from, BIO_REMAPPED))
		bio_set_flag(bio, BIO_REMAPPED);
}

static const void *source(const struct bf_request *rq)
{
	return (rq->staged ?: bf_slot(rq)) + rq->built;
}

/* The next part, or NULL if @wait is false and there is no memory. */
static struct bio *build(struct bf_request *rq, bool wait)
{
	u32 bytes = min(rq->length - rq->built, PART_BYTES);
	gfp_t gfp = wait ? GFP_NOIO : GFP_NOWAIT | __GFP_NOWARN;
	struct bio *bio = bio_alloc_bioset(rq->bio->bi_bdev, DIV_ROUND_UP(bytes, PAGE_SIZE),
					   rq->bio->bi_opf & ~(REQ_NOWAIT | REQ_POLLED), gfp, &parts);
	struct part *part = container_of(bio, struct part, bio);

	if (!bio)
		return NULL;
	if (!(wait ? get_data_pages_patiently(bio, bytes) : get_data_pages(bio, bytes, gfp))) {
		free_part(bio);
		return NULL;
	}
	inherit(bio, rq);
	bf_copy_to_bio(bio, bio->bi_iter, source(rq), 0, bytes);
	part->rq = rq;
	bf_mark_bio(bio, &part->mark, bf_shadow_endio);
	rq->built += bytes;
	return bio;
}

static void put_part(struct bf_request *rq)
{
	if (!atomic_dec_and_test(&rq->parts))
		return;
	rq->bio->bi_status = rq->status;
	bf_request_endio(rq->bio);
}

/* bi_end_io of a part. Any context. */
void bf_shadow_endio(struct bio *bio)
{
	struct bf_request *rq = container_of(bio, struct part, bio)->rq;

	if (bio->bi_status)
		WRITE_ONCE(rq->status, bio->bi_status);
	else if (rq->op == BFUSE_OP_ZONE_APPEND)
		rq->bio->bi_iter.bi_sector = bio->bi_iter.bi_sector;
	free_part(bio);
	put_part(rq);
}

/* Builds and sends what is left. False: out of memory. Else @rq is not to be touched any more. */
static bool send_parts(struct bf_request *rq, struct bf_batch *batch, bool wait)
{
	struct bio *bio;

	while (rq->built < rq->length) {
		bio = build(rq, wait);
		if (!bio)
			return false;
		atomic_inc(&rq->parts);
		bf_send_below(rq->att->dev, rq->att->rank, bio, &rq->mark.origin, batch);
	}
	bf_unstage(rq);
	put_part(rq);
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
 * serves another request; except on zoned devices, where a later write must not overtake this one.
 */
void bf_shadow_forward(struct bf_request *rq, struct bf_batch *batch)
{
	rq->built = 0;
	rq->shadowed = true;
	rq->status = BLK_STS_OK;
	atomic_set(&rq->parts, 1);
	if (send_parts(rq, batch, bdev_is_zoned(rq->bio->bi_bdev)))
		return;
	INIT_WORK(&rq->work, go_on);
	queue_work(bf_wq, &rq->work);
}

int bf_shadow_init(void)
{
	int err = bioset_init(&parts, BIO_POOL_SIZE, offsetof(struct part, bio), BIOSET_NEED_BVECS);

	if (err)
		return err;
	err = mempool_init_page_pool(&pages, BIO_MAX_VECS, 0);
	if (err)
		bioset_exit(&parts);
	return err;
}

/* No part outlives its request. */
void bf_shadow_exit(void)
{
	mempool_exit(&pages);
	bioset_exit(&parts);
}
