// SPDX-License-Identifier: GPL-2.0
/*
 * COPY_BEFORE: what a request is about to overwrite is copied elsewhere before the request goes on.
 *
 *	bf_copy_begin --> (parked behind another's copy) --> pages --> read --> write --> bf_way_go(), and who is parked
 *								  ^		 |
 *								  +- next piece -+
 *
 * Copies, under way or parked, stand in a tree of ranges of their attachment, which its successor inherits, each with the hull of
 * what it copies and what its request changes. A request that comes later and would change or copy something in it is
 * parked there, and looks again when the copy is done; so nothing gets between a copy and its request but what went down
 * before. Who waits, waits for an earlier one, so the earliest waits for nobody. A parked request needs no memory, and
 * waits for I/O only.
 *
 * Completions may come in an interrupt, so each step is the work of a worker of the attachment. The pages of a copy
 * come from a single allocation if possible. Nobody waits for them, for who waits might be the one that is to make
 * other copies go on: a copy that finds none is tried again when another one has ended, see bf_way_starve(). Copies of
 * one attachment need no other's memory but of lower altitudes and other devices.
 */
#include <linux/blk-cgroup.h>
#include <linux/interval_tree_generic.h>

#include "blkfilter.h"

#define MAX_VECS	min_t(u32, BIO_MAX_VECS, PAGE_SIZE / sizeof(struct bio_vec))
#define PIECE_BYTES	(MAX_VECS << PAGE_SHIFT)
#define LARGE_ORDER	4

enum step { STEP_READ, STEP_WRITE };

#define START(range)	((range)->start)
#define LAST(range)	((range)->last)
INTERVAL_TREE_DEFINE(struct bf_range, rb, u64, subtree_last, START, LAST, static __maybe_unused, range);

static bool copies(const struct bf_way *way)
{
	return way->flags & BFUSE_VERDICT_COPY_BEFORE;
}

static void include(struct bf_range *range, u64 sector, u64 bytes)
{
	range->start = min(range->start, sector);
	range->last = max(range->last, sector + (bytes >> SECTOR_SHIFT) - 1);
}

/* What of the attached device @rq will change; false: nothing. */
static bool changes(const struct bf_request *rq, struct bf_range *range)
{
	*range = (struct bf_range){ .start = U64_MAX };
	if (!rq->length || rq->op == BFUSE_OP_READ || (rq->way->redirected && rq->way->target))
		return false;
	include(range, rq->way->redirected ? rq->way->sector : rq->sector, rq->length);
	return true;
}

static bool overlap(const struct bf_range *a, const struct bf_range *b)
{
	return a->start <= b->last && b->start <= a->last;
}

/* Under the lock: a copy in the range that came before it. */
static struct bf_range *earlier(struct bf_copies *c, const struct bf_range *range)
{
	struct bf_range *other = range_iter_first(&c->ranges, range->start, range->last);

	while (other && other->turn >= range->turn)
		other = range_iter_next(other, range->start, range->last);
	return other;
}

/* Parks @rq, and if it has to copy lets others be parked behind it, from the first time on. True: it is parked. */
static bool enter(struct bf_request *rq)
{
	struct bf_copies *c = rq->att->ways->copies;
	struct bf_way *way = rq->way;
	struct bf_range *other;

	spin_lock_irq(&c->lock);
	if (!way->range.turn) {
		way->range.turn = ++c->last_turn;
		if (copies(way))
			range_insert(&way->range, &c->ranges);
	}
	other = earlier(c, &way->range);
	if (other)
		list_add_tail(&way->range.node, &other->parked);
	spin_unlock_irq(&c->lock);
	return other;
}

/* Its vectors are a page as well. */
static void free_leg(struct bf_leg *leg)
{
	struct bf_ways *ways = leg->rq->att->ways;
	struct bio *bio = &leg->bio;
	u16 i;

	for (i = 0; i < bio->bi_vcnt; i++) {
		struct page *page = bio->bi_io_vec[i].bv_page;

		if (PageCompound(page))
			__free_pages(page, compound_order(page));
		else
			mempool_free(page, &ways->pages);
	}
	mempool_free(virt_to_page(bio->bi_io_vec), &ways->pages);
	bf_leg_free(leg);
}

