// SPDX-License-Identifier: GPL-2.0
/*
 * Where a verdict is applied. The entry is copied once out of the shared ring and judged by what the kernel knows of
 * the tag. Context: the filter's thread in BFUSE_ENTER, under the queue's verdict_mutex.
 */
#include <linux/bio.h>
#include <linux/blk-crypto.h>

#include "blkfilter.h"

#define ALL_FLAGS	(BFUSE_VERDICT_NOTIFY | BFUSE_VERDICT_STORED | BFUSE_VERDICT_ZERO | BFUSE_VERDICT_HOLD | \
			 BFUSE_VERDICT_MODIFY | BFUSE_VERDICT_COPY_BEFORE | BFUSE_VERDICT_MIRROR | BFUSE_VERDICT_LENIENT | \
			 BFUSE_VERDICT_CLEAR)

static enum bfuse_reason check_form(const struct bfuse_verdict *v)
{
	if (v->type >= BFUSE_VERDICT_TYPES)
		return BFUSE_REASON_TYPE;
	return bf_way_check_form(v);
}

static bool status_is_known(const struct bf_request *rq, s32 status)
{
	switch (-status) {
	case 0:
		/* What it succeeded at would have to name the sector, which only the device knows. */
		return rq->op != BFUSE_OP_ZONE_APPEND;
	case EIO:
	case EOPNOTSUPP:
	case ENOSPC:
	case ENODATA:
	case EBADE:
	case EILSEQ:
	case ENOLINK:
	case EREMOTEIO:
	case ETIMEDOUT:
	case ENOMEM:
	case EROFS:
	case EPERM:
		return true;
	case EAGAIN:
		return rq->opf & REQ_NOWAIT;
	default:
		return false;
	}
}

static enum bfuse_reason check_complete(const struct bf_request *rq, const struct bfuse_verdict *v)
{
	u16 source = v->flags & (BFUSE_VERDICT_STORED | BFUSE_VERDICT_ZERO);

	if (v->flags & ~(BFUSE_VERDICT_STORED | BFUSE_VERDICT_ZERO | BFUSE_VERDICT_CLEAR))
		return BFUSE_REASON_FLAGS;
	if (source && (rq->op != BFUSE_OP_READ || v->status || source == (BFUSE_VERDICT_STORED | BFUSE_VERDICT_ZERO)))
		return BFUSE_REASON_FLAGS;
	if (!status_is_known(rq, v->status))
		return BFUSE_REASON_STATUS;
	if (rq->op == BFUSE_OP_READ && !v->status && !source && rq->length > rq->queue->filter->slot_size)
		return BFUSE_REASON_LENGTH;
	return BFUSE_REASON_NONE;
}

/* Are all the data that it is to have there? */
static enum bfuse_reason check_modify(const struct bf_request *rq, const struct bfuse_verdict *v)
{
	if (v->flags & BFUSE_VERDICT_STORED)
		return rq->staged ? BFUSE_REASON_NONE : BFUSE_REASON_FLAGS;
	return rq->length <= rq->queue->filter->slot_size ? BFUSE_REASON_NONE : BFUSE_REASON_LENGTH;
}

/* What was done at the write pointer of a zone can't be done again for a successor; an append can't in any case. */
static bool may_hold(const struct bf_request *rq)
{
	bool moves_pointer = bf_op_sends_data(rq->op) || rq->op == BFUSE_OP_WRITE_ZEROES;

	return rq->op != BFUSE_OP_ZONE_APPEND && !(moves_pointer && bdev_is_zoned(rq->bio->bi_bdev));
}

/* More than PASS as it is. */
static enum bfuse_reason check_change(const struct bf_request *rq, const struct bfuse_verdict *v)
{
	bool as_it_is = v->type == BFUSE_PASS && !(v->flags & (BFUSE_VERDICT_HOLD | BFUSE_VERDICT_MODIFY | BFUSE_VERDICT_MIRROR));

