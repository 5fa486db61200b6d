// SPDX-License-Identifier: GPL-2.0
/*
 * Pieces: what goes to and fro in a copy, a leg (leg.c) with memory of its own. Each attachment has its own, for what
 * lies below it, perhaps filtered as well, may need some to let it go on.
 *
 * Memory comes in blocks of 64 KiB. A piece that ends stays, as a spare, with its first: where the kernel clears what
 * it allocates, that costs several times as much as the whole copy. There are MAX_BLOCKS at most, and when none has
 * been wanted for a second or two those that nobody uses are given back. Without a block a piece makes do with single
 * pages, which count as one, and of which a block's worth is in reserve, as is one piece.
 *
 * Nobody waits for any of it; who finds none is told when a piece has ended, see bf_way_starve(). One will: if the
 * reserve is gone, or there may be no more blocks, then pieces have them, and a piece waits for I/O only.
 */
#include "blkfilter.h"

#define BLOCK_ORDER	get_order(BF_BLOCK_BYTES)
#define BLOCK_PAGES	(BF_BLOCK_BYTES >> PAGE_SHIFT)
#define MAX_BLOCKS	128
#define KEPT		HZ

_Static_assert(BLOCK_PAGES <= BF_PIECE_VECS, "a piece of single pages is as large as a block");

/* One that no piece has. What is in it is nobody's any more. */
struct bf_block {
	struct bf_block *next;
};

static struct kmem_cache *cache;

int bf_pieces_init(void)
{
	cache = kmem_cache_create("blkfilter_piece", sizeof(struct bf_piece), 0, SLAB_HWCACHE_ALIGN, NULL);
	return cache ? 0 : -ENOMEM;
}

/* The pools went with their attachments. */
void bf_pieces_exit(void)
{
	kmem_cache_destroy(cache);
}

static struct bf_store *store_of(const struct bf_leg *leg)
{
	return &leg->rq->att->ways->store;
}

static bool has_block(const struct bf_piece *piece)
{
	return piece->leg.bio.bi_vcnt && piece->blocks;
}

static struct bf_piece *pop_spare(struct bf_store *store)
{
	struct bf_piece *piece;
	unsigned long flags;

	spin_lock_irqsave(&store->lock, flags);
	store->used = true;
	piece = store->spares;
	if (piece)
		store->spares = piece->next;
	spin_unlock_irqrestore(&store->lock, flags);
	return piece;
}

/* Without memory. */
static struct bf_piece *new_piece(struct bf_store *store)
{
	struct bf_piece *piece = mempool_alloc(&store->pieces, GFP_NOWAIT | __GFP_NOWARN);

	if (piece) {
		bio_init(&piece->leg.bio, NULL, piece->vecs, BF_PIECE_VECS, REQ_OP_READ);
		piece->room = 0;
		piece->blocks = false;
	}
	return piece;
}

static void add(struct bf_piece *piece, struct page *page, u32 bytes)
{
	__bio_add_page(&piece->leg.bio, page, bytes, 0);
	piece->room += bytes;
}

/* Counts one more, if there may be. */
static bool may_have_block(struct bf_store *store, struct bf_block **block)
{
	unsigned long flags;
	bool may;

	spin_lock_irqsave(&store->lock, flags);
	*block = store->blocks;
	may = *block || store->nr_blocks < MAX_BLOCKS;
	if (*block)
		store->blocks = (*block)->next;
	else if (may)
		store->nr_blocks++;
	spin_unlock_irqrestore(&store->lock, flags);
	return may;
}

static void uncount(struct bf_store *store, u32 blocks)
{
	unsigned long flags;

	spin_lock_irqsave(&store->lock, flags);
	store->nr_blocks -= blocks;
	spin_unlock_irqrestore(&store->lock, flags);
}

static bool add_block(struct bf_store *store, struct bf_piece *piece)
{
	struct bf_block *block;
	struct page *page;

	if (!may_have_block(store, &block))
		return false;
	page = block ? virt_to_page(block) :
		       alloc_pages(GFP_NOWAIT | __GFP_NOWARN | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_COMP, BLOCK_ORDER);
	if (!page) {
		uncount(store, 1);
		return false;
	}
	if (!block)
		queue_delayed_work(store->wq, &store->trim, KEPT);
	add(piece, page, BF_BLOCK_BYTES);
	piece->blocks = true;
	return true;
}

static bool may_have_pages(struct bf_store *store)
{
	unsigned long flags;
	bool may;

	spin_lock_irqsave(&store->lock, flags);
	may = store->nr_blocks < MAX_BLOCKS;
	store->nr_blocks += may;
	spin_unlock_irqrestore(&store->lock, flags);
	return may;
}

/* Together they count as a block, until shed() takes them away. */
static bool add_single_pages(struct bf_store *store, struct bf_piece *piece, u32 bytes)
{
	struct page *page;

	if (!may_have_pages(store))
		return false;
	while (piece->room < bytes) {
		page = mempool_alloc(&store->pages, GFP_NOWAIT | __GFP_NOWARN);
		if (!page)
			break;
		add(piece, page, PAGE_SIZE);
	}
	if (!piece->room)
		uncount(store, 1);
	return piece->room >= bytes;
}

