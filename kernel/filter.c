// SPDX-License-Identifier: GPL-2.0
/*
 * A filter: what an open file becomes by BFUSE_REGISTER. Its queues' rings and slots, its mapping, its death.
 *
 * It dies once: when its file is released, when the process that serves it exits (a child may have inherited the file; and a
 * thread may keep its table of descriptors while it waits for an answer of this filter: bf_server_is_dying()), or when that
 * process closes its last descriptor (the mapping would keep the file). Then its attachments follow their policies. The memory
 * lives on until the last attachment is gone, for passed requests are still in its tags.
 */
#include <linux/ctype.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/poll.h>
#include <linux/vmalloc.h>

#include "blkfilter.h"

#define SPARE_MAPPINGS	16

LIST_HEAD(bf_filters);	/* by id; under bf_lock */
static u32 last_id;

static int queue_init(struct bf_queue *q, struct bf_filter *f, u32 spin_us)
{
	u32 i;

	spin_lock_init(&q->lock);
	mutex_init(&q->verdict_mutex);
	mutex_init(&q->window_mutex);
	init_waitqueue_head(&q->wait);
	INIT_LIST_HEAD(&q->hungry);
	INIT_LIST_HEAD(&q->done);
	INIT_LIST_HEAD(&q->read);
	INIT_LIST_HEAD(&q->copies);
	INIT_LIST_HEAD(&q->events);
	INIT_LIST_HEAD(&q->injected);
	INIT_WORK(&q->work, bf_queue_work);
	bf_uring_init(q);
	q->filter = f;
	q->number = q - f->queues;

	q->requests = kvcalloc(f->depth, sizeof(*q->requests), GFP_KERNEL);
	q->free = kvcalloc(f->depth, sizeof(*q->free), GFP_KERNEL);
	q->head = vmalloc_user(f->queue_bytes);
	if (!q->requests || !q->free || !q->head)
		return -ENOMEM;
	q->request_ring = (void *)q->head + f->off_requests;
	q->verdict_ring = (void *)q->head + f->off_verdicts;
	q->slots = (void *)q->head + f->off_slots;
	for (i = 0; i < f->depth; i++) {
		q->requests[i].queue = q;
		q->requests[i].tag = i;
		q->free[i] = f->depth - 1 - i;
	}
	q->nr_free = f->depth;
	return bf_spin_init(q, spin_us);
}

static void queue_free(struct bf_queue *q)
{
	struct bf_event *ev, *next;

	if (!q->filter)
		return;
	bf_spin_exit(q);
	cancel_work_sync(&q->work);
	bf_uring_exit(q);
	list_for_each_entry_safe(ev, next, &q->events, node)
		kfree(ev);
	vfree(q->head);
	kvfree(q->free);
	kvfree(q->requests);
}

static void filter_free(struct bf_filter *f)
{
	u32 i;

	/* Who completed the last request may still be waking its queue. */
	synchronize_rcu();
	cancel_delayed_work_sync(&f->watch);
	for (i = 0; i < f->nr_queues; i++)
		queue_free(&f->queues[i]);
	bf_window_exit(f);
	bf_rules_free(f);
	bf_server_set(f, 0);
	kvfree(f);
}

static void free_work(struct work_struct *work)
{
	filter_free(container_of(work, struct bf_filter, free));
}

static void last_put(struct kref *ref)
{
	struct bf_filter *f = container_of(ref, struct bf_filter, ref);

	/* It may be the filter's own watch that drops the last attachment. */
	queue_work(bf_wq, &f->free);
}

void bf_filter_put(struct bf_filter *f)
{
	kref_put(&f->ref, last_put);
}

struct bf_filter *bf_filter_by_id(u32 id)
{
	struct bf_filter *f, *found = NULL;
	unsigned int noio = bf_lock();

	list_for_each_entry(f, &bf_filters, node) {
		if (f->id == id) {
			kref_get(&f->ref);
			found = f;
			break;
		}
	}
	bf_unlock(noio);
	return found;
}

