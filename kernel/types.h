/* SPDX-License-Identifier: GPL-2.0 */
/* The objects of the module. Who holds them and what ends them is said in blkfilter.h. */
#ifndef BLKFILTER_TYPES_H
#define BLKFILTER_TYPES_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/fdtable.h>
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

/* Of a write: others' data, or what its submitter knows of (bf_bio_is_shared()); or who submitted it served no filter then. */
enum bf_shared { BF_OWN, BF_SHARED, BF_UNASKED };

/* Who submitted a bio, and when; pids in the initial namespace. */
struct bf_origin {
	u64			time;	/* CLOCK_MONOTONIC, nanoseconds */
	pid_t			pid;
	pid_t			tgid;
	u32			injector; /* id of the filter that started it, or 0 */
	u16			cpu;
	u8			shared;	/* enum bf_shared */
};

/* Names a bio as ours on one disk while it is below an attachment; bio->bi_private points to it. */
struct bf_mark {
	bio_end_io_t		*end_io;
	void			*private;
	struct gendisk		*disk;	/* only compared */
	struct bf_origin	origin;
};

enum bf_tag_state {
	BF_TAG_FREE,
	BF_TAG_BUSY,	/* the kernel copies data, outside the lock */
	BF_TAG_SENT,	/* with the filter, which owes a verdict */
	BF_TAG_DOWN,	/* passed: the bio is below, or ends just now */
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
	bool			scattered; /* @mapped, in more than one place */
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
	u64			order;	/* among those of its queue: when it got the tag */
	unsigned long		sent;	/* jiffies */
	u32			done_index;	/* ring index of its BFUSE_DONE */
	struct list_head	node;	/* queue->done, read or copies */
};

struct bf_lane {
	struct bio_list		waiting;	/* no tag yet, oldest first */
	u32			nr_waiting;
	bool			stacked;	/* what it passes down may need further tags of this queue: for a lower disk or layer */
	bool			copying;	/* on a zoned device: the data of a write, which none may overtake */
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
	u32			number;		/* in filter->queues, and of its lanes */
	struct bf_filter	*filter;
	struct bf_request	*requests;	/* [depth] */
	u16			*free;		/* stack of free indexes */
	u32			nr_free;
	u64			nr_bound;	/* so often has a tag been taken for a request */
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
	atomic64_t		calls;		/* of BFUSE_ENTER, under way: holder.c */
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
	struct mutex		large;		/* one bitmap at a time is made: who may only serve shall not fill the memory */
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
	struct file		*file;		/* until it is released; under bf_lock */
	atomic64_t		mappings;	/* this, the next, and queue->calls: holder.c */
	atomic64_t		calls;		/* all but BFUSE_ENTER; and what that leaves with io_uring */
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
	struct list_head	all;		/* from its publication until it is freed; under bf_lock */
	struct gendisk		*disk;		/* pinned by its struct device */
	struct list_head	chain;		/* attachments by falling rank, RCU; under bf_lock */
	u32			holders;	/* attachments that are not gone, and others; under bf_lock */
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
	struct workqueue_struct	*visits;	/* who opens it for injects; NULL: there is no need, see inject.c */
	atomic_t		nr_injects;	/* under way below; who waits for none: */
	wait_queue_head_t	idle;
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
	u64			largest;	/* the most that we know of; for places in verdicts */
	bool			adopting;	/* bios wait until a predecessor's are in front of them, or for the drain */
	bool			unhooked;	/* grace period after leaving the chain has passed */
	unsigned long		reaped;		/* bit 0 */
	unsigned long		probe;		/* jiffies: STALLED, but then one request is tried */
	struct bf_attachment	*heir;		/* it took this one's place; with a reference */
	struct bf_stat __percpu	*stat;
	struct bf_ways		*ways;		/* NULL: none of BF_WAY_VERBS is promised */
	struct bf_shadows	*shadows;	/* NULL: MODIFY is not promised */
	struct bf_event		*attached, *detached;	/* allocated in advance, until they are posted */
	struct work_struct	reap;
	struct delayed_work	hold;		/* limit of BFUSE_POLICY_HOLD after a death */
	struct completion	gone;
	struct bf_lane		lanes[];	/* [filter->nr_queues] */
};

#endif