	if (!as_it_is && (bio_has_crypt_ctx(rq->bio) || (rq->bio->bi_opf & REQ_INTEGRITY)))
		return BFUSE_REASON_CONTEXT;
	if ((v->flags & BFUSE_VERDICT_HOLD) && !may_hold(rq))
		return BFUSE_REASON_OP;
	if (!(v->flags & BFUSE_VERDICT_MODIFY))
		return BFUSE_REASON_NONE;
	if (!bf_op_sends_data(rq->op))
		return BFUSE_REASON_OP;
	return bf_shadow_fits(rq) ? check_modify(rq, v) : BFUSE_REASON_LENGTH;
}

/* PASS and REDIRECT. */
static enum bfuse_reason check_pass(const struct bf_request *rq, const struct bfuse_verdict *v)
{
	if (v->status)
		return BFUSE_REASON_STATUS;
	if (likely(v->type == BFUSE_PASS && !(v->flags & ~(BFUSE_VERDICT_NOTIFY | BFUSE_VERDICT_CLEAR))))
		return BFUSE_REASON_NONE;
	if (v->flags & BFUSE_VERDICT_ZERO)
		return BFUSE_REASON_FLAGS;
	if ((v->flags & (BFUSE_VERDICT_STORED | BFUSE_VERDICT_MODIFY)) == BFUSE_VERDICT_STORED)
		return BFUSE_REASON_FLAGS;
	return bf_way_check_op(rq, v) ?: check_change(rq, v);
}

/* The second verdict on a request whose completion was held. */
static enum bfuse_reason check_held(const struct bf_request *rq, const struct bfuse_verdict *v)
{
	if (v->type == BFUSE_COMPLETE)
		return check_complete(rq, v);
	if (v->type == BFUSE_REDIRECT)
		return BFUSE_REASON_OP;
	if (v->status)
		return BFUSE_REASON_STATUS;
	if (!v->flags)
		return BFUSE_REASON_NONE;
	if ((v->flags & ~BFUSE_VERDICT_STORED) != BFUSE_VERDICT_MODIFY)
		return BFUSE_REASON_FLAGS;
	return rq->op == BFUSE_OP_READ && !rq->status ? check_modify(rq, v) : BFUSE_REASON_OP;
}

/* Of which chunks it speaks must be known, and that no copy of them is under way: what is completed does not wait for that. */
static enum bfuse_reason check_clear(const struct bf_request *rq, const struct bfuse_verdict *v)
{
	if (rq->state == BF_TAG_HELD || !rcu_access_pointer(rq->att->chunks))
		return BFUSE_REASON_FLAGS;
	if (v->type == BFUSE_COMPLETE && (rq->att->interest.verdicts & 1u << BFUSE_COPY_BEFORE))
		return BFUSE_REASON_FLAGS;
	return rq->length && rq->op != BFUSE_OP_ZONE_APPEND ? BFUSE_REASON_NONE : BFUSE_REASON_OP;
}

/* Few have any. */
static bool has_more_verbs(const struct bfuse_verdict *v)
{
	return v->flags & (BFUSE_VERDICT_MODIFY | BFUSE_VERDICT_HOLD | BFUSE_VERDICT_COPY_BEFORE | BFUSE_VERDICT_MIRROR);
}

static u32 verbs_of(const struct bfuse_verdict *v)
{
	u32 verbs = 1u << v->type;

	if (likely(!has_more_verbs(v)))
		return verbs;
	if (v->flags & BFUSE_VERDICT_MODIFY)
		verbs |= 1u << BFUSE_MODIFY;
	if (v->flags & BFUSE_VERDICT_HOLD)
		verbs |= 1u << BFUSE_HOLD;
	if (v->flags & BFUSE_VERDICT_COPY_BEFORE)
		verbs |= 1u << BFUSE_COPY_BEFORE;
	if (v->flags & BFUSE_VERDICT_MIRROR)
		verbs |= 1u << BFUSE_MIRROR;
	return verbs;
}

