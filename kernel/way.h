/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Verdicts that name other places, and what is done for them: leg.c, way.c, copy.c, piece.c, step.c, target.c, backing.c.
 */
#ifndef BLKFILTER_WAY_H
#define BLKFILTER_WAY_H

#include "types.h"

struct bf_batch;

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
bool bf_keeps_order(const struct bf_request *rq);
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
void bf_target_submit(struct bf_target *t, struct bio *bio);

/* backing.c: a regular file as a device */
void bf_backing_do(struct bf_target *t, struct bio *bio);

#endif
