// SPDX-License-Identifier: GPL-2.0
/*
 * A piece of a copy has been read, or written: who sees to what comes next?
 *
 *	it ended while its submitter was still at it	that one, when it has submitted all that it had
 *	nothing is left but to pass the request on	whoever is there: bf_copy_pass()
 *	else						a worker of the attachment
 *
 * A submitter, a thread that applies verdicts or the worker itself, is an attendant from its first copy until
 * bf_steps_end(), for the attachment of that. What of it ends in its own context meanwhile, below its own
 * submissions, is put in its batch, and it goes on with that instead of waking the worker, which would cost more than
 * to submit. So it adds to what the thread submits, and to what it may have to wait for, nothing but further steps of
 * the same verdicts, to the same places; and what is in the batch while it waits there needs nothing that it waits
 * for, as a piece that has ended has given back all that the device had for it. After a few rounds the worker has the
 * rest: a filter's thread has others to serve. What ends there of another attachment, above this one or for a target,
 * is not its business: it might have to wait where it is waited for.
 *
 * In which task's batch something is, is only looked at by that task. So no lock is needed, and none has to outlive
 * its attachment: the attendant touches nothing but its own batch and the pieces in it, each of which keeps its
 * request.
 */
#include <linux/hash.h>
#include <linux/preempt.h>
#include <linux/sched.h>

#include "blkfilter.h"

#define HASH_BITS	5
#define MAX_ROUNDS	4

struct bf_attendant {
	struct task_struct	*task;	/* NULL: free. Compared only */
	struct bf_batch		*batch;	/* the task's own */
} ____cacheline_aligned_in_smp;

static struct bf_attendant attendants[1 << HASH_BITS];

static struct bf_attendant *place_of(struct task_struct *task)
{
	return &attendants[hash_ptr(task, HASH_BITS)];
}

/* If another task has the same place the worker does it all. bf_steps_end() is owed either way. */
void bf_steps_begin(struct bf_batch *batch, const struct bf_ways *ways)
{
	struct bf_attendant *place = place_of(current);

	if (batch->attendant || cmpxchg(&place->task, NULL, current))
		return;
	bio_list_init(&batch->ended);
	batch->ways = ways;
	place->batch = batch;
	batch->attendant = place;
}

static struct bf_piece *piece_of(struct bio *bio)
{
	return container_of(bio, struct bf_piece, leg.bio);
}

/* Once the lock is free the worker may have been through with it, and @ways be gone. */
static void give_to_worker(struct bf_piece *piece)
{
	struct bf_ways *ways = piece->leg.rq->att->ways;
	unsigned long flags;

	spin_lock_irqsave(&ways->lock, flags);
	if (bio_list_empty(&ways->ended))
		queue_work(ways->wq, &ways->steps);
	bio_list_add(&ways->ended, &piece->leg.bio);
	spin_unlock_irqrestore(&ways->lock, flags);
}

static bool is_attended(const struct bf_attendant *place, const struct bf_piece *piece)
{
	return in_task() && READ_ONCE(place->task) == current && place->batch->ways == piece->leg.rq->att->ways;
}

/* Any context. */
void bf_step_endio(struct bf_piece *piece)
{
	struct bf_attendant *place = place_of(current);

	if (is_attended(place, piece))
		bio_list_add(&place->batch->ended, &piece->leg.bio);
	else if (!bf_copy_pass(piece))
		give_to_worker(piece);
}

static void take_steps(struct bf_batch *batch, struct bio_list bios)
{
	struct blk_plug plug;
	struct bio *bio;

	blk_start_plug(&plug);
	while ((bio = bio_list_pop(&bios)))
		bf_copy_step(piece_of(bio), batch);
	blk_finish_plug(&plug);
}

/* All that the caller had is submitted, and not held back in a plug. */
void bf_steps_end(struct bf_batch *batch)
{
	struct bio_list bios;
	struct bio *bio;
	int rounds;

	if (likely(!batch->attendant))
		return;
	for (rounds = 0; rounds < MAX_ROUNDS && !bio_list_empty(&batch->ended); rounds++) {
		bios = batch->ended;
		bio_list_init(&batch->ended);
		take_steps(batch, bios);
	}
	/* For the next one to come, who finds nothing of ours there. */
	smp_store_release(&batch->attendant->task, NULL);
	batch->attendant = NULL;
	while ((bio = bio_list_pop(&batch->ended)))
		give_to_worker(piece_of(bio));
}

/* The worker. It keeps @ways until it returns, for their end waits for it. */
void bf_steps_work(struct work_struct *work)
{
	struct bf_ways *ways = container_of(work, struct bf_ways, steps);
	struct bf_batch batch = {};
	struct bio_list bios;

	spin_lock_irq(&ways->lock);
	bios = ways->ended;
	bio_list_init(&ways->ended);
	spin_unlock_irq(&ways->lock);

	bf_steps_begin(&batch, ways);
	take_steps(&batch, bios);
	bf_steps_end(&batch);
	bf_batch_kick(&batch);
}
