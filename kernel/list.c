// SPDX-License-Identifier: GPL-2.0
/* What tools see: the module, the attachments with their counters, the filters. May sleep. */
#include "blkfilter.h"

long bf_info(struct bfuse_info *arg)
{
	arg->abi = BFUSE_ABI_VERSION;
	arg->features = BF_FEATURES;
	arg->ops = BFUSE_OPS_ALL;
	arg->verdicts = BF_VERBS;
	arg->attachments = READ_ONCE(bf_nr_attachments);
	arg->hooked = bf_hook_active();
	strscpy(arg->version, BF_VERSION, sizeof(arg->version));
	return 0;
}

static u64 sum(const struct bf_attachment *att, size_t offset)
{
	u64 total = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		total += READ_ONCE(*(u64 *)((void *)per_cpu_ptr(att->stat, cpu) + offset));
	return total;
}

#define SUM(field)	sum(att, offsetof(struct bf_stat, field))

static void sum_counters(const struct bf_attachment *att, struct bfuse_stat *out)
{
	int i;

	out->bypassed = SUM(bypassed);
	out->delivered = SUM(delivered);
	out->notified = SUM(notified);
	out->bytes_read = SUM(bytes_read);
	out->bytes_written = SUM(bytes_written);
	out->timeouts = SUM(timeouts);
	out->late = SUM(late);
	out->passed_by_policy = SUM(passed_by_policy);
	out->failed_by_policy = SUM(failed_by_policy);
	out->refused = SUM(refused);
	out->redelivered = SUM(redelivered);
	out->injected = SUM(injected);
	for (i = 0; i < BFUSE_VERBS; i++)
		out->verdicts[i] = SUM(verdicts[i]);
	for (i = 0; i < BFUSE_OP_COUNT; i++)
		out->ops[i] = SUM(ops[i]);
	if (att->counts_device)
		out->bypassed += bf_device_bypassed(att->dev) - att->bypass_base;
	out->seen = out->bypassed + SUM(taken);
}

static void sum_lanes(const struct bf_attachment *att, struct bfuse_stat *out)
{
	u32 i;

	for (i = 0; i < att->filter->nr_queues; i++) {
		out->waiting += READ_ONCE(att->lanes[i].nr_waiting);
		out->inflight += READ_ONCE(att->lanes[i].nr_tags);
		out->with_filter += READ_ONCE(att->lanes[i].nr_sent);
	}
}

static void describe_narrowing(const struct bf_attachment *att, struct bfuse_next *out)
{
	unsigned int noio = bf_lock();

	out->mark_shift = bf_changeset_shift(att);
	bf_unlock(noio);
	rcu_read_lock();
	out->ranges = bf_ranges_count(att);
	out->chunk_shift = bf_chunks_shift(att);
	rcu_read_unlock();
}

static pid_t pid_of(const struct bf_filter *f)
{
	return READ_ONCE(f->server);
}

long bf_next(struct bfuse_next *arg)
{
	struct bf_attachment *att = bf_attachment_above(arg->attachment);
	const struct bf_filter *f;
	u32 size = arg->size;

	if (!att)
		return -ENOENT;
	f = att->filter;
	*arg = (struct bfuse_next){
		.size = size,
		.attachment = att->id,
		.filter = f->id,
		.state = att->state,
		.major = MAJOR(att->bdev->bd_dev),
		.minor = MINOR(att->bdev->bd_dev),
		.altitude = bf_altitude(att),
		.pid = pid_of(f),
		.nr_queues = f->nr_queues,
		.depth = f->depth,
		.slot_size = f->slot_size,
		.filter_flags = f->flags,
		.interest = att->interest,
	};
	snprintf(arg->device, sizeof(arg->device), "%pg", att->bdev);
	memcpy(arg->name, f->name, sizeof(arg->name));
	sum_counters(att, &arg->stat);
	sum_lanes(att, &arg->stat);
	describe_narrowing(att, arg);
	bf_attachment_put(att);
	return 0;
}

static void describe(struct bf_filter *f, struct bfuse_next_filter *arg)
{
	*arg = (struct bfuse_next_filter){
		.size = arg->size,
		.filter = f->id,
		.altitude = f->altitude,
		.pid = pid_of(f),
		.nr_queues = f->nr_queues,
		.depth = f->depth,
		.slot_size = f->slot_size,
		.flags = f->flags,
		.attachments = f->nr_attachments,
		.defaults = f->defaults,
		.rules = f->nr_rules,
		.call_ms = f->call_ms,
		.offered = f->offered,
		.unanswered = f->unanswered,
	};
	memcpy(arg->name, f->name, sizeof(arg->name));
}

long bf_next_filter(struct bfuse_next_filter *arg)
{
	struct bf_filter *f;
	unsigned int noio = bf_lock();
	long err = -ENOENT;

	list_for_each_entry(f, &bf_filters, node) {
		if (f->id > arg->filter) {
			describe(f, arg);
			err = 0;
			break;
		}
	}
	bf_unlock(noio);
	return err;
}