/* Under the lock, @rq in BF_TAG_SENT or HELD. */
static enum bfuse_reason check(const struct bf_request *rq, const struct bfuse_verdict *v)
{
	if (v->flags & ~ALL_FLAGS)
		return BFUSE_REASON_FLAGS;
	if (verbs_of(v) & ~rq->att->interest.verdicts)
		return BFUSE_REASON_TYPE;
	if ((v->flags & BFUSE_VERDICT_CLEAR) && check_clear(rq, v))
		return check_clear(rq, v);
	if (rq->state == BF_TAG_HELD)
		return check_held(rq, v);
	return v->type == BFUSE_COMPLETE ? check_complete(rq, v) : check_pass(rq, v);
}

static void count_verdict(const struct bf_attachment *att, const struct bfuse_verdict *v)
{
	unsigned long verbs = verbs_of(v);
	u32 verb;

	if (likely(!has_more_verbs(v))) {
		bf_count(att, verdicts[v->type]);
		return;
	}
	for_each_set_bit(verb, &verbs, BFUSE_VERBS)
		bf_count(att, verdicts[verb]);
}

static void take_verdict(struct bf_request *rq, const struct bfuse_verdict *v)
{
	bf_lane_of(rq->att, rq->queue)->nr_sent--;
	count_verdict(rq->att, v);
	if (rq->state == BF_TAG_HELD || v->type == BFUSE_COMPLETE) {
		rq->state = BF_TAG_BUSY;
		return;
	}
	rq->shown = false;
	rq->hold = v->flags & BFUSE_VERDICT_HOLD;
	rq->notify = v->flags & (BFUSE_VERDICT_NOTIFY | BFUSE_VERDICT_HOLD);
	rq->state = BF_TAG_DOWN;
}

/* Under the lock, @rq in BF_TAG_SENT or HELD. */
static enum bfuse_reason accept(struct bf_request *rq, const struct bfuse_verdict *v)
{
	struct bf_attachment *att = bf_layer(rq, v->layer), *from = rq->att;
	enum bfuse_reason reason;

	if (!att)
		return BFUSE_REASON_LAYER;
	rq->att = att;
	reason = check(rq, v) ?: bf_way_bind(rq, v);
	if (reason) {
		rq->att = from;
		return reason;
	}
	bf_layers_take(rq, from);
	take_verdict(rq, v);
	return BFUSE_REASON_NONE;
}

/* Under the lock: the verdict on a request that the deadline has settled, or is settling. */
static enum bfuse_reason take_late(struct bf_request *rq)
{
	if (rq->answered)
		return BFUSE_REASON_STATE;
	if (rq->att)
		bf_count(rq->att, late);
	if (rq->mapped)
		rq->answered = true;
	else
		bf_tag_free(rq);
	return BFUSE_REASON_NONE;
}

/* Under the lock, which is dropped while another of the filter's threads touches the window of @tag for the first time. */
static struct bf_request *find(struct bf_queue *q, u64 tag)
{
	struct bf_request *rq = bf_queue_tag(q, tag);

	while (unlikely(rq && rq->state == BF_TAG_BUSY && bf_window_is_touched(q))) {
		spin_unlock_irq(&q->lock);
		bf_window_wait(q);
		spin_lock_irq(&q->lock);
		rq = bf_queue_tag(q, tag);
	}
	return rq;
}

/* Decides under the lock whether @v is good, and if so claims the tag for it. *@found is NULL for a late verdict. */
static enum bfuse_reason claim(struct bf_queue *q, const struct bfuse_verdict *v, struct bf_request **found)
{
	enum bfuse_reason reason = check_form(v);
	struct bf_request *rq;

	*found = NULL;
	if (reason)
		return reason;

	spin_lock_irq(&q->lock);
	rq = find(q, v->tag);
	if (!rq) {
		reason = BFUSE_REASON_TAG;
	} else if (rq->state == BF_TAG_STALE) {
		reason = take_late(rq);
	} else if (!bf_tag_is_owed(rq)) {
		reason = BFUSE_REASON_STATE;
	} else {
		reason = accept(rq, v);
		if (!reason)
			*found = rq;
	}
	spin_unlock_irq(&q->lock);
	return reason;
}

