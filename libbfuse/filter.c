// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * From a table of callbacks to what the kernel wants to know of a filter.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_SLOT_SIZE 65536

/* Where the callback of each operation is in the table. */
static const size_t op_offsets[BFUSE_OP_COUNT] = {
	[BFUSE_OP_READ] = offsetof(struct bfuse_filter, read),
	[BFUSE_OP_WRITE] = offsetof(struct bfuse_filter, write),
	[BFUSE_OP_FLUSH] = offsetof(struct bfuse_filter, flush),
	[BFUSE_OP_DISCARD] = offsetof(struct bfuse_filter, discard),
	[BFUSE_OP_SECURE_ERASE] = offsetof(struct bfuse_filter, secure_erase),
	[BFUSE_OP_WRITE_ZEROES] = offsetof(struct bfuse_filter, write_zeroes),
	[BFUSE_OP_ZONE_APPEND] = offsetof(struct bfuse_filter, zone_append),
	[BFUSE_OP_ZONE_RESET] = offsetof(struct bfuse_filter, zone_reset),
	[BFUSE_OP_ZONE_RESET_ALL] = offsetof(struct bfuse_filter, zone_reset_all),
	[BFUSE_OP_ZONE_OPEN] = offsetof(struct bfuse_filter, zone_open),
	[BFUSE_OP_ZONE_CLOSE] = offsetof(struct bfuse_filter, zone_close),
	[BFUSE_OP_ZONE_FINISH] = offsetof(struct bfuse_filter, zone_finish),
	[BFUSE_OP_OTHER] = offsetof(struct bfuse_filter, other),
};

/* NULL if the filter isn't interested. */
static bfuse_op_fn callback_of(const struct bfuse_filter *filter, unsigned int op)
{
	bfuse_op_fn callback;

	memcpy(&callback, (const char *)filter + op_offsets[op], sizeof(callback));
	return callback ? callback : filter->any;
}

static uint32_t ops_of(const struct bfuse_filter *filter)
{
	uint32_t ops = 0;
	unsigned int op;

	for (op = 0; op < BFUSE_OP_COUNT; op++) {
		if (callback_of(filter, op))
			ops |= 1u << op;
	}
	return ops;
}

static uint32_t verbs_of(const struct bfuse_filter *filter)
{
	uint32_t verbs = 1u << BFUSE_PASS;

	if (filter->modifies)
		verbs |= 1u << BFUSE_MODIFY;
	if (filter->held)
		verbs |= 1u << BFUSE_HOLD;
	if (filter->redirects)
		verbs |= 1u << BFUSE_REDIRECT;
	if (filter->mirrors)
		verbs |= 1u << BFUSE_MIRROR;
	if (filter->copies)
		verbs |= 1u << BFUSE_COPY_BEFORE;
	/* Who does more than watch must be able to fail what it can't do: what it encrypts, say, must not pass as it is. */
	if (filter->completes || verbs != 1u << BFUSE_PASS)
		verbs |= 1u << BFUSE_COMPLETE;
	return verbs;
}

static void derive_interest(const struct bfuse_filter *filter, struct bfuse_interest *interest)
{
	interest->ops = ops_of(filter);
	interest->payload = filter->payload;
	interest->verdicts = verbs_of(filter);
	interest->policy = filter->policy;
	interest->fallback = filter->fallback;
	interest->deadline_ms = filter->deadline_ms;
	interest->hold_ms = filter->hold_ms;
}

void bfuse_derive(const struct bfuse_filter *filter, struct bfuse_register *reg)
{
	memset(reg, 0, sizeof(*reg));
	strncpy(reg->name, filter->name, sizeof(reg->name) - 1);
	reg->altitude = filter->altitude;
	reg->flags = filter->flags;
	reg->nr_queues = filter->queues;
	reg->depth = filter->depth;
	reg->slot_size = filter->slot_size ? filter->slot_size : filter->payload ? DEFAULT_SLOT_SIZE : 0;
	if (filter->payload) {
		reg->window_size = filter->window_size;
		reg->map_min = filter->window_size ? filter->map_min : 0;
	}
	reg->known_ops = BFUSE_OPS_ALL;
	reg->unknown = filter->unknown;
	if (!reg->unknown)
		reg->unknown = verbs_of(filter) == 1u << BFUSE_PASS ? BFUSE_POLICY_PASS : BFUSE_POLICY_ERROR;
	if (filter->done)
		reg->features |= BFUSE_F_NOTIFY;
	if (filter->offered || filter->leaving || filter->torn_out || filter->match)
		reg->features |= BFUSE_F_EVENTS;
	if (reg->features & BFUSE_F_EVENTS)
		reg->call_ms = filter->call_ms;
	derive_interest(filter, &reg->defaults);
}

int bfuse_set_filter(struct bfuse *bfuse, const struct bfuse_filter *filter, void *user,
		     const struct bfuse_register *reg)
{
	struct bfuse_register own;
	unsigned int i;
	int err;

	if (filter->size != sizeof(*filter))
		return bfuse__fail(bfuse, -EINVAL, BFUSE_EXIT_ABI,
				   "%s: was built for another version of libbfuse; build it again", filter->name);
	if (reg)
		own = *reg;
	else
		bfuse_derive(filter, &own);
	if (filter->layers > 1)
		own.features |= BFUSE_F_LAYERS;
	bfuse->filter = filter;
	bfuse->user = user;
	for (i = 0; i < BFUSE_OP_COUNT; i++)
		bfuse->ops[i] = callback_of(filter, i);
	err = bfuse_register(bfuse, &own);
	for (i = 0; !err && i < bfuse->nr_queues; i++) {
		err = bfuse__ios_new(&bfuse->queues[i]);
		if (err)
			bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "%s: no memory for %u tags", own.name, own.depth);
	}
	if (err || !filter->registered)
		return err;
	err = filter->registered(bfuse, user);
	if (err && !bfuse_error(bfuse)[0])
		bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "%s: can't begin: %s", own.name, strerror(-err));
	return err;
}