static bool policy_is_plain(u32 policy)
{
	return policy == BFUSE_POLICY_PASS || policy == BFUSE_POLICY_ERROR;
}

/* Checks @in, and puts what its zeroes stand for. */
int bf_interest_check(const struct bf_filter *f, struct bfuse_interest *in)
{
	const u32 with_data = 1u << BFUSE_OP_READ | 1u << BFUSE_OP_WRITE | 1u << BFUSE_OP_ZONE_APPEND;

	if (memchr_inv(in->__reserved, 0, sizeof(in->__reserved)) || (in->ops & ~f->known_ops) ||
	    (in->payload & ~(in->ops & with_data)) || (in->payload && !f->slot_size) ||
	    (in->verdicts & ~BF_VERBS) || in->policy > BFUSE_POLICY_HOLD || !bf_interest_is_valid(in) ||
	    in->deadline_ms > BFUSE_DEADLINE_MAX || in->hold_ms > BFUSE_DEADLINE_MAX)
		return -EINVAL;
	in->verdicts |= 1u << BFUSE_PASS;
	if (in->policy == BFUSE_POLICY_DEFAULT)
		in->policy = in->verdicts == 1u << BFUSE_PASS ? BFUSE_POLICY_PASS : BFUSE_POLICY_ERROR;
	if (in->policy != BFUSE_POLICY_HOLD)
		return in->fallback || in->hold_ms ? -EINVAL : !in->deadline_ms ? (in->deadline_ms = 30000, 0) : 0;
	in->fallback = in->fallback ?: BFUSE_POLICY_ERROR;
	in->deadline_ms = in->deadline_ms ?: 30000;
	in->hold_ms = in->hold_ms ?: 30000;
	return policy_is_plain(in->fallback) ? 0 : -EINVAL;
}

static bool name_is_good(const char *name)
{
	size_t len = strnlen(name, BFUSE_NAME_MAX), i;

	for (i = 0; i < len; i++)
		if (!isascii(name[i]) || !isgraph(name[i]) || name[i] == '/')
			return false;
	return len && len < BFUSE_NAME_MAX;
}

static int check(const struct bfuse_register *arg)
{
	if (arg->abi != BFUSE_ABI_VERSION)
		return -EPROTO;
	if (arg->features & ~BF_FEATURES)
		return -EOPNOTSUPP;
	if (arg->call_ms > (arg->features & BFUSE_F_EVENTS ? BFUSE_CALL_MS_MAX : 0))
		return -EINVAL;
	if (!name_is_good(arg->name) || arg->altitude < BFUSE_ALTITUDE_MIN || arg->altitude > BFUSE_ALTITUDE_MAX ||
	    (arg->flags & ~BFUSE_FILTER_ATTACHABLE) || !arg->nr_queues || arg->nr_queues > BFUSE_QUEUES_MAX ||
	    !is_power_of_2(arg->depth) || arg->depth > BFUSE_DEPTH_MAX || arg->slot_size > BFUSE_SLOT_MAX ||
	    (arg->slot_size && (!is_power_of_2(arg->slot_size) || arg->slot_size < SZ_4K)) ||
	    !policy_is_plain(arg->unknown) || arg->spin_us > BFUSE_SPIN_MAX)
		return -EINVAL;
	return bf_window_check(arg);
}

/* Each tag can have a request and the end of the one before it in the ring; events want a place too. */
static int lay_out(struct bf_filter *f)
{
	u64 bytes;

	f->entries = max(roundup_pow_of_two(2 * f->depth), 64ul);
	f->off_requests = PAGE_SIZE;
	f->off_verdicts = f->off_requests + PAGE_ALIGN(f->entries * sizeof(struct bfuse_request));
	f->off_slots = f->off_verdicts + PAGE_ALIGN(f->entries * sizeof(struct bfuse_verdict));
	bytes = f->off_slots + PAGE_ALIGN((u64)f->depth * f->slot_size);
	if (bytes * f->nr_queues > BFUSE_MEMORY_MAX)
		return -E2BIG;
	f->queue_bytes = bytes;
	return 0;
}