/* What STORED refers to is in the bio already, or staged. */
static void supply_data(struct bf_request *rq, const struct bfuse_verdict *v)
{
	const void *from = v->flags & BFUSE_VERDICT_STORED ? rq->staged : bf_slot(rq);
	u32 supplied = rq->length;

	if (v->flags & BFUSE_VERDICT_ZERO)
		supplied = 0;
	else if ((v->flags & BFUSE_VERDICT_STORED) && !(v->flags & BFUSE_VERDICT_MODIFY))
		supplied = rq->stored;

	if (supplied && from)
		bf_copy_to_bio(rq->bio, rq->iter, from, 0, supplied);
	if (supplied < rq->length)
		bf_zero_bio(rq->bio, rq->iter, supplied, rq->length - supplied);
}

/* COMPLETE, or any second verdict. */
static void complete_request(struct bf_request *rq, const struct bfuse_verdict *v)
{
	blk_status_t status = v->type == BFUSE_COMPLETE ? errno_to_blk_status(v->status) : rq->status;
	bool other_data = v->type == BFUSE_COMPLETE || (v->flags & BFUSE_VERDICT_MODIFY);
	bool held = rq->completed, shadowed = rq->shadowed;
	struct bf_queue *q = rq->queue;
	struct bio *bio;

	if (rq->op == BFUSE_OP_READ && !status && other_data)
		supply_data(rq, v);
	bf_unstage(rq);
	spin_lock_irq(&q->lock);
	bio = bf_tag_take_bio(rq);
	bf_tag_free(rq);
	spin_unlock_irq(&q->lock);
	if (held)
		bf_end_held(bio, status, shadowed);
	else
		bf_fail(bio, status);
}

static enum bfuse_reason apply(struct bf_queue *q, const struct bfuse_verdict *v, struct bf_batch *batch)
{
	struct bf_request *rq;
	enum bfuse_reason reason = claim(q, v, &rq);

	if (!rq)
		return reason;
	if (unlikely(rq->mapped)) {
		bf_window_zap(rq);
		rq->mapped = false;
	}
	/* With a way only when nothing is to be copied before it any more. */
	if ((v->flags & BFUSE_VERDICT_CLEAR) && !rq->way)
		bf_chunks_clear(rq->att, rq->sector, rq->length);
	if (v->type == BFUSE_COMPLETE || rq->completed) {
		complete_request(rq, v);
	} else if (unlikely(rq->way)) {
		bf_way_begin(rq, batch);
	} else if (unlikely(v->flags & BFUSE_VERDICT_MODIFY)) {
		bf_shadow_forward(rq, batch);
	} else {
		bf_unstage(rq);
		bf_forward(rq, batch);
	}
	return BFUSE_REASON_NONE;
}

/* Applies what the ring holds at this moment. -EINVAL: @arg says which entry, and why. */
int bf_verdicts_apply(struct bf_queue *q, struct bfuse_enter *arg)
{
	/* Pairs with the filter's release: what the index covers is there. */
	u32 tail = smp_load_acquire(&q->head->verdict_tail);
	struct bf_batch batch = {};
	struct bfuse_verdict v;
	struct blk_plug plug;

	arg->entry = q->verdict_head;
	if (tail - q->verdict_head > q->filter->entries) {
		arg->reason = BFUSE_REASON_RING;
		return -EINVAL;
	}
	if (tail == q->verdict_head)
		return 0;

	batch.only = bf_server_begin(q);
	blk_start_plug(&plug);
	while (q->verdict_head != tail && !arg->reason) {
		arg->entry = q->verdict_head;
		v = q->verdict_ring[q->verdict_head++ & (q->filter->entries - 1)];
		/* The copy is what is judged and applied. */
		barrier();
		arg->reason = apply(q, &v, &batch);
		arg->verdicts += !arg->reason;
	}
	blk_finish_plug(&plug);
	bf_steps_end(&batch);
	bf_server_end(q);
	bf_batch_kick(&batch);
	/* Pairs with the filter's acquire: the entries are its again. */
	smp_store_release(&q->head->verdict_head, q->verdict_head);
	return arg->reason ? -EINVAL : 0;
}
