/* SPDX-License-Identifier: GPL-2.0 */
/*
 * blkfilter: objects of the module, who holds them and what ends them.
 *
 *	bf_filter	one open file that registered. Held by the file and by each of its attachments.
 *	 bf_queue	part of the filter: tags, two rings and the slots.
 *	  bf_request	a tag: part of the queue. Its state machine is drawn in queue.c.
 *	bf_device	a gendisk that has attachments. Held by them.
 *	bf_attachment	a filter on a block device. It is published in the device's chain under RCU. It ends when it has
 *			left the chain, a grace period has passed, and each lane counts zero requests (attachment.c).
 *	 bf_lane	part of the attachment: its requests in one queue of its filter.
 *	bf_inject	a request that the filter starts itself. Ends when its completion is in the ring (inject.c).
 *	bf_upcall	a call to a filter, on the stack of whoever waits for the answer (upcall.c).
 *	bf_target	another place for data, of one filter. Held by its table and by each request that uses it (target.c).
 *	bf_leg		a bio of our own that does a part of a request. Ends when that bio does (leg.c).
 *	bf_piece	a leg of a copy, with memory. Ends when its last part of the copy is written (piece.c).
 *	bf_mark		what an intercepted bio carries: the bi_end_io and bi_private it came with.
 *	bf_changeset	chunks that have changed, kept for an attachment (changeset.c).
 *
 * An intercepted bio is not cloned. Its completion is hooked (bi_end_io, bi_private), the same bio goes on, and what it
 * had is put back when it completes. So nothing can be missing in a clone: cgroup, encryption context, integrity
 * payload, polling cookie and the sector that a zone append returns are the submitter's own. With filters at several
 * altitudes the marks nest, last in first out, which is why completions run from low to high.
 *
 * Locks, outermost first:
 *	bf_lock		mutex: filters, devices, chains, states of attachments. Held without waiting for I/O:
 *			allocations under it are GFP_NOIO, user memory is never touched under it.
 *	bf_queue.lock	spinlock, interrupts off: tags, lanes and the kernel's side of the rings. No bio is submitted or
 *			completed under it.
 *	bf_device.lock, bf_target.lock
 *			spinlock, interrupts off: list of bios to submit. A leaf.
 *	bf_copies.lock	spinlock, interrupts off: copies under way, and who waits for them. A leaf.
 *	bf_ways.lock	spinlock, interrupts off: who waits for memory; what has been copied; what the log has not told of. A leaf.
 *	bf_store.lock	spinlock, interrupts off: memory that no copy has. A leaf.
 * RCU: the hash of devices and their chains; the targets of a filter.
 */
#ifndef BLKFILTER_H
#define BLKFILTER_H

#include <linux/printk.h>
#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "types.h"

#define BF_RANK_TOP	U64_MAX
#define BF_ANY_THREAD	(-1)

#define BF_FEATURES	(BFUSE_F_NOTIFY | BFUSE_F_COMPLETE | BFUSE_F_PAYLOAD | BFUSE_F_HOLD | BFUSE_F_HELD | BFUSE_F_MODIFY | \
			 BFUSE_F_TARGETS | BFUSE_F_INJECT | BFUSE_F_EVENTS | BFUSE_F_DRAIN | BFUSE_F_REPLACE | BFUSE_F_URING | BFUSE_F_LOG | \
			 BFUSE_F_RANGES | BFUSE_F_CHUNKS | BFUSE_F_MARK | BFUSE_F_SPIN | BFUSE_F_LAYERS | \
			 (IS_ENABLED(CONFIG_ARCH_HAS_PTE_SPECIAL) ? BFUSE_F_MAPPED : 0))
/* Verbs that name other places. */
#define BF_WAY_VERBS	(1u << BFUSE_REDIRECT | 1u << BFUSE_COPY_BEFORE | 1u << BFUSE_MIRROR)
#define BF_VERBS	(1u << BFUSE_PASS | 1u << BFUSE_COMPLETE | 1u << BFUSE_MODIFY | 1u << BFUSE_HOLD | BF_WAY_VERBS)

