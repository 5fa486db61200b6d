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

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/hash.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/mempool.h>
#include <linux/poll.h>
#include <linux/rbtree.h>
#include <linux/rculist.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "../include/uapi/blkfilter.h"
#include "compat/compat.h"

#define BF_RANK_TOP	U64_MAX
#define BF_ANY_THREAD	(-1)

#define BF_FEATURES	(BFUSE_F_NOTIFY | BFUSE_F_COMPLETE | BFUSE_F_PAYLOAD | BFUSE_F_HOLD | BFUSE_F_HELD | BFUSE_F_MODIFY | \
			 BFUSE_F_TARGETS | BFUSE_F_INJECT | BFUSE_F_EVENTS | BFUSE_F_DRAIN | BFUSE_F_REPLACE | BFUSE_F_URING | BFUSE_F_LOG | \
			 BFUSE_F_RANGES | BFUSE_F_CHUNKS | BFUSE_F_MARK | BFUSE_F_SPIN | BFUSE_F_LAYERS | \
			 (IS_ENABLED(CONFIG_ARCH_HAS_PTE_SPECIAL) ? BFUSE_F_MAPPED : 0))
/* Verbs that name other places. */
#define BF_WAY_VERBS	(1u << BFUSE_REDIRECT | 1u << BFUSE_COPY_BEFORE | 1u << BFUSE_MIRROR)
#define BF_VERBS	(1u << BFUSE_PASS | 1u << BFUSE_COMPLETE | 1u << BFUSE_MODIFY | 1u << BFUSE_HOLD | BF_WAY_VERBS)

/* Who submitted a bio, and when; pids in the initial namespace. */
struct bf_origin {
	u64			time;	/* CLOCK_MONOTONIC, nanoseconds */
	pid_t			pid;
	pid_t			tgid;
	u32			injector; /* id of the filter that started it, or 0 */
	u16			cpu;
	bool			shared;	/* others' data, and it does not exit: see bf_bio_is_shared() */
};

/* Names a bio as ours on one disk while it is below an attachment; bio->bi_private points to it. */
struct bf_mark {
	bio_end_io_t		*end_io;
	void			*private;
	struct gendisk		*disk;	/* only compared */
	struct bf_origin	origin;
};

/*
 * Another place for a filter's data. @lock and @bios are for those that may not be sent, or done, by the thread at hand.
 */
struct bf_target {
	struct kref		ref;
	struct rcu_head		rcu;
	u32			id;
	bool			read_only;
	bool			forced;		/* each write is to be on stable media */
	bool			inline_ok;	/* who submits to it waits for hardware only */
	u32			block_size;
	u64			sectors;	/* the most that @bdev has had */
	struct file		*file;
	struct block_device	*bdev;		/* the file's, or NULL: a regular file */
	struct block_device	*below;		/* of a regular file: the device of its file system, if it has just one; compared */
	spinlock_t		lock;
	struct bio_list		bios;
	struct work_struct	work;
	struct workqueue_struct	*wq;
	struct work_struct	free;
};

/* The sectors @start to @last of an attached device, and who must not change them before its copy is done. */
struct bf_range {
	struct rb_node		rb;
	u64			start, last, subtree_last;
	u64			turn;		/* who waits, waits for lower ones; 0: has none yet */
	struct list_head	parked;
	struct list_head	node;		/* in another's @parked, or bf_ways.hungry */
};

/*
 * What a verdict says of other places, its targets with a reference: one for each tag, if the attachment may say such
 * things. From the verdict to the next binding of the tag.
 */
struct bf_way {
	struct bf_request	*rq;
	struct bf_target	*target, *mirror, *copy;	/* NULL: the device below, or none */
	u64			sector, mirror_sector, copy_sector, copy_source;
	u32			copy_length;
	u32			given;		/* bytes of them that a piece has, or had; under bf_ways.lock */
	atomic_t		pieces;		/* under way, and one while more are made */
	u16			flags;		/* BFUSE_VERDICT_* */
	bool			redirected;
	bool			copying;
	blk_status_t		copy_error;	/* of any piece */
	blk_status_t		copy_status, mirror_status;
	struct bf_range		range;
};

/* The copies under way in one place of a chain, whoever takes that place: held by the attachments that have, or had, it. */
struct bf_copies {
	struct kref		ref;
	spinlock_t		lock;
	u64			last_turn;
	struct rb_root_cached	ranges;
};

/* The memory of an attachment's copies: piece.c. */
struct bf_store {
	spinlock_t		lock;
	struct bf_piece		*spares;	/* each with a block */
	struct bf_block		*blocks;	/* that no piece has */
	u32			nr_blocks;	/* in all */
	bool			used;		/* since @trim has looked */
	mempool_t		pieces, pages;
	struct delayed_work	trim;
	struct workqueue_struct	*wq;
};

