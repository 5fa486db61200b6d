// SPDX-License-Identifier: GPL-2.0
/*
 * Layers: several attachments of one filter to one device, at different altitudes. Those that stand directly one below the other
 * get a request together, in one tag and one entry of the ring; the verdict says whose it is, and those above have passed it.
 *
 *	chain		900 f/0		800 f/1		500 other	400 f/2
 *	request for f	layers 0 and 1 ---------+	|		|
 *	verdict of layer 1, PASS			+-> on its own -+-> on its own, layer 2
 *
 * The tag counts in the lane of the first, from delivery to the end, as any tag does: what keeps tags for those that may need
 * them (lane.c) need not know of layers. The others are joined, which keeps them, and no tag for them: if the verdict is that
 * of a higher layer, the request comes to them on its own, with a tag of its own, for which the higher lane has left one.
 *
 * Nothing joins below one that may copy before: what passes that has to wait for its copies, as its own request would.
 *
 * Only what stands below at the moment of delivery joins. Who attaches in between later did not see what came before.
 */
#include "blkfilter.h"

/* A request waits for the copies of those that it passes, and only of those that it was with. */
static bool has_copies(const struct bf_attachment *att)
{
	return att->interest.verdicts & (1u << BFUSE_COPY_BEFORE);
}

/* On zoned disks the order in which each attachment sees writes matters: they come one by one. */
static bool may_join(const struct bf_request *rq, struct bf_attachment *next, u64 op)
{
	return next->filter == rq->att->filter && next->bdev == rq->att->bdev && (next->match & op) && !READ_ONCE(next->narrow) &&
	       READ_ONCE(next->state) == BFUSE_STATE_LIVE && !next->adopting && !READ_ONCE(next->heir) &&
	       !bf_lane_of(next, rq->queue)->nr_waiting && !next->dev->zone_sectors;
}

/* For bf_layers_join(): those that stand directly below. */
void bf_layers_join_others(struct bf_request *rq, struct bio *bio)
{
	struct bf_attachment *att = rq->att;
	u64 op = bf_op_bit(bio);

	rq->layer[att->layer] = att;
	rcu_read_lock();
	while (!has_copies(att) && (att = bf_chain_below(att)) && may_join(rq, att, op)) {
		rq->layers |= 1u << att->layer;
		rq->layer[att->layer] = att;
		bf_lane_join(bf_lane_of(att, rq->queue));
	}
	rcu_read_unlock();
}

/* Under the lock: the attachment whose verdict on @rq it may be, or NULL. */
struct bf_attachment *bf_layer(const struct bf_request *rq, u8 layer)
{
	if (likely(layer == rq->att->layer))
		return rq->att;
	if (layer < rq->att->layer || layer >= BFUSE_LAYERS_MAX || !(rq->layers & (1u << layer)))
		return NULL;
	return rq->layer[layer];
}

/* Under the lock: what one of those who have @rq may do with it. */
u32 bf_layers_verdicts(const struct bf_request *rq)
{
	u32 verdicts = rq->att->interest.verdicts, layer;

	for (layer = 0; unlikely(rq->first->filter->layered) && layer < BFUSE_LAYERS_MAX; layer++)
		if (rq->layers & (1u << layer))
			verdicts |= rq->layer[layer]->interest.verdicts;
	return verdicts;
}

/* For bf_layers_take(). */
void bf_layers_take_from(struct bf_request *rq, struct bf_attachment *from)
{
	struct bf_attachment *att;
	u32 layer;

	for (layer = 0; layer < BFUSE_LAYERS_MAX; layer++) {
		if (!(rq->layers & (1u << layer)))
			continue;
		att = rq->layer[layer];
		if (att != from && layer <= rq->att->layer)
			bf_count_delivery(rq, att);
		if (layer < rq->att->layer)
			bf_count(att, verdicts[BFUSE_PASS]);
		if (att != rq->att && att != rq->first)
			bf_lane_part(bf_lane_of(att, rq->queue));
	}
	rq->layers = 1u << rq->att->layer;
	bf_lane_of(from, rq->queue)->nr_sent--;
	bf_lane_of(rq->att, rq->queue)->nr_sent++;
}

/* For bf_layers_part(). */
void bf_layers_part_others(struct bf_request *rq)
{
	u32 layer;

	for (layer = 0; layer < BFUSE_LAYERS_MAX; layer++)
		if ((rq->layers & (1u << layer)) && rq->layer[layer] != rq->first)
			bf_lane_part(bf_lane_of(rq->layer[layer], rq->queue));
}