#define bf_count(att, field)		this_cpu_inc((att)->stat->field)
#define bf_count_many(att, field, n)	this_cpu_add((att)->stat->field, n)

/* main.c */
extern struct mutex bf_mutex;
extern struct workqueue_struct *bf_wq;		/* settling, reaping, submitting: may wait for I/O */
extern struct workqueue_struct *bf_copy_wq;	/* pumping and copying: never waits for I/O */
unsigned int bf_lock(void);
void bf_unlock(unsigned int noio);

/* hook.c: where a bio is caught */
int bf_hook_init(void);
void bf_hook_exit(void);
int bf_hook_get(void);
void bf_hook_put(void);
bool bf_hook_active(void);

/* device.c: the filtered disks and their chains */
bool bf_disk_is_hardware(const struct gendisk *disk);
bool bf_disk_is_dm(struct gendisk *disk);
/*
 * A filtered disk's hash has its bit set; beside 1,000 filtered disks one in 65 others has such a hash, too. What is
 * left when BF_BUCKET_SHIFT bits of it are dropped is the disk's bucket, so those who share a bit share the bucket.
 */
#define BF_HASH_BITS	16
#define BF_BUCKET_SHIFT	6
extern unsigned long bf_filtered[BITS_TO_LONGS(1 << BF_HASH_BITS)];
extern struct hlist_head bf_devices[1 << (BF_HASH_BITS - BF_BUCKET_SHIFT)];

static __always_inline unsigned int bf_disk_hash(const struct gendisk *disk)
{
	return hash_ptr(disk, BF_HASH_BITS);
}

/* That it is not needs no protection to be seen. In the hook, for each bio in the system. */
static __always_inline bool bf_may_be_filtered(unsigned int hash)
{
	return test_bit(hash, bf_filtered);
}

/* Under RCU (in the hook: with preemption disabled) or bf_lock. */
static __always_inline struct bf_device *bf_device_hashed(unsigned int hash, const struct gendisk *disk)
{
	struct bf_device *dev;

	hlist_for_each_entry_rcu(dev, &bf_devices[hash >> BF_BUCKET_SHIFT], node,
				 lockdep_is_held(&bf_mutex) || rcu_read_lock_any_held())
		if (dev->disk == disk)
			return dev;
	return NULL;
}

static __always_inline struct bf_device *bf_device_find(const struct gendisk *disk)
{
	return bf_device_hashed(bf_disk_hash(disk), disk);
}

/* A bit of a mask of the kernel's own operations; an empty flush has that of REQ_OP_FLUSH, which no bio has. */
static __always_inline u64 bf_op_bit(const struct bio *bio)
{
	u32 op = (__force u32)bio_op(bio);

	if (op == (__force u32)REQ_OP_WRITE && !bio->bi_iter.bi_size && (bio->bi_opf & REQ_PREFLUSH))
		op = (__force u32)REQ_OP_FLUSH;
	return 1ull << (op & 63);
}

/* Verdicts of one call that go to a device's worker: it is woken once. */
struct bf_batch {
	struct bf_device	*dev;	/* with a reference */
	const struct gendisk	*only;	/* the caller itself may submit to it: server.c */
	struct bf_attendant	*attendant; /* step.c: this and the next two, for who calls bf_steps_end() */
	const struct bf_ways	*ways;	/* compared only */
	struct bio_list		ended;
};