/* What an attachment has for them: its own pools, for what is below it may need some as well to let it go on. */
struct bf_ways {
	mempool_t		legs;		/* without vectors */
	struct bf_store		store;
	struct workqueue_struct	*wq;
	struct bf_copies	*copies;
	struct bio_list		ended;		/* of pieces, to be seen to by @steps; under @lock */
	struct work_struct	steps;
	struct work_struct	feed;
	atomic_t		starving;	/* requests in @hungry, or being fed */
	spinlock_t		lock;
	struct list_head	hungry;		/* waiting for memory, under @lock */
	struct {
		u64		count;		/* failures that the log has not told of */
		unsigned long	logged;		/* jiffies */
	} failures[2];				/* under @lock */
	struct bf_way		way[];		/* [filter->nr_queues * filter->depth] */
};

enum bf_tag_state {
	BF_TAG_FREE,
	BF_TAG_BUSY,	/* the kernel copies data, outside the lock */
	BF_TAG_SENT,	/* with the filter, which owes a verdict */
	BF_TAG_DOWN,	/* passed: the bio is below */
	BF_TAG_DONE,	/* bio gone, BFUSE_DONE waits for room in the ring */
	BF_TAG_READ,	/* bio gone, BFUSE_DONE posted, the filter may be looking at the slot */
	BF_TAG_HELD,	/* bio done below, and with the filter again, which owes a second verdict */
	BF_TAG_STALE,	/* bio settled by the deadline, the filter still owes its verdict */
};

struct bf_request {
	struct bf_mark		mark;	/* first: bio->bi_private points here */
	struct bio		*bio;
	struct bf_attachment	*att;	/* whose request it is; goes down the layers with the verdict */
	struct bf_attachment	*first;	/* in whose lane the tag counts */
	struct bf_attachment	*layer[BFUSE_LAYERS_MAX]; /* of @layers, for filters that have such */
	struct bf_queue		*queue;
	struct block_device	*bdev;	/* this, and the next three: as intercepted */
	struct bvec_iter	iter;
	blk_opf_t		opf;
	bool			remapped;
	u64			sector;	/* as presented */
	u32			length;
	u8			op;
	u8			state;	/* enum bf_tag_state */
	u8			layers;	/* who may be @att: 1 << layer; who is not @first is joined by the lane */
	bool			notify;
	bool			hold;	/* its completion waits for the filter */
	bool			completed; /* below; nothing but that completion is left */
	bool			abandoned; /* settle it when it is no longer BUSY */
	bool			shadowed; /* its bio went nowhere: its parts did, or nothing */
	bool			with_data; /* its BFUSE_DONE comes with the data of the read in the slot */
	bool			shown;	/* its data are for the window, not the slot: window.c */
	bool			mapped;	/* and have been looked at: they must be taken away before the bio goes on */
	bool			answered; /* STALE, while that is done: the late verdict has come */
	struct mm_struct	*viewer; /* of @mapped: who has looked last, only compared, */
	unsigned long		view;	/* and where */
	blk_status_t		status;
	u32			stored;	/* bytes supplied by BFUSE_DATA, from the start */
	void			*staged; /* if they can't go to the bio: all of its data as they are to be */
	atomic_t		parts;	/* leg.c: legs under way */
	u32			built;	/* shadow.c: bytes that have legs; leg.c: legs */
	struct bf_way		*way;	/* NULL: its verdict knows only the one below */
	struct work_struct	work;
	u64			tag;
	unsigned long		sent;	/* jiffies */
	u32			done_index;	/* ring index of its BFUSE_DONE */
	struct list_head	node;	/* queue->done, read or copies */
};

struct bf_lane {
	struct bio_list		waiting;	/* no tag yet, oldest first */
	u32			nr_waiting;
	bool			stacked;	/* what it passes down may need further tags of this queue: for a lower disk or layer */
	u32			nr_redeliver;	/* so many at the head were with a predecessor */
	u32			nr_tags;	/* tags in any state but FREE and STALE */
	u32			nr_joined;	/* tags that count in a higher layer's lane, and may come down here */
	u32			nr_sent;
	unsigned long		since;		/* jiffies of the last progress of @waiting */
	struct list_head	hungry;		/* queue->hungry while anything waits */
	struct bf_attachment	*att;
} ____cacheline_aligned_in_smp;

struct bf_event {
	struct list_head	node;
	u8			op;		/* enum bfuse_event */
	bool			embedded;	/* in a bf_upcall, which retracts it; else freed when it is in the ring */
	u32			attachment;
	s32			status;
	u64			tag;
};

enum bf_call_state { BF_CALL_OPEN, BF_CALL_TAKEN, BF_CALL_OVER };

