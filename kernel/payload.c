// SPDX-License-Identifier: GPL-2.0
/*
 * Data of a request: between its bio and the slot of its tag, or a buffer of the filter.
 *
 * A slot shows what was copied into it and what the filter wrote, nothing else: slots are zeroed when they are
 * allocated. A read that the filter completes gets the bytes that it supplied; the rest is zeroed, for the bio's pages
 * may hold anything.
 */
#include <linux/highmem.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "blkfilter.h"

#define CHUNK	65536u

void *bf_slot(const struct bf_request *rq)
{
	const struct bf_queue *q = rq->queue;

	return q->slots + (size_t)(rq - q->requests) * q->filter->slot_size;
}

static struct bvec_iter part(struct bio *bio, struct bvec_iter iter, u32 offset, u32 bytes)
{
	bio_advance_iter(bio, &iter, offset);
	iter.bi_size = bytes;
	return iter;
}

/* These three: @iter is the bio's as intercepted, @offset + @bytes lie inside it. Any context. */
void bf_copy_from_bio(struct bio *bio, struct bvec_iter iter, void *to, u32 offset, u32 bytes)
{
	struct bio_vec bv;

	iter = part(bio, iter, offset, bytes);
	__bio_for_each_segment(bv, bio, iter, iter) {
		memcpy_from_bvec(to, &bv);
		to += bv.bv_len;
	}
}

void bf_copy_to_bio(struct bio *bio, struct bvec_iter iter, const void *from, u32 offset, u32 bytes)
{
	struct bio_vec bv;

	iter = part(bio, iter, offset, bytes);
	__bio_for_each_segment(bv, bio, iter, iter) {
		memcpy_to_bvec(&bv, from);
		from += bv.bv_len;
	}
}

void bf_zero_bio(struct bio *bio, struct bvec_iter iter, u32 offset, u32 bytes)
{
	struct bio_vec bv;

	iter = part(bio, iter, offset, bytes);
	__bio_for_each_segment(bv, bio, iter, iter)
		memzero_bvec(&bv);
}

static u32 *nr_sent(struct bf_request *rq)
{
	return &bf_lane_of(rq->att, rq->queue)->nr_sent;
}

/* Under the lock, @rq SENT or HELD: it is the caller's until bf_tag_release(). */
void bf_tag_hold(struct bf_request *rq)
{
	rq->state = BF_TAG_BUSY;
	--*nr_sent(rq);
}

static bool may_use(const struct bf_request *rq, enum bfuse_verb verb)
{
	return bf_layers_verdicts(rq) & (1u << verb);
}

/* Which way do the data of @rq go at this moment? A failed read has none, but can be given some. */
static bool has_data(const struct bf_request *rq, bool store)
{
	if (rq->op == BFUSE_OP_READ)
		return store ? may_use(rq, BFUSE_COMPLETE) || (rq->completed && may_use(rq, BFUSE_MODIFY)) :
			       rq->completed && !rq->status;
	return bf_op_sends_data(rq->op) && !rq->completed && (!store || may_use(rq, BFUSE_MODIFY));
}

/* Takes a tag that waits for its verdict out of everybody's reach while its data are copied. */
static struct bf_request *hold_tag(struct bf_queue *q, const struct bfuse_data *arg, int *err)
{
	bool store = arg->flags & BFUSE_DATA_STORE;
	struct bf_request *rq;

	spin_lock_irq(&q->lock);
	rq = bf_queue_tag(q, arg->tag);
	*err = 0;
	if (!rq || !bf_tag_is_owed(rq))
		*err = -ENOENT;
	else if (!has_data(rq, store))
		*err = -EINVAL;
	else if (arg->length > rq->length || arg->offset > rq->length - arg->length)
		*err = -EINVAL;
	else
		bf_tag_hold(rq);
	spin_unlock_irq(&q->lock);
	return *err ? NULL : rq;
}