static struct bf_filter *filter_alloc(struct bfuse_register *arg)
{
	struct bf_filter *f = kvzalloc(struct_size(f, queues, arg->nr_queues), GFP_KERNEL);
	int err;
	u32 i;

	if (!f)
		return ERR_PTR(-ENOMEM);
	kref_init(&f->ref);
	INIT_LIST_HEAD(&f->attachments);
	INIT_LIST_HEAD(&f->upcalls);
	bf_rules_init(f);
	xa_init_flags(&f->targets, XA_FLAGS_ALLOC1);
	init_waitqueue_head(&f->poll_wait);
	INIT_DELAYED_WORK(&f->watch, bf_deadline_watch);
	mutex_init(&f->large);
	INIT_WORK(&f->free, free_work);
	memcpy(f->name, arg->name, sizeof(f->name));
	f->altitude = arg->altitude;
	f->layered = arg->features & BFUSE_F_LAYERS;
	f->flags = arg->flags;
	f->features = arg->features;
	f->call_ms = arg->call_ms ?: 5000;
	f->nr_queues = arg->nr_queues;
	f->depth = arg->depth;
	f->slot_size = arg->slot_size;
	f->known_ops = arg->known_ops & BFUSE_OPS_ALL;
	f->unknown = arg->unknown;
	f->defaults = arg->defaults;
	f->owner = current->tgid;
	bf_server_set(f, current->tgid);
	err = bf_interest_check(f, &f->defaults);
	if (!err)
		err = lay_out(f);
	if (!err)
		err = bf_window_init(f, arg);
	for (i = 0; !err && i < f->nr_queues; i++)
		err = queue_init(&f->queues[i], f, arg->spin_us);
	if (!err)
		return f;
	filter_free(f);
	return ERR_PTR(err);
}

/* With the caller's reference; not yet to be found by others: bf_filter_publish(). */
struct bf_filter *bf_filter_register(struct bfuse_register *arg)
{
	int err = check(arg);
	struct bf_filter *f = err ? ERR_PTR(err) : filter_alloc(arg);

	if (IS_ERR(f))
		return f;
	arg->entries = f->entries;
	arg->queue_bytes = f->queue_bytes;
	arg->off_requests = f->off_requests;
	arg->off_verdicts = f->off_verdicts;
	arg->off_slots = f->off_slots;
	arg->off_windows = bf_window_offset(f);
	return f;
}

/* Makes @f the file's, and lets others find it. False: the file is a filter already. */
bool bf_filter_publish(struct bf_filter *f, struct file *file)
{
	unsigned int noio = bf_lock();
	bool first = !file->private_data;

	if (first) {
		f->id = ++last_id;
		list_add_tail(&f->node, &bf_filters);
		/* Before anybody can map anything. The inode lives as long as @f, and so longer than the file. */
		if (f->windows)
			file->f_mapping = f->windows->i_mapping;
		f->file = file;
		/* Pairs with filter_of(): who finds it there, without a lock, finds it initialised. */
		smp_store_release(&file->private_data, f);
	}
	bf_unlock(noio);
	return first;
}

static void wake_all(struct bf_filter *f)
{
	u32 i;

	for (i = 0; i < f->nr_queues; i++)
		bf_queue_rouse(&f->queues[i]);
	wake_up_all(&f->poll_wait);
}

static void bereave(struct bf_attachment *att)
{
	if (att->state == BFUSE_STATE_LEAVING)
		return;
	if (att->interest.policy == BFUSE_POLICY_PASS)
		bf_attachment_leave(att, 0);
	else
		WRITE_ONCE(att->state, BFUSE_STATE_ORPHAN);
	/* Here, where none of them can be gone already. */
	bf_log(BFUSE_LOG_DIED, att, 0, 0);
	pr_info("%pg: \"%s\" at altitude %u died%s\n", att->bdev, att->filter->name, bf_altitude(att),
		att->state == BFUSE_STATE_ORPHAN ? " and left an orphan" : "");
	/* Under bf_lock, where only a LEAVING attachment may be about to end. */
	if (att->state == BFUSE_STATE_ORPHAN && att->interest.policy == BFUSE_POLICY_HOLD)
		queue_delayed_work(bf_wq, &att->hold, msecs_to_jiffies(att->interest.hold_ms));
}