void bf_device_add(struct bf_device *dev, struct bio *bio, struct bf_batch *batch);
void bf_batch_kick(struct bf_batch *batch);
u64 bf_device_bypassed(const struct bf_device *dev);
struct bf_device *bf_device_alloc(struct gendisk *disk);
void bf_device_publish(struct bf_device *dev);
struct bf_device *bf_device_before(struct bf_device *dev);
struct bf_device *bf_device_hold(struct gendisk *disk);
void bf_device_release(struct bf_device *dev);
void bf_device_put(struct bf_device *dev);
void bf_device_queue_behind(struct bf_device *dev, struct work_struct *work);
void bf_device_submit(struct bf_device *dev, struct bio *bio);
void bf_chain_insert(struct bf_attachment *att);
void bf_chain_remove(struct bf_attachment *att);
void bf_chain_forget(struct bf_attachment *att);
struct bf_attachment *bf_chain_next(struct bf_device *dev, struct bio *bio, u64 below, const struct bf_origin *origin);
bool bf_chain_wants(struct bf_device *dev, struct bio *bio);
struct bf_attachment *bf_chain_at(struct bf_device *dev, struct block_device *bdev, u64 rank);
struct bf_attachment *bf_chain_below(const struct bf_attachment *att);

/* attachment.c: its life */
static inline u32 bf_altitude(const struct bf_attachment *att)
{
	return (u32)att->rank;
}

extern struct list_head bf_attachments;
extern u32 bf_nr_attachments;
u64 bf_rank(const struct block_device *bdev, u32 altitude);
struct bf_attachment *bf_attachment_alloc(struct bf_filter *f, struct block_device *bdev, const struct bfuse_attach *arg);
void bf_attachment_enlist(struct bf_attachment *att);
void bf_attachment_leave(struct bf_attachment *att, int reason);
void bf_attachment_open(struct bf_attachment *att);
struct bf_attachment *bf_attachment_above(u32 id);
struct bf_attachment *bf_attachment_after(struct bf_attachment *att);
struct bf_attachment *bf_attachment_below(struct bf_attachment *att);
void bf_attachment_put(struct bf_attachment *att);
struct bf_attachment *bf_attachment_own(struct bf_filter *f, u32 id);

/* attach.c: how it comes to stand on a device */
long bf_attach(struct bf_filter *own, struct bfuse_attach *arg);
long bf_attach_offered(struct bf_upcall *call, struct bfuse_answer *answer);
long bf_detach(const struct bfuse_detach *arg);

/* A bio for a partition counts from the partition's start until the block layer has remapped it (BIO_REMAPPED). */
static __always_inline u64 bf_bio_disk_sector(struct bio *bio)
{
	u64 sector = bio->bi_iter.bi_sector;

	return bio_flagged(bio, BIO_REMAPPED) ? sector : sector + bio->bi_bdev->bd_start_sect;
}

#include "interest.h"

/* drain.c: what was submitted before the attach completes */
struct bf_drain;
struct bf_drain *bf_drain_begin(struct bf_attachment *att, u32 ms);
int bf_drain_wait(struct bf_drain *d, struct bf_attachment *att);
unsigned long bf_drain_limit(const struct bf_drain *d);
void bf_drain_end(struct bf_drain *d);

/* filter.c: registration, memory, death */
extern struct list_head bf_filters;
struct bf_filter *bf_filter_register(struct bfuse_register *arg);
void bf_filter_put(struct bf_filter *f);
void bf_filter_die(struct bf_filter *f);
bool bf_filter_publish(struct bf_filter *f, struct file *file);
struct bf_filter *bf_filter_by_id(u32 id);
int bf_interest_check(const struct bf_filter *f, struct bfuse_interest *in);
int bf_filter_mmap(struct bf_filter *f, struct vm_area_struct *vma);
bool bf_filter_may_map(const struct bf_filter *f);
void bf_vma_open(struct vm_area_struct *vma);
void bf_vma_close(struct vm_area_struct *vma);
__poll_t bf_filter_poll(struct bf_filter *f, struct file *file, struct poll_table_struct *wait);

/* holder.c: who has the file, and when nobody has it any more */
void bf_filter_closing(struct bf_filter *f, struct file *file, void *files);
void bf_filter_released(struct bf_filter *f);
bool bf_filter_is_lost(struct bf_filter *f);

/* A reference to the file that is no descriptor: after it was taken. The upper half tells how many there were ever. */
static inline void bf_ref_count(atomic64_t *refs)
{
	/* The reference is there before it is counted. */
	smp_mb__before_atomic();
	atomic64_add((1ll << 32) + 1, refs);
}

