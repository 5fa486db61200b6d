// SPDX-License-Identifier: GPL-2.0
/*
 * Where a verdict is applied. The entry is copied once out of the shared ring and judged by what the kernel knows of
 * the tag. Context: the filter's thread in BFUSE_ENTER, under the queue's verdict_mutex.
 */
#include "blkfilter.h"

static enum bfuse_reason check_form(const struct bfuse_verdict *v)
{
	if (v->__reserved0 || memchr_inv(v->__reserved, 0, sizeof(v->__reserved)))
		return BFUSE_REASON_RESERVED;
	if (v->type >= BFUSE_VERDICT_TYPES)
		return BFUSE_REASON_TYPE;
	return BFUSE_REASON_NONE;
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
		return rq->bio->bi_opf & REQ_NOWAIT;
	default:
		return false;
	}
}

static enum bfuse_reason check_complete(const struct bf_request *rq, const struct bfuse_verdict *v)
{
	u16 source = v->flags & (BFUSE_VERDICT_STORED | BFUSE_VERDICT_ZERO);

	if (v->flags & ~(BFUSE_VERDICT_STORED | BFUSE_VERDICT_ZERO))
		return BFUSE_REASON_FLAGS;
	if (source && (rq->op != BFUSE_OP_READ || v->status || source == (BFUSE_VERDICT_STORED | BFUSE_VERDICT_ZERO)))
		return BFUSE_REASON_FLAGS;
	if (!status_is_known(rq, v->status))
		return BFUSE_REASON_STATUS;
	if (rq->op == BFUSE_OP_READ && !v->status && !source && rq->length > rq->queue->filter->slot_size)
		return BFUSE_REASON_LENGTH;
	return BFUSE_REASON_NONE;
}

/* Under the lock, @rq in BF_TAG_SENT. */
static enum bfuse_reason check(const struct bf_request *rq, const struct bfuse_verdict *v)
{
	if (v->type != BFUSE_PASS && !(rq->att->interest.verdicts & (1u << v->type)))
		return BFUSE_REASON_TYPE;
	if (v->type == BFUSE_COMPLETE)
		return check_complete(rq, v);
	if (v->flags & ~BFUSE_VERDICT_NOTIFY)
		return BFUSE_REASON_FLAGS;
	return v->status ? BFUSE_REASON_STATUS : BFUSE_REASON_NONE;
}

static void take_verdict(struct bf_request *rq, const struct bfuse_verdict *v)
{
	rq->att->lanes[rq->queue - rq->queue->filter->queues].nr_sent--;
	bf_count(rq->att, verdicts[v->type]);
	rq->notify = v->flags & BFUSE_VERDICT_NOTIFY && v->type == BFUSE_PASS;
	rq->state = v->type == BFUSE_PASS ? BF_TAG_DOWN : BF_TAG_BUSY;
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
	rq = bf_queue_tag(q, v->tag);
	if (!rq) {
		reason = BFUSE_REASON_TAG;
	} else if (rq->state == BF_TAG_STALE) {
		if (rq->att)
			bf_count(rq->att, late);
		bf_tag_free(rq);
	} else if (rq->state != BF_TAG_SENT) {
		reason = BFUSE_REASON_STATE;
	} else {
		reason = check(rq, v);
		if (!reason) {
			take_verdict(rq, v);
			*found = rq;
		}
	}
	spin_unlock_irq(&q->lock);
	return reason;
}

static void supply_data(struct bf_request *rq, const struct bfuse_verdict *v)
{
	u32 supplied = 0;

	if (v->flags & BFUSE_VERDICT_STORED)
		supplied = rq->stored;
	else if (!(v->flags & BFUSE_VERDICT_ZERO))
		supplied = rq->length;

	if (supplied && !(v->flags & BFUSE_VERDICT_STORED))
		bf_copy_to_bio(rq->bio, rq->iter, bf_slot(rq), 0, supplied);
	if (supplied < rq->length)
		bf_zero_bio(rq->bio, rq->iter, supplied, rq->length - supplied);
}

static void complete_request(struct bf_request *rq, const struct bfuse_verdict *v)
{
	struct bf_queue *q = rq->queue;
	struct bio *bio;

	if (rq->op == BFUSE_OP_READ && !v->status)
		supply_data(rq, v);
	spin_lock_irq(&q->lock);
	bio = bf_tag_take_bio(rq);
	bf_tag_free(rq);
	spin_unlock_irq(&q->lock);
	bf_fail(bio, errno_to_blk_status(v->status));
}

static enum bfuse_reason apply(struct bf_queue *q, const struct bfuse_verdict *v, struct bf_batch *batch)
{
	struct bf_request *rq;
	enum bfuse_reason reason = claim(q, v, &rq);

	if (!rq)
		return reason;
	if (v->type == BFUSE_PASS)
		bf_forward(rq, batch);
	else
		complete_request(rq, v);
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
	bf_batch_kick(&batch);
	/* Pairs with the filter's acquire: the entries are its again. */
	smp_store_release(&q->head->verdict_head, q->verdict_head);
	return arg->reason ? -EINVAL : 0;
}