/* As large as it gets them at once, as long as that is cheap. */
static struct page *get_large(u32 bytes, u32 *got)
{
	unsigned int order = min(get_order(bytes), LARGE_ORDER);
	struct page *page = NULL;

	if (order)
		page = alloc_pages(GFP_NOWAIT | __GFP_NOWARN | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_COMP, order);
	*got = min_t(u32, bytes, PAGE_SIZE << order);
	return page;
}

static bool get_pages(struct bf_ways *ways, struct bio *bio, u32 bytes)
{
	while (bytes) {
		u32 got;
		struct page *page = get_large(bytes, &got);

		if (!page) {
			page = mempool_alloc(&ways->pages, GFP_NOWAIT | __GFP_NOWARN);
			got = min_t(u32, bytes, PAGE_SIZE);
		}
		if (!page)
			return false;
		__bio_add_page(bio, page, got, 0);
		bytes -= got;
	}
	return true;
}

static struct bf_leg *leg_alloc(struct bf_request *rq)
{
	struct bf_ways *ways = rq->att->ways;
	struct bf_leg *leg = mempool_alloc(&ways->legs, GFP_NOWAIT | __GFP_NOWARN);
	struct page *vectors = leg ? mempool_alloc(&ways->pages, GFP_NOWAIT | __GFP_NOWARN) : NULL;

	if (vectors) {
		bio_init(&leg->bio, rq->att->bdev, page_address(vectors), MAX_VECS, REQ_OP_READ);
		bf_leg_init(leg, rq, BF_LEG_COPY, free_leg);
		return leg;
	}
	if (leg)
		mempool_free(leg, &ways->legs);
	return NULL;
}

/* The leg that will go to and fro with a piece of up to @bytes. NULL: no memory. */
static struct bf_leg *get_leg(struct bf_request *rq, u32 bytes)
{
	struct bf_leg *leg = leg_alloc(rq);

	if (!leg)
		return NULL;
	bytes = min(rq->way->copy_length, bytes);
	if (get_pages(rq->att->ways, &leg->bio, bytes)) {
		rq->way->piece = bytes;
		return leg;
	}
	/* Not bf_leg_put(), which would have this tried again at once. */
	free_leg(leg);
	return NULL;
}

static u32 piece_length(const struct bf_way *way)
{
	return min(way->piece, way->copy_length - way->copied);
}

/* Its vectors stay; all else is made anew. */
static void launch(struct bf_request *rq, blk_opf_t opf, struct bf_target *target, u64 sector, struct bf_batch *batch)
{
	struct bf_way *way = rq->way;
	struct bf_leg *leg = way->leg;
	struct bio *bio = &leg->bio;
	u16 vectors = bio->bi_vcnt;

	bio_reset(bio, target && target->bdev ? target->bdev : rq->att->bdev, opf);
	bio->bi_vcnt = vectors;
	bio->bi_iter.bi_sector = sector + (way->copied >> SECTOR_SHIFT);
	bio->bi_iter.bi_size = piece_length(way);
	bio->bi_ioprio = rq->bio->bi_ioprio;
	bio_clone_blkg_association(bio, rq->bio);
	leg->target = target;
	bf_leg_mark(leg);
	bf_leg_send(leg, batch);
}

static void read_piece(struct bf_request *rq, struct bf_batch *batch)
{
	rq->way->step = STEP_READ;
	launch(rq, REQ_OP_READ | REQ_SYNC, NULL, rq->way->copy_source, batch);
}

static void write_piece(struct bf_request *rq, struct bf_batch *batch)
{
	rq->way->step = STEP_WRITE;
	launch(rq, REQ_OP_WRITE | REQ_SYNC, rq->way->copy, rq->way->copy_sector, batch);
}

/* The request is not done: it would overwrite what could not be preserved. */
static void fail(struct bf_request *rq, blk_status_t status)
{
	bf_unstage(rq);
	bf_way_release(rq);
	/* Nor has its bio been through bio_endio(). */
	rq->shadowed = true;
	rq->bio->bi_status = status;
	bf_request_endio(rq->bio);
}