/* Before it is dropped. */
static inline void bf_ref_uncount(atomic64_t *refs)
{
	atomic64_dec(refs);
	/* And until after it is not any more. */
	smp_mb__after_atomic();
}

/* Has the system call that runs one beside its descriptor? Not where there is only one thread, which can't close it meanwhile: fdget(). */
static inline bool bf_call_holds_file(void)
{
	return atomic_read(&current->files->count) > 1;
}

/* upcall.c: calls that a filter answers */
int bf_upcall(struct bf_upcall *call);
bool bf_upcall_is_possible(const struct bf_filter *f);
void bf_upcall_account(struct bf_upcall *call, int result);
void bf_upcalls_end(struct bf_filter *f);
void bf_upcalls_void(struct block_device *bdev);
long bf_offer(struct bf_filter *f, struct bfuse_offer *arg);
long bf_answer(struct bf_filter *f, struct bfuse_answer *arg);

/* arrival.c: rules, and devices that match them */
int bf_arrival_init(void);
void bf_arrival_exit(void);
void bf_rules_init(struct bf_filter *f);
void bf_rules_free(struct bf_filter *f);
long bf_match(struct bf_filter *f, const struct bfuse_match *arg);

/* leaving.c: devices that are removed */
int bf_leaving_init(void);
void bf_leaving_exit(void);
bool bf_disk_is_leaving(const struct gendisk *disk);
void bf_device_removed(struct block_device *bdev);

/* queue.c: tags and what they carry */
enum bf_offer { BF_TAKEN, BF_BYPASS };
enum bf_offer bf_queue_offer(struct bf_attachment *att, struct bio *bio, const struct bf_origin *origin,
			     struct bf_queue **wake);
void bf_queue_pump(struct bf_queue *q);
void bf_queue_catch_up(struct bf_queue *q);
void bf_queue_work(struct work_struct *work);
void bf_count_delivery(const struct bf_request *rq, const struct bf_attachment *att);
struct bf_request *bf_queue_tag(struct bf_queue *q, u64 tag);

/* Under the lock: does the filter owe a verdict, and nobody copies? */
static inline bool bf_tag_is_owed(const struct bf_request *rq)
{
	return rq->state == BF_TAG_SENT || rq->state == BF_TAG_HELD;
}

struct bio *bf_tag_take_bio(struct bf_request *rq);
void bf_tag_free(struct bf_request *rq);
void bf_tag_finish(struct bf_request *rq);

/* lane.c: who waits, and who must leave tags to others */
static inline struct bf_lane *bf_lane_of(struct bf_attachment *att, const struct bf_queue *q)
{
	return &att->lanes[q->number];
}

/*
 * A tag is kept while its bio is below. If what is below is filtered by the same filter (dm over a disk, say), the bios
 * there need tags of the same queue before it comes back. So lanes of stacked devices leave a tag to each other such
 * lane that has none, and one to the hardware, whose tags come back by themselves: the lowest can always go on.
 */
static inline u32 bf_lane_reserve(const struct bf_lane *lane, const struct bf_queue *q)
{
	if (likely(!lane->stacked))
		return 0;
	return (lane->nr_tags ? q->nr_idle_stacked : 0) + !!q->nr_hardware;
}

void bf_lane_put_last(struct bf_lane *lane, struct bf_queue *q);

/* These two under the lock: what counts in the lane keeps its attachment. */
static inline void bf_lane_get(struct bf_lane *lane, struct bf_queue *q)
{
	if (!lane->nr_tags++ && lane->stacked)
		q->nr_idle_stacked--;
}

static inline void bf_lane_put(struct bf_lane *lane, struct bf_queue *q)
{
	if (!--lane->nr_tags)
		bf_lane_put_last(lane, q);
}