struct bf_upcall {
	struct list_head	node;		/* filter->upcalls; under bf_lock */
	struct bf_filter	*filter;	/* this and the next two: the caller keeps them */
	struct block_device	*bdev;
	struct bf_attachment	*att;		/* NULL: an offer */
	const bool		*gone;		/* of an existing device: set under bf_lock when it is removed */
	enum bf_call_state	state;		/* this and the next two under bf_lock */
	int			result;		/* see bf_upcall() */
	int			error;		/* of an acceptance */
	unsigned long		end;		/* jiffies */
	struct completion	done;
	struct bf_event		event;
};

/* A command of io_uring that waits for requests, at most one a queue. Under queue->wait.lock. */
struct bf_uring {
	struct wait_queue_entry	wait;		/* in queue->wait */
	struct io_uring_cmd	*cmd;
	u32			min;
	struct delayed_work	patience;	/* its end, on kernels that can't cancel it */
};

/* Queues share no cache line, nor do those who send requests and the thread that answers, but for what one tells the other. */
struct bf_queue {
	spinlock_t		lock;
	struct bf_filter	*filter;
	struct bf_request	*requests;	/* [depth] */
	u16			*free;		/* stack of free indexes */
	u32			nr_free;
	u32			nr_idle_stacked;	/* stacked lanes without a tag */
	u32			nr_hardware;		/* other lanes */
	u32			nr_stale;
	u32			nr_read;
	u32			request_tail;
	u32			reserved;	/* ring entries promised to BUSY tags */
	struct bfuse_queue_head	*head;		/* this and the rest of the mapping: hostile */
	struct bfuse_request	*request_ring;
	struct bfuse_verdict	*verdict_ring;
	void			*slots;
	struct list_head	hungry;		/* lanes with waiting bios, round robin */
	struct list_head	done;		/* BF_TAG_DONE: no room for the entry yet */
	struct list_head	read;		/* BF_TAG_READ, by ring index */
	struct list_head	copies;		/* completed reads to be copied to their slots */
	struct list_head	events;		/* queue 0 only */
	struct list_head	injected;	/* completed injects: no room for the entry yet */
	u32			nr_injects;	/* these, and those under way */
	struct work_struct	work;		/* pump and copies, where the context may not */
	struct mutex		window_mutex;	/* one fault at a time */
	struct mutex		verdict_mutex ____cacheline_aligned_in_smp;
	u32			verdict_head;	/* under verdict_mutex */
	bool			waits_for_only;	/* under verdict_mutex: bf_server_begin() */
	atomic_t		calls;		/* of BFUSE_ENTER, under way */
	pid_t			thread;		/* that called it last, other than to wake; or BF_ANY_THREAD */
	struct task_struct	*sleeper;	/* waits in BFUSE_ENTER; the only one, or else the others are in @wait */
	wait_queue_head_t	wait;
	struct bf_uring		uring;
	atomic_t		waiters;	/* threads, and the command, that wait for requests in BFUSE_ENTER */
	bool			wake;		/* BFUSE_ENTER_WAKE for the next of them */
	struct blk_plug_cb	wake_plug;	/* ring.c */
	unsigned long		wake_plug_used;	/* bit 0 */
	struct task_struct	*spinner;	/* this and what follows: spin.c */
	wait_queue_head_t	spin_wait;
	u64			spin_ns;
	bool			spin_wanted;
	u32			refused;	/* enum bfuse_reason for the next BFUSE_ENTER; under verdict_mutex */
	u32			refused_entry;
} ____cacheline_aligned_in_smp;