/* May sleep. Does not wait for requests that are below. */
void bf_filter_die(struct bf_filter *f)
{
	struct bf_attachment *att;
	unsigned int noio = bf_lock();
	u32 i;

	if (f->dead) {
		bf_unlock(noio);
		return;
	}
	WRITE_ONCE(f->dead, true);
	list_del(&f->node);
	bf_server_gone(f);
	list_for_each_entry(att, &f->attachments, of_filter)
		bereave(att);
	bf_upcalls_end(f);
	bf_targets_drop(f);
	bf_unlock(noio);
	wake_all(f);
	for (i = 0; i < f->nr_queues; i++)
		bf_inject_post(&f->queues[i]);

	for (att = NULL; (att = bf_attachment_after(att));) {
		if (att->filter != f)
			continue;
		bf_settle_lanes(att, true);
	}
}

/* What is replaced stays as long as it is mapped; who may only serve shall not fill the memory with it. */
bool bf_filter_may_map(const struct bf_filter *f)
{
	u32 most = (f->windows ? 2 : 1) * f->nr_queues + 2 * READ_ONCE(f->nr_attachments) + SPARE_MAPPINGS;

	return (u32)atomic64_read(&f->mappings) < most;
}

void bf_vma_open(struct vm_area_struct *vma)
{
	struct bf_filter *f = vma->vm_private_data;

	bf_ref_count(&f->mappings);
}

void bf_vma_close(struct vm_area_struct *vma)
{
	struct bf_filter *f = vma->vm_private_data;

	bf_ref_uncount(&f->mappings);
}

static const struct vm_operations_struct vma_ops = {
	.open = bf_vma_open,
	.close = bf_vma_close,
};

static int map_queue(struct bf_filter *f, struct vm_area_struct *vma, u64 offset)
{
	u64 queue = offset / f->queue_bytes;

	if (offset % f->queue_bytes || queue >= f->nr_queues || vma->vm_end - vma->vm_start != f->queue_bytes)
		return -EINVAL;
	return remap_vmalloc_range(vma, f->queues[queue].head, 0);
}

static int map_pages(struct bf_filter *f, struct vm_area_struct *vma, u64 offset)
{
	int err = bf_chunks_is_offset(offset) ? bf_chunks_mmap(f, vma) : map_queue(f, vma, offset);

	if (!err)
		vma->vm_ops = &vma_ops;
	return err;
}

/* A whole queue, its windows, or a bitmap, shared, not inherited by fork, not dumped. The pages outlive the filter for whoever maps them. */
int bf_filter_mmap(struct bf_filter *f, struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	int err;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	err = bf_window_is_offset(f, offset) ? bf_window_mmap(f, vma) : map_pages(f, vma, offset);
	if (err)
		return err;
	vm_flags_set(vma, VM_DONTCOPY);
	vma->vm_private_data = f;
	bf_vma_open(vma);
	return 0;
}

__poll_t bf_filter_poll(struct bf_filter *f, struct file *file, struct poll_table_struct *wait)
{
	u32 i;

	poll_wait(file, &f->poll_wait, wait);
	/* As in BFUSE_ENTER: see wait(). */
	smp_mb();
	if (READ_ONCE(f->dead))
		return EPOLLERR | EPOLLHUP;
	for (i = 0; i < f->nr_queues; i++) {
		bf_queue_catch_up(&f->queues[i]);
		if (bf_queue_ready(&f->queues[i]))
			return EPOLLIN | EPOLLRDNORM;
	}
	return 0;
}