void bf_lane_add(struct bf_lane *lane, struct bf_queue *q);
void bf_lane_del(struct bf_lane *lane, struct bf_queue *q);
void bf_lane_join(struct bf_lane *lane);
void bf_lane_part(struct bf_lane *lane);
bool bf_lane_may_go(const struct bf_lane *lane, const struct bf_queue *q);
struct bf_lane *bf_lane_next(struct bf_queue *q);
bool bf_lane_is_hopeless(const struct bf_lane *lane, const struct bf_queue *q, u32 lost);
void bf_lane_wait(struct bf_lane *lane, struct bf_queue *q, struct bio *bio, const struct bf_origin *origin,
		  bool again);

/* layer.c: several attachments of a filter to one device, in one crossing */
void bf_layers_join_others(struct bf_request *rq, struct bio *bio);
struct bf_attachment *bf_layer(const struct bf_request *rq, u8 layer);
void bf_layers_take_from(struct bf_request *rq, struct bf_attachment *from);
void bf_layers_part_others(struct bf_request *rq);
u32 bf_layers_verdicts(const struct bf_request *rq);

/* Under the lock: @rq is to be delivered to its attachment, and to those that stand directly below. */
static inline void bf_layers_join(struct bf_request *rq, struct bio *bio)
{
	rq->layers = 1u << rq->att->layer;
	if (unlikely(rq->att->filter->layered))
		bf_layers_join_others(rq, bio);
}

/* Under the lock: @rq, whose verdict was accepted as that of its attachment, was with @from; those between pass it. */
static inline void bf_layers_take(struct bf_request *rq, struct bf_attachment *from)
{
	if (unlikely(from->filter->layered))
		bf_layers_take_from(rq, from);
}

/* Under the lock: the tag counts no longer, for anybody. */
static inline void bf_layers_part(struct bf_request *rq)
{
	if (unlikely(rq->first->filter->layered))
		bf_layers_part_others(rq);
	rq->layers = 0;
	bf_lane_put(bf_lane_of(rq->first, rq->queue), rq->queue);
}

/* ring.c: the kernel's end of the request ring */
u32 bf_ring_room(const struct bf_queue *q);
void bf_ring_publish(struct bf_queue *q, const struct bfuse_request *desc);
void bf_ring_advance(struct bf_queue *q);
void bf_queue_add_event(struct bf_queue *q, struct bf_event *ev);
void bf_queue_post_event(struct bf_filter *f, struct bf_event *ev);
void bf_queue_retract_event(struct bf_filter *f, struct bf_event *ev);

/* Under the lock, with room: the entry to be written. The filter may see, and spoil, what is there. */
static inline struct bfuse_request *bf_ring_next(struct bf_queue *q)
{
	return &q->request_ring[q->request_tail & (q->filter->entries - 1)];
}

u32 bf_queue_ready(struct bf_queue *q);
void bf_queue_rouse(struct bf_queue *q);
void bf_queue_wake(struct bf_queue *q);
void bf_queue_wake_plugged(struct bf_queue *q);

/* enter.c: the system call of a serving thread */
long bf_enter(struct bf_filter *f, struct bfuse_enter *arg, bool holds);
bool bf_queue_over(struct bf_queue *q, u32 min);

/* uring.c: the same as a command of io_uring */
struct io_uring_cmd;
void bf_uring_init(struct bf_queue *q);
void bf_uring_exit(struct bf_queue *q);
int bf_uring_enter(struct bf_filter *f, struct io_uring_cmd *cmd, unsigned int issue_flags);
void bf_uring_cancel(struct io_uring_cmd *cmd, unsigned int issue_flags);

/* server.c: the process that serves a filter, and what its threads may wait for */
#define BF_SERVERS_BITS	8
extern atomic_t bf_servers[1 << BF_SERVERS_BITS];	/* filters, by the hash of the tgid that serves them */
static inline u32 bf_server_hash(pid_t tgid)
{
	return (u32)tgid % (1u << BF_SERVERS_BITS);
}

/* May there be a filter that process @tgid serves? For those who ask it of each write, and of most in vain. */
static inline bool bf_server_may_be(pid_t tgid)
{
	return atomic_read(&bf_servers[bf_server_hash(tgid)]);
}

