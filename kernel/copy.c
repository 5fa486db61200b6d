// SPDX-License-Identifier: GPL-2.0
/*
 * COPY_BEFORE: what a request is about to overwrite is copied elsewhere before the request goes on.
 *
 *	bf_copy_begin --> (parked behind another's copy) --> pieces --> read --> write --> bf_way_go(), and who is parked
 *								  ^		 |
 *								  +- next part --+
 *
 * Copies, under way or parked, stand in a tree of ranges of their attachment, which its successor inherits, each with
 * the hull of what it copies and what its request changes. A request that comes later and would change or copy
 * something in it is parked there, and looks again when the copy is done; so nothing gets between a copy and its
 * request but what went down before, or is let go in the same moment. Who waits, waits for an earlier one, so the
 * earliest waits for nobody. A parked request needs no memory, and waits for I/O only.
 *
 * A copy goes by pieces (piece.c), a few at a time if it is large, and each takes part after part. Copies run side by
 * side, as many as there is memory for; those that adjoin are submitted under one plug, where the block layer makes
 * larger requests of them. A copy that finds no memory for its first piece is tried again when another piece has
 * ended, see bf_way_starve(): nobody waits for memory, for who waits might be the one that is to make other copies go
 * on. Copies of one attachment need no other's memory but of lower altitudes and other devices.
 *
 * Completions may come in an interrupt, so each step is taken in process context: by whom is said in step.c.
 */
#include <linux/blk-cgroup.h>
#include <linux/interval_tree_generic.h>

#include "blkfilter.h"

#define PIECE_BYTES	(BF_PIECE_VECS * BF_BLOCK_BYTES)
#define MAX_PIECES	4

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