struct bf_filter {
	struct list_head	node;		/* bf_filters */
	struct list_head	attachments;	/* under bf_lock */
	u32			nr_attachments;
	u32			nr_stacked;	/* attachments to stacked devices */
	u32			nr_bitmaps;	/* chunk bitmaps that were ever made; under bf_lock */
	u32			id;
	char			name[BFUSE_NAME_MAX];
	u32			altitude;
	u32			flags;
	u32			nr_queues;
	u32			depth;
	u32			slot_size;
	u32			entries;
	u32			known_ops;
	u32			unknown;	/* policy */
	u64			features;
	struct list_head	upcalls;	/* this and the next four under bf_lock */
	struct list_head	rules;
	u32			nr_rules;
	u64			offered;
	u64			unanswered;
	u32			call_ms;
	struct work_struct	match_work;	/* offers what is there already */
	bool			layered;	/* BFUSE_F_LAYERS */
	struct bfuse_interest	defaults;
	struct xarray		targets;	/* bf_target by id, RCU */
	u32			last_target;
	u32			nr_targets;	/* under bf_lock */
	bool			dead;		/* set once, under bf_lock */
	bool			stalled;	/* some attachment may be BFUSE_STATE_STALLED */
	pid_t			owner;		/* registered it */
	pid_t			server;		/* tgid whose I/O it never sees: @owner, until somebody serves it */
	void			*server_files;	/* compared only: its exit is the filter's death */
	const struct gendisk	*only;		/* compared only: the server's threads may wait for it (server.c) */
	u32			nr_attaching;	/* bf_server_suspend(), under bf_lock */
	bool			shared;		/* other processes serve it as well; set and cleared once, under bf_lock */
	atomic_t		mappings;	/* each may hold the file beside its descriptors, as does each of queue->calls */
	atomic_t		calls;		/* of BFUSE_ENTER as commands of io_uring */
	struct inode		*windows;	/* this and the next two: window.c; NULL: all data are copied */
	u32			window_size;
	u32			map_min;
	size_t			queue_bytes;
	u32			off_requests, off_verdicts, off_slots;
	wait_queue_head_t	poll_wait;
	struct delayed_work	watch;		/* deadlines */
	struct work_struct	free;
	struct kref		ref ____cacheline_aligned_in_smp;	/* plugs take it; all else is seldom written */
	struct bf_queue		queues[];
};

struct bf_device {
	struct kref		ref;
	struct hlist_node	node;		/* hash, RCU; under bf_lock */
	struct gendisk		*disk;		/* pinned by its struct device */
	struct list_head	chain;		/* attachments by falling rank, RCU; under bf_lock */
	u32			holders;	/* under bf_lock */
	u64			match;		/* what is not in here nobody wants */
	u64			tracked;	/* what is in here changesets want to know */
	struct bf_attachment	*sole;		/* the only one in the chain, if it is to the whole disk, without zones */
	bool			has_parts;	/* attachments to partitions are in the chain */
	bool			may_submit_inline;
	u32			zone_sectors;	/* 0: it has no zones */
	u64 __percpu		*bypassed;	/* bios that nobody on the whole disk wants: one count for all of them */
	struct list_head	changesets;	/* RCU; under bf_lock */
	atomic_t		change_seq;	/* switches of generations */
	bool			was_tracked;
	bool			lost;		/* this, and the next two: change.c; under @lock */
	u64			lost_first, lost_last;
	spinlock_t		lock;
	struct bio_list		bios;		/* marked, to be submitted by @work */
	struct work_struct	work;
	struct workqueue_struct	*wq;
	struct work_struct	free;
};

/* Per CPU; what the words mean is said at struct bfuse_stat. */
struct bf_stat {
	u64	bypassed;
	u64	delivered;
	u64	taken;
	u64	verdicts[BFUSE_VERBS];
	u64	notified;
	u64	ops[BFUSE_OP_COUNT];
	u64	bytes_read;
	u64	bytes_written;
	u64	timeouts;
	u64	late;
	u64	passed_by_policy;
	u64	failed_by_policy;
	u64	refused;
	u64	redelivered;
	u64	injected;
};

struct bf_attachment {
	struct kref		ref;		/* the chain, the filter's list, and whoever looks closer */
	struct rcu_head		rcu;
	struct list_head	node;		/* device->chain */
	struct list_head	all;		/* bf_attachments, by id */
	struct list_head	of_filter;	/* filter->attachments */
	struct list_head	departed;	/* of whoever calls it for the last time: */
	bool			claimed;	/* that is one only; under bf_lock */
	struct bf_device	*dev;
	struct bf_filter	*filter;
	struct block_device	*bdev;		/* pinned by its struct device */
	bool			is_part;
	u64			rank;
	u8			layer;
	bool			stacked;	/* see struct bf_lane */
	u32			id;
	u64			match;		/* bf_op_bit() of what to steal: wanted, or unknown and to be failed */
	u32			narrow;		/* BF_BY_*: what else to ask, see bf_interest_excludes() */
	blk_opf_t		opf;		/* interest.flags in the kernel's words */
	struct bf_ranges __rcu	*ranges;
	struct bf_chunks __rcu	*chunks;
	struct bf_changeset	*changeset;	/* under bf_lock */
	u64			bypass_base;	/* dev->bypassed when it came */
	bool			counts_device;	/* dev->bypassed counts for it, too */
	struct bfuse_interest	interest;	/* defaults resolved */
	u32			state;		/* enum bfuse_state; written under bf_lock, except LIVE <-> STALLED */
	s32			reason;		/* why it is leaving */
	bool			in_chain;
	bool			departing;	/* its device is being removed, and it has been called for that */
	bool			torn;		/* its device is gone: what waits fails */
	u64			sectors;	/* the device's last known size, for injects when its driver has set that to 0 */
	bool			adopting;	/* bios wait until a predecessor's are in front of them, or for the drain */
	bool			unhooked;	/* grace period after leaving the chain has passed */
	unsigned long		reaped;		/* bit 0 */
	unsigned long		probe;		/* jiffies: STALLED, but then one request is tried */
	struct bf_attachment	*heir;		/* it took this one's place; with a reference */
	struct bf_stat __percpu	*stat;
	struct bf_ways		*ways;		/* NULL: none of BF_WAY_VERBS is promised */
	struct bf_event		*attached, *detached;	/* allocated in advance, until they are posted */
	struct work_struct	reap;
	struct delayed_work	hold;		/* limit of BFUSE_POLICY_HOLD after a death */
	struct completion	gone;
	struct bf_lane		lanes[];	/* [filter->nr_queues] */
};