void bf_server_set(struct bf_filter *f, pid_t server);
void bf_server_note(struct bf_filter *f);
bool bf_server_is_alone(const struct bf_filter *f, pid_t pid);
bool bf_server_is_dying(const struct bf_filter *f);
void bf_server_review(struct bf_filter *f);
void bf_server_gone(struct bf_filter *f);
const struct gendisk *bf_server_begin(struct bf_queue *q);
void bf_server_end(struct bf_queue *q);
int bf_server_suspend(struct bf_filter *f, unsigned long limit);
void bf_server_resume(struct bf_filter *f);

/* spin.c: verdicts without a system call */
int bf_spin_init(struct bf_queue *q, u32 spin_us);
void bf_spin_exit(struct bf_queue *q);
void bf_spin_kick(struct bf_queue *q);

/* request.c: the way of a bio: mark, present, forward, complete */
int bf_request_init(void);
void bf_request_exit(void);
void bf_loose_endio(struct bio *bio);
void bf_request_endio(struct bio *bio);
void bf_leg_endio(struct bio *bio);
void bf_inject_endio(struct bio *bio);

static __always_inline bool bf_end_is_ours(bio_end_io_t *end_io)
{
	return end_io == bf_request_endio || end_io == bf_loose_endio || end_io == bf_leg_endio || end_io == bf_inject_endio;
}

/* In the hook, for each bio to a filtered disk. Of changes in flight, which may be several, it matters what is below. */
static __always_inline bool bf_bio_is_marked(const struct bio *bio)
{
	const struct bf_mark *mark = bio->bi_private;
	bio_end_io_t *end_io = bio->bi_end_io;

	while (end_io == bf_change_endio && mark->disk == bio->bi_bdev->bd_disk) {
		end_io = mark->end_io;
		mark = mark->private;
	}
	return bf_end_is_ours(end_io) && mark->disk == bio->bi_bdev->bd_disk;
}

void bf_mark_bio(struct bio *bio, struct bf_mark *mark, bio_end_io_t *end_io);
void bf_unmark_bio(struct bio *bio, struct bf_mark *mark);
void bf_mark_waiting(struct bio *bio, const struct bf_origin *origin);
bool bf_mark_unseen(struct bio *bio, const struct bf_origin *origin);
void bf_unmark_waiting(struct bio *bio, struct bf_origin *origin);
void bf_intercept(struct bio *bio);
u32 bf_unseen_flip(void);
bool bf_unseen_left(u32 era);
bool bf_present(struct bio *bio, u64 below, const struct bf_origin *origin);
void bf_forward(struct bf_request *rq, struct bf_batch *batch);
bool bf_forward_needs_worker(const struct bf_request *rq);
void bf_send_below(struct bf_device *dev, u64 rank, struct bio *bio, const struct bf_origin *origin,
		   struct bf_batch *batch);
void bf_bypass(struct bf_attachment *att, struct bio *bio, const struct bf_origin *origin);
void bf_submit(struct bio *bio);
void bf_set_status(struct bio *bio, blk_status_t status);
void bf_fail(struct bio *bio, blk_status_t status);
void bf_end_bio(struct bio *bio);
void bf_end_again(struct bio *bio);
void bf_end_held(struct bio *bio, blk_status_t status, bool shadowed);

/* verdict.c: where a verdict is applied */
int bf_verdicts_apply(struct bf_queue *q, struct bfuse_enter *arg);

/* settle.c: what becomes of requests whose filter is dead, late or gone */
void bf_settle_new(struct bf_attachment *att, struct bio *bio, const struct bf_origin *origin);
void bf_settle_held(struct bf_attachment *att, struct bio *bio, blk_status_t status, bool shadowed);
void bf_settle_tag(struct bf_request *rq);
void bf_settle_waiting(struct bf_attachment *att, struct bf_queue *q);
void bf_settle_lanes(struct bf_attachment *att, bool sent_too);
void bf_settle_hold_expired(struct work_struct *work);