/* Gives it back to the filter, or, if the filter is gone, settles it. Process context; may sleep. */
void bf_tag_release(struct bf_request *rq)
{
	bool abandoned;

	spin_lock_irq(&rq->queue->lock);
	abandoned = rq->abandoned;
	if (!abandoned) {
		rq->state = rq->completed ? BF_TAG_HELD : BF_TAG_SENT;
		++*nr_sent(rq);
	}
	spin_unlock_irq(&rq->queue->lock);
	if (abandoned)
		bf_settle_tag(rq);
}

/*
 * Until the verdict the bio keeps its own data, so that a successor or the policy finds them: those of a write, for they are
 * the submitter's, and those that a held read brought.
 */
static int stage(struct bf_request *rq, const void *buffer, u32 offset, u32 bytes)
{
	if (!rq->staged) {
		rq->staged = rq->length > INT_MAX ? NULL : kvmalloc(rq->length, GFP_NOIO | __GFP_NOWARN);
		if (!rq->staged)
			return -ENOMEM;
		bf_copy_from_bio(rq->bio, rq->iter, rq->staged, 0, rq->length);
	}
	if (offset > rq->stored && rq->op == BFUSE_OP_READ && rq->status)
		memset(rq->staged + rq->stored, 0, offset - rq->stored);
	memcpy(rq->staged + offset, buffer, bytes);
	rq->stored = max(rq->stored, offset + bytes);
	return 0;
}

/* Bytes between what was stored and @offset become zero, so that [0, stored) is always the filter's. */
static int store(struct bf_request *rq, const void *buffer, u32 offset, u32 bytes)
{
	if (rq->completed || rq->op != BFUSE_OP_READ)
		return stage(rq, buffer, offset, bytes);
	if (offset > rq->stored)
		bf_zero_bio(rq->bio, rq->iter, rq->stored, offset - rq->stored);
	bf_copy_to_bio(rq->bio, rq->iter, buffer, offset, bytes);
	rq->stored = max(rq->stored, offset + bytes);
	return 0;
}

static int data_chunk(struct bf_queue *q, struct bfuse_data *arg, void *buffer)
{
	void __user *user = u64_to_user_ptr(arg->address);
	struct bf_request *rq;
	int err;

	/* User memory may fault, or never answer (userfaultfd): not while the tag is held. */
	if ((arg->flags & BFUSE_DATA_STORE) && copy_from_user(buffer, user, arg->length))
		return -EFAULT;
	rq = hold_tag(q, arg, &err);
	if (!rq)
		return err;
	if (arg->flags & BFUSE_DATA_STORE)
		err = store(rq, buffer, arg->offset, arg->length);
	else
		bf_copy_from_bio(rq->bio, rq->iter, buffer, arg->offset, arg->length);
	bf_tag_release(rq);
	if (err)
		return err;
	if (!(arg->flags & BFUSE_DATA_STORE) && copy_to_user(user, buffer, arg->length))
		return -EFAULT;
	return 0;
}

long bf_data(struct bf_filter *f, const struct bfuse_data *arg)
{
	struct bfuse_data chunk = *arg;
	u32 left = arg->length;
	void *buffer;
	int err = 0;

	if (arg->queue >= f->nr_queues || (arg->flags & ~BFUSE_DATA_STORE) || arg->__reserved ||
	    arg->offset + arg->length < arg->offset)
		return -EINVAL;
	/* Its allocation must not wait for I/O that waits for this filter. */
	buffer = kvmalloc(min(max(left, 1u), CHUNK), GFP_NOIO);
	if (!buffer)
		return -ENOMEM;
	do {
		chunk.length = min(left, CHUNK);
		err = data_chunk(&f->queues[arg->queue], &chunk, buffer);
		chunk.offset += chunk.length;
		chunk.address += chunk.length;
		left -= chunk.length;
	} while (!err && left);
	kvfree(buffer);
	return err;
}