/*
 * With room for @bytes, or for less if memory is short, but then for whole blocks: any device's blocks fit in there.
 * NULL: there is not even that. Process context.
 */
struct bf_piece *bf_piece_get(struct bf_request *rq, u32 bytes)
{
	struct bf_store *store = &rq->att->ways->store;
	struct bf_piece *piece = pop_spare(store) ?: new_piece(store);

	if (!piece)
		return NULL;
	bf_leg_init(&piece->leg, rq, BF_LEG_COPY, bf_piece_free);
	while (piece->room < bytes && piece->leg.bio.bi_vcnt < BF_PIECE_VECS && add_block(store, piece))
		;
	if (piece->room || add_single_pages(store, piece, min_t(u32, bytes, BF_BLOCK_BYTES)))
		return piece;
	/* Not bf_leg_put(), which would have this tried again at once. */
	bf_piece_free(&piece->leg);
	return NULL;
}

/* Its single pages, or all of its blocks but the first. */
static void shed(struct bf_store *store, struct bf_piece *piece)
{
	struct bio *bio = &piece->leg.bio;
	bool counts = bio->bi_vcnt && !piece->blocks;
	struct bf_block *block;
	unsigned long flags;
	struct page *page;

	while (bio->bi_vcnt > has_block(piece)) {
		page = piece->vecs[--bio->bi_vcnt].bv_page;
		if (!piece->blocks) {
			mempool_free(page, &store->pages);
			continue;
		}
		block = page_address(page);
		spin_lock_irqsave(&store->lock, flags);
		block->next = store->blocks;
		store->blocks = block;
		spin_unlock_irqrestore(&store->lock, flags);
	}
	if (counts)
		uncount(store, 1);
}

/* Between two parts: others have no memory, so it goes on with less. Process context. */
void bf_piece_share(struct bf_piece *piece)
{
	struct bf_ways *ways = piece->leg.rq->att->ways;

	if (likely(!atomic_read(&ways->starving)) || !has_block(piece) || piece->room == BF_BLOCK_BYTES)
		return;
	shed(&ways->store, piece);
	piece->room = BF_BLOCK_BYTES;
	bf_way_fed(ways);
}

/* A leg's release(). Any context. */
void bf_piece_free(struct bf_leg *leg)
{
	struct bf_piece *piece = container_of(leg, struct bf_piece, leg);
	struct bf_store *store = store_of(leg);
	unsigned long flags;

	bio_uninit(&leg->bio);
	shed(store, piece);
	if (!has_block(piece)) {
		mempool_free(piece, &store->pieces);
		return;
	}
	piece->room = BF_BLOCK_BYTES;
	spin_lock_irqsave(&store->lock, flags);
	piece->next = store->spares;
	store->spares = piece;
	spin_unlock_irqrestore(&store->lock, flags);
}

/* What no copy has goes. May sleep. */
static void drop(struct bf_store *store)
{
	struct bf_block *block;
	struct bf_piece *piece;
	u32 blocks = 0;

	spin_lock_irq(&store->lock);
	block = store->blocks;
	piece = store->spares;
	store->blocks = NULL;
	store->spares = NULL;
	spin_unlock_irq(&store->lock);

	for (; block; blocks++) {
		struct bf_block *next = block->next;

		free_pages((unsigned long)block, BLOCK_ORDER);
		block = next;
	}
	for (; piece; blocks++) {
		struct bf_piece *next = piece->next;

		__free_pages(piece->vecs[0].bv_page, BLOCK_ORDER);
		mempool_free(piece, &store->pieces);
		piece = next;
	}
	uncount(store, blocks);
}

static void trim(struct work_struct *work)
{
	struct bf_store *store = container_of(to_delayed_work(work), struct bf_store, trim);
	bool used, left;

	spin_lock_irq(&store->lock);
	used = store->used;
	store->used = false;
	spin_unlock_irq(&store->lock);
	if (!used)
		drop(store);
	left = READ_ONCE(store->nr_blocks);
	if (left)
		queue_delayed_work(store->wq, &store->trim, KEPT);
}

/* @store was zeroed. If it fails bf_store_exit() is owed all the same. May sleep. */
int bf_store_init(struct bf_store *store, struct workqueue_struct *wq)
{
	spin_lock_init(&store->lock);
	INIT_DELAYED_WORK(&store->trim, trim);
	store->wq = wq;
	return mempool_init_page_pool(&store->pages, BLOCK_PAGES, 0) ?: mempool_init_slab_pool(&store->pieces, 1, cache);
}

/* No piece is under way. May sleep. */
void bf_store_exit(struct bf_store *store)
{
	if (!store->wq)
		return;
	cancel_delayed_work_sync(&store->trim);
	drop(store);
	mempool_exit(&store->pages);
	mempool_exit(&store->pieces);
}