static bool wait_or_copy(struct bf_request *rq, struct bf_batch *batch);

/* Was parked behind a copy of @source that ended with @status, not 0 if that counts. */
static void resume(struct bf_request *rq, const struct bf_range *source, blk_status_t status, struct bf_batch *batch)
{
	struct bf_range range;

	if (status && !copies(rq->way) && changes(rq, &range) && overlap(&range, source)) {
		bf_way_failed(rq, BF_LEG_COPY, status);
		fail(rq, status);
	} else if (!wait_or_copy(rq, batch)) {
		bf_way_go(rq, batch);
	}
}

static void leave(struct bf_request *rq, struct list_head *parked)
{
	struct bf_copies *c = rq->att->ways->copies;

	spin_lock_irq(&c->lock);
	range_remove(&rq->way->range, &c->ranges);
	list_splice_init(&rq->way->range.parked, parked);
	spin_unlock_irq(&c->lock);
}

/* The request goes its way first, and then those that waited for it; each may be gone as soon as it is on its way. */
static void finish(struct bf_request *rq, blk_status_t status, struct bf_batch *batch)
{
	struct bf_way *way = rq->way;
	struct bf_range source = { .start = U64_MAX };
	LIST_HEAD(parked);

	include(&source, way->copy_source, way->copy_length);
	bf_leg_put(way->leg);
	if (status)
		bf_way_failed(rq, BF_LEG_COPY, status);
	if (way->flags & BFUSE_VERDICT_LENIENT)
		status = BLK_STS_OK;
	leave(rq, &parked);
	if (status)
		fail(rq, status);
	else
		bf_way_go(rq, batch);
	while (!list_empty(&parked)) {
		way = list_first_entry(&parked, struct bf_way, range.node);
		list_del(&way->range.node);
		resume(way->rq, &source, status, batch);
	}
}

/* The first piece, or if memory is short as much of it as is kept in reserve. False: not even that. Else as below. */
bool bf_copy_feed(struct bf_request *rq, struct bf_batch *batch)
{
	struct bf_way *way = rq->way;

	way->leg = get_leg(rq, PIECE_BYTES) ?: get_leg(rq, (rq->att->ways->pages.min_nr - 1) << PAGE_SHIFT);
	if (!way->leg)
		return false;
	read_piece(rq, batch);
	return true;
}

/* A read or write has ended. @rq is not to be touched any more. */
static void go_on(struct bf_request *rq, struct bf_batch *batch)
{
	struct bf_way *way = rq->way;
	blk_status_t status = way->leg->bio.bi_status;

	if (!status && way->step == STEP_READ) {
		write_piece(rq, batch);
		return;
	}
	if (!status)
		way->copied += piece_length(way);
	if (status || way->copied == way->copy_length)
		finish(rq, status, batch);
	else
		read_piece(rq, batch);
}

static void work(struct work_struct *work)
{
	struct bf_batch batch = {};

	go_on(container_of(work, struct bf_request, work), &batch);
	bf_batch_kick(&batch);
}

/* Any context. */
void bf_copy_endio(struct bf_leg *leg)
{
	queue_work(leg->rq->att->ways->wq, &leg->rq->work);
}

/* As below. */
static bool wait_or_copy(struct bf_request *rq, struct bf_batch *batch)
{
	struct bf_way *way = rq->way;

	if (enter(rq))
		return true;
	if (!copies(way))
		return false;
	INIT_WORK(&rq->work, work);
	way->copying = true;
	if (!bf_copy_feed(rq, batch))
		bf_way_starve(rq);
	return true;
}

/* True: @rq has something to wait for, and will go on by itself. The filter's thread. */
bool bf_copy_begin(struct bf_request *rq, struct bf_batch *batch)
{
	struct bf_way *way = rq->way;
	bool relevant = changes(rq, &way->range);

	if (!(rq->att->interest.verdicts & 1u << BFUSE_COPY_BEFORE))
		return false;
	if (copies(way))
		include(&way->range, way->copy_source, way->copy_length);
	if (!relevant && !copies(way))
		return false;
	INIT_LIST_HEAD(&way->range.parked);
	return wait_or_copy(rq, batch);
}