#define bf_count(att, field)		this_cpu_inc((att)->stat->field)
#define bf_count_many(att, field, n)	this_cpu_add((att)->stat->field, n)

/* main.c */
extern struct mutex bf_mutex;
extern struct workqueue_struct *bf_wq;		/* settling, reaping, submitting: may wait for I/O */
extern struct workqueue_struct *bf_copy_wq;	/* pumping and copying: never waits */
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
#define BF_HASH_BITS	10
extern struct hlist_head bf_devices[1 << BF_HASH_BITS];

/* Empty for most disks that are not filtered; to see that needs no protection. In the hook, for each bio in the system. */
static __always_inline struct hlist_head *bf_device_bucket(const struct gendisk *disk)
{
	return &bf_devices[hash_ptr(disk, BF_HASH_BITS)];
}

/* Under RCU (in the hook: with preemption disabled) or bf_lock. */
static __always_inline struct bf_device *bf_device_in(const struct hlist_head *bucket, const struct gendisk *disk)
{
	struct bf_device *dev;

	hlist_for_each_entry_rcu(dev, bucket, node, lockdep_is_held(&bf_mutex) || rcu_read_lock_any_held())
		if (dev->disk == disk)
			return dev;
	return NULL;
}

static __always_inline struct bf_device *bf_device_find(const struct gendisk *disk)
{
	return bf_device_in(bf_device_bucket(disk), disk);
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
struct bf_device *bf_device_hold(struct gendisk *disk);
void bf_device_release(struct bf_device *dev);
void bf_device_put(struct bf_device *dev);
void bf_device_submit(struct bf_device *dev, struct bio *bio);
void bf_chain_insert(struct bf_attachment *att);
void bf_chain_remove(struct bf_attachment *att);
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

/* interest.c: what an attachment wants to see beyond operations */
#define BF_BY_FLAGS	(1u << 0)
#define BF_BY_PROCESS	(1u << 1)
#define BF_BY_CGROUP	(1u << 2)
#define BF_BY_PLACE	(1u << 3)	/* ranges, chunks, or both */
bool bf_interest_is_valid(const struct bfuse_interest *in);
void bf_interest_init(struct bf_attachment *att);
void bf_interest_end(struct bf_attachment *att);
void bf_interest_sum_up(struct bf_attachment *att);
bool bf_ranges_have(const struct bf_ranges *ranges, u64 first, u64 last);
bool bf_interest_excludes(const struct bf_attachment *att, struct bio *bio, pid_t tgid);
long bf_ranges(struct bf_filter *f, const struct bfuse_ranges *arg);
u32 bf_ranges_count(const struct bf_attachment *att);

/* Of the 64 bits of @word those from bit @first to bit @last of the whole. */
static __always_inline u64 bf_bits(u64 word, u64 first, u64 last)
{
	u64 bits = ~0ull;

	if (word == first / 64)
		bits &= ~0ull << (first % 64);
	if (word == last / 64)
		bits &= ~0ull >> (63 - last % 64);
	return bits;
}

/* chunks.c: which chunks it wants to see */
struct bf_chunks {
	u32		shift;	/* of sectors */
	u64		nr;
	__le64		*words;	/* shared: hostile */
	u64		bytes;	/* whole pages */
	u64		offset;	/* for mmap(2) */
	struct rcu_head	rcu;
};

bool bf_chunks_want(const struct bf_chunks *chunks, u64 first, u64 last);

/* Sectors that lie in one chunk, and that is not wanted? Under RCU. */
static __always_inline bool bf_chunk_is_clear(const struct bf_chunks *chunks, u64 first, u64 last)
{
	first >>= chunks->shift;
	last >>= chunks->shift;
	return last < chunks->nr && first == last &&
	       !(le64_to_cpu(READ_ONCE(chunks->words[first / 64])) >> (first % 64) & 1);
}

/* Does @first to @last lie where @att does not look? Under RCU (in the hook: with preemption disabled). */
static __always_inline bool bf_is_elsewhere(const struct bf_attachment *att, u64 first, u64 last)
{
	const struct bf_chunks *chunks = rcu_dereference_check(att->chunks, rcu_read_lock_any_held());
	const struct bf_ranges *ranges;

	if (chunks && !bf_chunks_want(chunks, first, last))
		return true;
	ranges = rcu_dereference_check(att->ranges, rcu_read_lock_any_held());
	return ranges && !bf_ranges_have(ranges, first, last);
}

void bf_chunks_clear(struct bf_attachment *att, u64 sector, u32 length);
void bf_chunks_end(struct bf_attachment *att);
long bf_chunks(struct bf_filter *f, struct bfuse_chunks *arg);
bool bf_chunks_is_offset(u64 offset);
int bf_chunks_mmap(struct bf_filter *f, struct vm_area_struct *vma);
u32 bf_chunks_shift(const struct bf_attachment *att);

/* change.c: bios in flight that may change data */
#define BF_CHANGE_ALL	U64_MAX	/* as the last sector: the whole disk */
typedef void bf_change_fn(void *arg, u64 first, u64 last);
void bf_change_track(struct bf_device *dev, struct bio *bio);
void bf_change_endio(struct bio *bio);
void bf_changes_in_flight(struct bf_device *dev, bf_change_fn *fn, void *arg);
void bf_change_forget(struct bf_device *dev);
void bf_change_exit(void);

/* changeset.c: which chunks have changed */
void bf_changesets_mark(struct bf_device *dev, u64 first, u64 last);
void bf_changeset_end(struct bf_attachment *att);
void bf_changeset_inherit(struct bf_attachment *heir, struct bf_attachment *att);
u32 bf_changeset_shift(const struct bf_attachment *att);
long bf_mark(struct bf_filter *f, struct bfuse_mark *arg);

/* drain.c: what was submitted before the attach completes */
struct bf_drain;
struct bf_drain *bf_drain_begin(struct bf_attachment *att, u32 ms);
int bf_drain_wait(struct bf_drain *d, struct bf_attachment *att);
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
u32 bf_filter_mappings_max(const struct bf_filter *f);
void bf_vma_open(struct vm_area_struct *vma);
void bf_vma_close(struct vm_area_struct *vma);
__poll_t bf_filter_poll(struct bf_filter *f, struct file *file, struct poll_table_struct *wait);
void bf_filter_closing(struct bf_filter *f, struct file *file, void *files);

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
bool bf_queue_has_pending(struct bf_queue *q);
void bf_queue_work(struct work_struct *work);
void bf_queue_post_event(struct bf_filter *f, struct bf_event *ev);
void bf_count_delivery(const struct bf_request *rq, const struct bf_attachment *att);
void bf_queue_retract_event(struct bf_filter *f, struct bf_event *ev);
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
void bf_lane_add(struct bf_lane *lane, struct bf_queue *q);
void bf_lane_del(struct bf_lane *lane, struct bf_queue *q);
void bf_lane_get(struct bf_lane *lane, struct bf_queue *q);
void bf_lane_put(struct bf_lane *lane, struct bf_queue *q);
void bf_lane_join(struct bf_lane *lane);
void bf_lane_part(struct bf_lane *lane);
u32 bf_lane_reserve(const struct bf_lane *lane, const struct bf_queue *q);
void bf_lane_wait(struct bf_lane *lane, struct bf_queue *q, struct bio *bio, const struct bf_origin *origin,
		  bool again);

/* layer.c: several attachments of a filter to one device, in one crossing */
void bf_layers_join(struct bf_request *rq, struct bio *bio);
struct bf_attachment *bf_layer(const struct bf_request *rq, u8 layer);
void bf_layers_take(struct bf_request *rq, struct bf_attachment *from);
void bf_layers_part(struct bf_request *rq);
u32 bf_layers_verdicts(const struct bf_request *rq);

/* ring.c: the kernel's end of the request ring */
u32 bf_ring_room(const struct bf_queue *q);
void bf_ring_publish(struct bf_queue *q, const struct bfuse_request *desc);
void bf_ring_advance(struct bf_queue *q);

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
long bf_enter(struct bf_filter *f, struct bfuse_enter *arg);
bool bf_queue_over(struct bf_queue *q, u32 min);

/* uring.c: the same as a command of io_uring */
struct io_uring_cmd;
void bf_uring_init(struct bf_queue *q);
void bf_uring_exit(struct bf_queue *q);
int bf_uring_enter(struct bf_filter *f, struct io_uring_cmd *cmd, unsigned int issue_flags);
void bf_uring_cancel(struct io_uring_cmd *cmd, unsigned int issue_flags);

/* server.c: the process that serves a filter, and what its threads may wait for */
void bf_server_note(struct bf_filter *f);
bool bf_server_is_alone(const struct bf_filter *f, pid_t pid);
bool bf_server_is_dying(const struct bf_filter *f);
void bf_server_review(struct bf_filter *f);
void bf_server_gone(struct bf_filter *f);
const struct gendisk *bf_server_begin(struct bf_queue *q);
void bf_server_end(struct bf_queue *q);
int bf_server_suspend(struct bf_filter *f);
void bf_server_resume(struct bf_filter *f);

/* spin.c: verdicts without a system call */
int bf_spin_init(struct bf_queue *q, u32 spin_us, u32 number);
void bf_spin_exit(struct bf_queue *q);
void bf_spin_kick(struct bf_queue *q);

/* request.c: the way of a bio: mark, present, forward, complete */
int bf_request_init(void);
void bf_request_exit(void);
bool bf_bio_is_tracked(const struct bio *bio);
void bf_loose_endio(struct bio *bio);
void bf_request_endio(struct bio *bio);
void bf_leg_endio(struct bio *bio);
void bf_inject_endio(struct bio *bio);

static __always_inline bool bf_end_is_ours(bio_end_io_t *end_io)
{
	return end_io == bf_request_endio || end_io == bf_loose_endio || end_io == bf_leg_endio || end_io == bf_inject_endio;
}

/* In the hook, for each bio to a filtered disk. Of a change in flight it matters what is below. */
static __always_inline bool bf_bio_is_marked(const struct bio *bio)
{
	const struct bf_mark *mark = bio->bi_private;
	bio_end_io_t *end_io = bio->bi_end_io;

	if (end_io == bf_change_endio && mark->disk == bio->bi_bdev->bd_disk) {
		end_io = mark->end_io;
		mark = mark->private;
	}
	return bf_end_is_ours(end_io) && mark->disk == bio->bi_bdev->bd_disk;
}

void bf_mark_bio(struct bio *bio, struct bf_mark *mark, bio_end_io_t *end_io);
void bf_unmark_bio(struct bio *bio, struct bf_mark *mark);
bool bf_mark_waiting(struct bio *bio, const struct bf_origin *origin);
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
void bf_fail(struct bio *bio, blk_status_t status);
void bf_end_bio(struct bio *bio);
void bf_end_again(struct bio *bio);

/* verdict.c: where a verdict is applied */
int bf_verdicts_apply(struct bf_queue *q, struct bfuse_enter *arg);

/* settle.c: what becomes of requests whose filter is dead, late or gone */
void bf_settle_new(struct bf_attachment *att, struct bio *bio, const struct bf_origin *origin);
void bf_settle_held(struct bf_attachment *att, struct bio *bio, blk_status_t status);
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
u32 bf_succeed(struct bf_attachment *heir, struct bf_attachment *dead);

/* shadow.c: a write with other data */
int bf_shadow_init(void);
void bf_shadow_exit(void);
bool bf_shadow_fits(const struct bf_request *rq);
void bf_shadow_forward(struct bf_request *rq, struct bf_batch *batch);

/* inject.c: requests of a filter's own */
long bf_inject(struct bf_filter *f, const struct bfuse_inject *arg);
void bf_inject_post(struct bf_queue *q);

/* payload.c: data of a request */
void bf_unstage(struct bf_request *rq);
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
bool bf_bio_is_shared(const struct bio *bio);
u64 bf_bio_sector(struct bio *bio, const struct bf_attachment *att);
u64 bf_bio_cgroup(struct bio *bio);
bool bf_bio_is_refused(struct bio *bio);
bool bf_op_sends_data(u8 op);

/*
 * leg.c: bios of our own, which do parts of a request. The request stays in BF_TAG_DOWN and counts them, and itself until the
 * last is on its way.
 */
enum bf_leg_role { BF_LEG_MAIN, BF_LEG_MIRROR, BF_LEG_COPY };

struct bf_leg {
	struct bf_mark		mark;	/* first: bio->bi_private points here */
	struct bf_request	*rq;
	struct bf_target	*target; /* the request's; NULL: it goes below the attachment */
	struct bf_leg		*shares; /* whose pages it uses, with a count in @users */
	refcount_t		users;
	u8			role;
	void			(*release)(struct bf_leg *leg);	/* frees it, with pages of its own */
	struct bio		bio;	/* last: its vectors follow */
};

struct bf_leg *bf_leg_clone(struct bf_request *rq, enum bf_leg_role role, struct bf_leg *of, u32 offset, gfp_t gfp);
int bf_legs_init(void);
void bf_legs_exit(void);
int bf_legs_pool(mempool_t *pool);
void bf_leg_free(struct bf_leg *leg);
struct block_device *bf_leg_bdev(const struct bf_request *rq, enum bf_leg_role role);
void bf_leg_init(struct bf_leg *leg, struct bf_request *rq, enum bf_leg_role role, void (*release)(struct bf_leg *leg));
void bf_leg_aim(struct bf_leg *leg, u32 offset);
void bf_leg_mark(struct bf_leg *leg);
void bf_leg_send(struct bf_leg *leg, struct bf_batch *batch);
void bf_leg_put(struct bf_leg *leg);
void bf_legs_begin(struct bf_request *rq);
void bf_legs_end(struct bf_request *rq);
void bf_legs_forward(struct bf_request *rq, struct bf_batch *batch);
bool bf_legs_send(struct bf_request *rq, struct bf_batch *batch, bool wait);

/* way.c: verdicts that name other places */
struct bf_ways *bf_ways_alloc(const struct bf_filter *f);
void bf_ways_free(struct bf_ways *ways);
void bf_ways_inherit(struct bf_ways *ways, const struct bf_ways *from);
enum bfuse_reason bf_way_check_form(const struct bfuse_verdict *v);
enum bfuse_reason bf_way_check_op(const struct bf_request *rq, const struct bfuse_verdict *v);
enum bfuse_reason bf_way_bind(struct bf_request *rq, const struct bfuse_verdict *v);
void bf_way_begin(struct bf_request *rq, struct bf_batch *batch);
void bf_way_go(struct bf_request *rq, struct bf_batch *batch);
void bf_way_starve(struct bf_request *rq);
void bf_way_fed(struct bf_ways *ways);
void bf_way_release(struct bf_request *rq);
void bf_way_failed(struct bf_request *rq, enum bf_leg_role role, blk_status_t status);
blk_status_t bf_way_status(const struct bf_request *rq, blk_status_t status);
void bf_way_describe(const struct bf_request *rq, struct bfuse_request *desc);

/* piece.c: the memory that copies go through */
#define BF_BLOCK_BYTES	65536u
#define BF_PIECE_VECS	16

struct bf_piece {
	struct bf_piece		*next;		/* bf_store.spares */
	u32			room;
	u32			offset, bytes;	/* of the copy */
	bool			writes;		/* else it reads */
	bool			blocks;		/* what it has are such, not single pages */
	struct bio_vec		vecs[BF_PIECE_VECS];
	struct bf_leg		leg;		/* last, as its bio is there */
};

int bf_pieces_init(void);
void bf_pieces_exit(void);
int bf_store_init(struct bf_store *store, struct workqueue_struct *wq);
void bf_store_exit(struct bf_store *store);
struct bf_piece *bf_piece_get(struct bf_request *rq, u32 bytes);
void bf_piece_share(struct bf_piece *piece);
void bf_piece_free(struct bf_leg *leg);

/* step.c: who takes the next step of a copy */
void bf_steps_begin(struct bf_batch *batch, const struct bf_ways *ways);
void bf_steps_end(struct bf_batch *batch);
void bf_steps_work(struct work_struct *work);
void bf_step_endio(struct bf_piece *piece);

/* copy.c: what is to be preserved before a request goes on */
bool bf_copy_begin(struct bf_request *rq, struct bf_batch *batch);
bool bf_copy_feed(struct bf_request *rq, struct bf_batch *batch);
void bf_copy_step(struct bf_piece *piece, struct bf_batch *batch);
bool bf_copy_pass(struct bf_piece *piece);

/* target.c: other places for data */
long bf_target_add(struct bf_filter *f, struct bfuse_target *arg);
long bf_target_remove(struct bf_filter *f, const struct bfuse_untarget *arg);
void bf_targets_drop(struct bf_filter *f);
struct bf_target *bf_target_get(struct bf_filter *f, u32 id);
void bf_target_put(struct bf_target *t);
bool bf_target_loops(const struct bf_target *t, const struct bf_attachment *att);
bool bf_range_is_good(u64 sector, u64 bytes, u64 capacity, u32 block_size);
bool bf_target_takes(struct bf_target *t, u8 op, u64 sector, u64 bytes);
void bf_target_submit(struct bf_target *t, struct bio *bio, const struct bf_origin *origin);

/* backing.c: a regular file as a device */
void bf_backing_do(struct bf_target *t, struct bio *bio);

/* log.c: what happened */
void bf_log(enum bfuse_log_event event, const struct bf_attachment *att, s32 status, u64 count);
void bf_log_call(enum bfuse_log_event event, const struct bf_upcall *call, s32 status, u64 count);
long bf_log_read(struct bfuse_log *arg);

/* list.c: what tools see */
long bf_info(struct bfuse_info *arg);
long bf_next(struct bfuse_next *arg);
long bf_next_filter(struct bfuse_next_filter *arg);

#endif