/* deadline.c: requests whose time is over */
unsigned long bf_limit(const struct bf_attachment *att);
bool bf_is_owed(struct bf_attachment *att);
void bf_deadline_now(struct bf_attachment *att);
void bf_deadline_watch(struct work_struct *work);
void bf_unstall(struct bf_filter *f);

/* succession.c: a filter takes another one's place */
bool bf_may_succeed(const struct bf_attachment *heir, const struct bf_attachment *other, bool replace);
bool bf_heir_wants(const struct bf_attachment *heir, const struct bio *bio);
void bf_heir_declines(struct bf_attachment *heir, struct bio *bio, const struct bf_origin *origin);
u32 bf_succeed(struct bf_attachment *heir, struct bf_attachment *dead);

/* shadow.c: a write with other data */
struct bf_shadows *bf_shadows_alloc(struct block_device *bdev);
void bf_shadows_free(struct bf_shadows *shadows);
bool bf_shadow_fits(const struct bf_request *rq);
void bf_shadow_forward(struct bf_request *rq, struct bf_batch *batch);

/* inject.c: requests of a filter's own */
long bf_inject(struct bf_filter *f, const struct bfuse_inject *arg);
void bf_inject_post(struct bf_queue *q);
void bf_injects_await(struct bf_device *dev);

/* payload.c: data of a request */
static inline void bf_unstage(struct bf_request *rq)
{
	if (unlikely(rq->staged)) {
		kvfree(rq->staged);
		rq->staged = NULL;
	}
}

void bf_copy_from_bio(struct bio *bio, struct bvec_iter iter, void *to, u32 offset, u32 bytes);
void bf_copy_to_bio(struct bio *bio, struct bvec_iter iter, const void *from, u32 offset, u32 bytes);
void bf_zero_bio(struct bio *bio, struct bvec_iter iter, u32 offset, u32 bytes);
void *bf_slot(const struct bf_request *rq);
void bf_tag_hold(struct bf_request *rq);
void bf_tag_release(struct bf_request *rq);
long bf_data(struct bf_filter *f, const struct bfuse_data *arg);

/* window.c: data of a request, shown without a copy */
int bf_window_check(const struct bfuse_register *arg);
int bf_window_init(struct bf_filter *f, struct bfuse_register *arg);
void bf_window_exit(struct bf_filter *f);
u64 bf_window_offset(const struct bf_filter *f);
bool bf_window_is_offset(const struct bf_filter *f, u64 offset);
int bf_window_mmap(struct bf_filter *f, struct vm_area_struct *vma);
bool bf_window_takes(const struct bf_request *rq);
bool bf_window_is_touched(struct bf_queue *q);
void bf_window_wait(struct bf_queue *q);
void bf_window_zap(struct bf_request *rq);

/* bio.c: a bio in the words of the ABI */
u8 bf_bio_op(const struct bio *bio);
u64 bf_match_of(u32 ops);
u32 bf_bio_flags(struct bio *bio);
blk_opf_t bf_opf_of(u32 flags);
bool bf_bio_has_shared_data(const struct bio *bio);
bool bf_bio_is_shared(const struct bio *bio);
u64 bf_bio_sector(struct bio *bio, const struct bf_attachment *att);
u64 bf_bio_cgroup(struct bio *bio);
bool bf_bio_is_refused(struct bio *bio);
static inline bool bf_op_sends_data(u8 op)
{
	return op == BFUSE_OP_WRITE || op == BFUSE_OP_ZONE_APPEND;
}


#include "way.h"

/* log.c: what happened */
void bf_log(enum bfuse_log_event event, const struct bf_attachment *att, s32 status, u64 count);
void bf_log_call(enum bfuse_log_event event, const struct bf_upcall *call, s32 status, u64 count);
long bf_log_read(struct bfuse_log *arg);

/* list.c: what tools see */
long bf_info(struct bfuse_info *arg);
long bf_next(struct bfuse_next *arg);
long bf_next_filter(struct bfuse_next_filter *arg);

#endif