/* The sectors of the chunks that @rq touches. */
static void include_chunks(const struct bf_request *rq, struct bf_range *range)
{
	u64 start = rq->sector << SECTOR_SHIFT, end = start + rq->length;
	u32 shift;

	rcu_read_lock();
	shift = bf_chunks_shift(rq->att);
	rcu_read_unlock();
	start = round_down(start, 1ull << shift);
	include(range, start >> SECTOR_SHIFT, round_up(end, 1ull << shift) - start);
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

/* Its memory stays; all else is made anew. */
static void launch(struct bf_piece *piece, blk_opf_t opf, struct bf_target *target, u64 sector, struct bf_batch *batch)
{
	struct bf_leg *leg = &piece->leg;
	struct bf_request *rq = leg->rq;
	struct bio *bio = &leg->bio;
	u16 vectors = bio->bi_vcnt;

	bio_reset(bio, target && target->bdev ? target->bdev : rq->att->bdev, opf);
	bio->bi_vcnt = vectors;
	bio->bi_iter.bi_sector = sector + (piece->offset >> SECTOR_SHIFT);
	bio->bi_iter.bi_size = piece->bytes;
	bio->bi_ioprio = rq->bio->bi_ioprio;
	bio_clone_blkg_association(bio, rq->bio);
	leg->target = target;
	bf_leg_mark(leg);
	bf_leg_send(leg, batch);
}

static void read_part(struct bf_piece *piece, struct bf_batch *batch)
{
	piece->writes = false;
	launch(piece, REQ_OP_READ | REQ_SYNC, NULL, piece->leg.rq->way->copy_source, batch);
}

static void write_part(struct bf_piece *piece, struct bf_batch *batch)
{
	struct bf_way *way = piece->leg.rq->way;

	piece->writes = true;
	launch(piece, REQ_OP_WRITE | REQ_SYNC, way->copy, way->copy_sector, batch);
}

/* The next part of the copy, if one is left, is @piece's. */
static bool claim(struct bf_piece *piece)
{
	struct bf_ways *ways = piece->leg.rq->att->ways;
	struct bf_way *way = piece->leg.rq->way;

	spin_lock_irq(&ways->lock);
	piece->offset = way->given;
	piece->bytes = min(piece->room, way->copy_length - way->given);
	way->given += piece->bytes;
	spin_unlock_irq(&ways->lock);
	return piece->bytes;
}

/* Nothing more is read. */
static void give_up(struct bf_request *rq, blk_status_t status)
{
	struct bf_ways *ways = rq->att->ways;

	spin_lock_irq(&ways->lock);
	rq->way->copy_error = status;
	rq->way->given = rq->way->copy_length;
	spin_unlock_irq(&ways->lock);
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

/* Does @way itself copy what @range has of @failed, if it has something? */
static bool preserves(const struct bf_way *way, const struct bf_range *range, const struct bf_range *failed)
{
	struct bf_range source = { .start = U64_MAX };

	if (!overlap(range, failed))
		return true;
	if (!copies(way))
		return false;
	include(&source, way->copy_source, way->copy_length);
	return source.start <= max(range->start, failed->start) && source.last >= min(range->last, failed->last);
}

/*
 * Under the lock. @failed could not be copied: who would overwrite it, unless that is @lenient, or call its chunks preserved, learns
 * that now, for whichever copy he waits.
 */
static void condemn(struct bf_copies *c, const struct bf_range *failed, u64 turn, blk_status_t status, bool lenient)
{
	struct bf_range *range, changed;
	struct bf_way *way;

	for (range = range_iter_first(&c->ranges, 0, U64_MAX); range; range = range_iter_next(range, 0, U64_MAX)) {
		list_for_each_entry(way, &range->parked, range.node) {
			if (way->range.turn <= turn)
				continue;
			if (!preserves(way, &way->range, failed))
				way->flags &= ~BFUSE_VERDICT_CLEAR;
			if (!lenient && changes(way->rq, &changed) && !preserves(way, &changed, failed))
				way->copy_error = status;
		}
	}
}

static bool is_lenient(const struct bf_way *way)
{
	return copies(way) && (way->flags & BFUSE_VERDICT_LENIENT);
}

/*
 * @status: of the copy. @free: those that have waited, and have nothing else to wait for: condemn() has
 * no say about them any more. The others are parked anew in the same moment, so it finds them.
 */
static void leave(struct bf_request *rq, blk_status_t status, struct list_head *free)
{
	struct bf_copies *c = rq->att->ways->copies;
	struct bf_range source = { .start = U64_MAX }, *other;
	struct bf_way *way, *next;

	include(&source, rq->way->copy_source, rq->way->copy_length);
	spin_lock_irq(&c->lock);
	if (status)
		condemn(c, &source, rq->way->range.turn, status, is_lenient(rq->way));
	range_remove(&rq->way->range, &c->ranges);
	list_for_each_entry_safe(way, next, &rq->way->range.parked, range.node) {
		other = earlier(c, &way->range);
		list_move_tail(&way->range.node, other ? &other->parked : free);
	}
	spin_unlock_irq(&c->lock);
}

static bool wait_or_copy(struct bf_request *rq, struct bf_batch *batch);

/* Was parked. Condemned, it is not done; a copy of its own, which then is not made either, lets go of those @free of it. */
static void resume(struct bf_request *rq, struct list_head *free, struct bf_batch *batch)
{
	blk_status_t status = is_lenient(rq->way) ? BLK_STS_OK : rq->way->copy_error;

	if (status) {
		bf_way_failed(rq, BF_LEG_COPY, status);
		if (copies(rq->way))
			leave(rq, status, free);
		fail(rq, status);
	} else if (!wait_or_copy(rq, batch)) {
		bf_way_go(rq, batch);
	}
}

/* The request goes its way, and then those that have nothing else to wait for; each may be gone as soon as it is on its way. */
static void finish(struct bf_request *rq, blk_status_t status, struct bf_batch *batch)
{
	struct bf_way *way = rq->way;
	LIST_HEAD(free);

	if (status)
		bf_way_failed(rq, BF_LEG_COPY, status);
	leave(rq, status, &free);
	if (status && !is_lenient(way))
		fail(rq, status);
	else
		bf_way_go(rq, batch);
	while (!list_empty(&free)) {
		way = list_first_entry(&free, struct bf_way, range.node);
		list_del(&way->range.node);
		resume(way->rq, &free, batch);
	}
}

/* With the last piece the copy ends, and @rq is not to be touched any more. */
static void end_piece(struct bf_request *rq, struct bf_batch *batch)
{
	if (atomic_dec_and_test(&rq->way->pieces))
		finish(rq, rq->way->copy_error, batch);
}

/* NULL: there is no memory. What it has given back may be what another request has looked for meanwhile, and starves for. */
static struct bf_piece *more_room(struct bf_request *rq)
{
	const struct bf_way *way = rq->way;
	struct bf_piece *piece = bf_piece_get(rq, min(way->copy_length - READ_ONCE(way->given), PIECE_BYTES));

	if (!piece)
		bf_way_fed(rq->att->ways);
	return piece;
}

/*
 * As many pieces as are good for it and get memory. False: not even one. Else as above. The caller owes bf_steps_end().
 */
bool bf_copy_feed(struct bf_request *rq, struct bf_batch *batch)
{
	struct bf_way *way = rq->way;
	struct bf_piece *piece = bf_piece_get(rq, min(way->copy_length, PIECE_BYTES));
	int more = MAX_PIECES;

	if (!piece)
		return false;
	bf_steps_begin(batch, rq->att->ways);
	atomic_set(&way->pieces, 1);
	while (piece && claim(piece)) {
		atomic_inc(&way->pieces);
		read_part(piece, batch);
		piece = NULL;
		if (--more && READ_ONCE(way->given) < way->copy_length)
			piece = more_room(rq);
	}
	if (piece)
		bf_leg_put(&piece->leg);
	end_piece(rq, batch);
	return true;
}

/* Its read or write has ended. Process context; @piece and its request are not to be touched any more. */
void bf_copy_step(struct bf_piece *piece, struct bf_batch *batch)
{
	struct bf_request *rq = piece->leg.rq;
	blk_status_t status = piece->leg.bio.bi_status;

	if (status)
		give_up(rq, status);
	if (!status && !piece->writes) {
		write_part(piece, batch);
		return;
	}
	bf_piece_share(piece);
	if (claim(piece)) {
		read_part(piece, batch);
	} else {
		bf_leg_put(&piece->leg);
		end_piece(rq, batch);
	}
}

/* Is @piece the last of its copy, with nothing left to do but to hand the request to its device's worker? */
static bool is_last(const struct bf_piece *piece)
{
	const struct bf_request *rq = piece->leg.rq;
	const struct bf_way *way = rq->way;

	/*
	 * Who is alone is the only one that could claim more, and there is no more. The order pairs with end_piece(): what others
	 * have left is seen, above all their errors.
	 */
	if (!piece->writes || piece->leg.bio.bi_status || atomic_read_acquire(&way->pieces) != 1)
		return false;
	if (READ_ONCE(way->given) != way->copy_length || way->copy_error)
		return false;
	return !way->redirected && !(way->flags & (BFUSE_VERDICT_MODIFY | BFUSE_VERDICT_MIRROR)) && !rq->staged &&
	       bf_forward_needs_worker(rq);
}

/* Out of the tree, unless somebody is parked behind it. */
static bool leave_alone(struct bf_request *rq)
{
	struct bf_copies *c = rq->att->ways->copies;
	unsigned long flags;
	bool alone;

	spin_lock_irqsave(&c->lock, flags);
	alone = list_empty(&rq->way->range.parked);
	if (alone)
		range_remove(&rq->way->range, &c->ranges);
	spin_unlock_irqrestore(&c->lock, flags);
	return alone;
}

/*
 * @piece has ended, perhaps in an interrupt. True: that was all there was to wait for, and the request is on its way,
 * as by bf_way_go(). False: it is as before.
 */
bool bf_copy_pass(struct bf_piece *piece)
{
	struct bf_request *rq = piece->leg.rq;

	if (!is_last(piece) || !leave_alone(rq))
		return false;
	bf_leg_put(&piece->leg);
	if (rq->way->flags & BFUSE_VERDICT_CLEAR)
		bf_chunks_clear(rq->att, rq->sector, rq->length);
	bf_way_release(rq);
	/* The bio is all that keeps the device, and may be done before this returns. */
	rcu_read_lock();
	bf_device_submit(rq->att->dev, rq->bio);
	rcu_read_unlock();
	return true;
}

/* As below. */
static bool wait_or_copy(struct bf_request *rq, struct bf_batch *batch)
{
	struct bf_way *way = rq->way;

	if (enter(rq))
		return true;
	if (!copies(way))
		return false;
	way->copying = true;
	if (!bf_copy_feed(rq, batch))
		bf_way_starve(rq);
	return true;
}

/*
 * True: @rq has something to wait for, and will go on by itself. The filter's thread. To CLEAR chunks waits for the copies of all
 * of them: what is not presented any more does not wait.
 */
bool bf_copy_begin(struct bf_request *rq, struct bf_batch *batch)
{
	struct bf_way *way = rq->way;
	bool relevant = changes(rq, &way->range);

	if (!(rq->att->interest.verdicts & 1u << BFUSE_COPY_BEFORE))
		return false;
	if (copies(way))
		include(&way->range, way->copy_source, way->copy_length);
	if (way->flags & BFUSE_VERDICT_CLEAR)
		include_chunks(rq, &way->range);
	if (!relevant && !(way->flags & (BFUSE_VERDICT_COPY_BEFORE | BFUSE_VERDICT_CLEAR)))
		return false;
	INIT_LIST_HEAD(&way->range.parked);
	return wait_or_copy(rq, batch);
}
