// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that a filter starts itself, below its own altitude.
 *
 *	BFUSE_INJECT --> pages pinned --> presented below, submitted --> bf_inject_endio() --> a worker unpins
 *								   |
 *		    freed <-- BFUSE_INJECTED entry read <-- waits for room in the ring <----+
 *
 * It is marked for its disk like a request below an attachment, so the hook doesn't present it from the top, nor what
 * older kernels resubmit of it after a split. It keeps the filter (for the entry), the device and its struct device,
 * and the module, but no attachment: that may go while it is under way. One to a target keeps that, and goes there from
 * the top of its chain.
 *
 * Drivers that take bios count on it that there is no I/O when nobody has the device open, and we have not. So who removes a device
 * waits for injects below it (leaving.c). Device mapper's devices are whole until then; others of the kind (md, zram) are
 * stopped before the block layer hears of it, so each inject there opens the device, and to stop it fails with EBUSY meanwhile.
 *
 * There are at most depth of them in a queue, counted until their entry is in the ring, so neither pinned memory nor the list of
 * those that wait for room grows without bound.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>

#include "blkfilter.h"

struct bf_inject {
	struct bf_mark		mark;	/* first: bio->bi_private points here */
	struct bf_queue		*queue;
	struct bf_device	*dev;	/* or @target */
	struct bf_target	*target;
	struct block_device	*bdev;	/* the bio's may change below: md sends it on in place. NULL: nothing of these three yet */
	u64			rank;	/* it goes below this */
	struct visit		*visit;	/* or NULL */
	struct list_head	node;	/* queue->injected */
	struct work_struct	work;
	u64			cookie;
	bool			dirty;	/* the device wrote to its pages */
	blk_status_t		status;
	struct bio		bio;
	struct bio_vec		vecs[];
};

/* A device that is open while a request is under way there. */
struct visit {
	struct work_struct	work;
	struct bf_device	*dev;
	struct block_device	*bdev;
	void			*opened; /* bf_bdev_open(), or an error */
};

/* Where a request is to go: below @rank of @dev, or to @target. With references. */
struct place {
	struct block_device	*bdev;
	struct bf_device	*dev;
	u64			rank;
	struct bf_target	*target;
	u64			capacity;	/* sectors */
	bool			open;		/* it is to be opened meanwhile */
	bool			past_end;	/* see capacity_of() */
};

static void place_put(const struct place *place)
{
	if (place->target) {
		bf_target_put(place->target);
	} else {
		put_device(&place->bdev->bd_device);
		bf_device_release(place->dev);
	}
}

/* Nothing is under way there any more, and who waits for that may go on, whatever the place is still kept for. */
static void place_leave(struct bf_device *dev)
{
	if (dev && atomic_dec_and_test(&dev->nr_injects))
		wake_up_all(&dev->idle);
}

static const struct {
	u32 flag;
	blk_opf_t opf;
} allowed_flags[] = {
	{ BFUSE_RQ_FUA, REQ_FUA }, { BFUSE_RQ_PREFLUSH, REQ_PREFLUSH }, { BFUSE_RQ_SYNC, REQ_SYNC },
	{ BFUSE_RQ_META, REQ_META }, { BFUSE_RQ_PRIO, REQ_PRIO }, { BFUSE_RQ_RAHEAD, REQ_RAHEAD },
	{ BFUSE_RQ_IDLE, REQ_IDLE }, { BFUSE_RQ_NOUNMAP, REQ_NOUNMAP },
};

static int opf_of(const struct bfuse_inject *arg, blk_opf_t *opf)
{
	static const blk_opf_t ops[] = {
		[BFUSE_OP_READ] = REQ_OP_READ,
		[BFUSE_OP_WRITE] = REQ_OP_WRITE,
		[BFUSE_OP_FLUSH] = REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC,
		[BFUSE_OP_DISCARD] = REQ_OP_DISCARD,
		[BFUSE_OP_WRITE_ZEROES] = REQ_OP_WRITE_ZEROES,
	};
	u32 flags = arg->flags;
	int i;

	if (arg->op > BFUSE_OP_WRITE_ZEROES || arg->op == BFUSE_OP_SECURE_ERASE)
		return -EINVAL;
	*opf = ops[arg->op];
	for (i = 0; i < ARRAY_SIZE(allowed_flags); i++)
		if (flags & allowed_flags[i].flag) {
			*opf |= allowed_flags[i].opf;
			flags &= ~allowed_flags[i].flag;
		}
	/* Only a write can be forced or preceded by a flush, and only zeroes have to do with unmapping. */
	if (arg->op != BFUSE_OP_WRITE && (arg->flags & (BFUSE_RQ_FUA | BFUSE_RQ_PREFLUSH)))
		return -EINVAL;
	if (arg->op != BFUSE_OP_WRITE_ZEROES && (arg->flags & BFUSE_RQ_NOUNMAP))
		return -EINVAL;
	return flags ? -EINVAL : 0;
}

static bool moves_data(const struct bfuse_inject *arg)
{
	return arg->op == BFUSE_OP_READ || arg->op == BFUSE_OP_WRITE;
}

static u32 nr_pages(const struct bfuse_inject *arg)
{
	return moves_data(arg) ? DIV_ROUND_UP(offset_in_page(arg->address) + arg->length, PAGE_SIZE) : 0;
}

static int check_range(const struct bfuse_inject *arg, struct block_device *bdev, u64 capacity)
{
	u64 sectors = arg->length >> SECTOR_SHIFT;
	u32 mask = (bdev_logical_block_size(bdev) >> SECTOR_SHIFT) - 1;

	if (arg->op == BFUSE_OP_FLUSH)
		return arg->length || arg->sector ? -EINVAL : 0;
	if (!sectors || (arg->length & (SECTOR_SIZE - 1)) || ((arg->sector | sectors) & mask) ||
	    sectors > capacity || arg->sector > capacity - sectors)
		return -EINVAL;
	return arg->op != BFUSE_OP_READ && bdev_read_only(bdev) ? -EROFS : 0;
}

static int check_buffer(const struct bfuse_inject *arg)
{
	if (!moves_data(arg))
		return arg->address ? -EINVAL : 0;
	if ((arg->address & (SECTOR_SIZE - 1)) || arg->length > BFUSE_INJECT_MAX || nr_pages(arg) > BIO_MAX_VECS)
		return -EINVAL;
	return 0;
}

static void unpin(struct bf_inject *inj)
{
	u32 i;

	for (i = 0; i < inj->bio.bi_vcnt; i++)
		unpin_user_pages_dirty_lock(&inj->vecs[i].bv_page, 1, inj->dirty);
}

/* One page a vector. The pages are the filter's own; faulting them in is its own affair, and its library locks them. */
static int pin(struct bf_inject *inj, const struct bfuse_inject *arg)
{
	u32 n = nr_pages(arg), offset = offset_in_page(arg->address), left = arg->length, i;
	unsigned int flags = arg->op == BFUSE_OP_READ ? FOLL_WRITE : 0;
	struct page **pages;
	int got;

	if (!n)
		return 0;
	pages = kmalloc_array(n, sizeof(*pages), GFP_NOIO);
	if (!pages)
		return -ENOMEM;
	got = pin_user_pages_fast(arg->address & PAGE_MASK, n, flags, pages);
	for (i = 0; got > 0 && i < got; i++) {
		u32 bytes = min_t(u32, left, PAGE_SIZE - offset);

		__bio_add_page(&inj->bio, pages[i], bytes, offset);
		left -= bytes;
		offset = 0;
	}
	kfree(pages);
	if (got == n)
		return 0;
	unpin(inj);
	return -EFAULT;
}

static void inject_free(struct bf_inject *inj)
{
	struct bf_filter *f = inj->queue->filter;

	bio_uninit(&inj->bio);
	if (inj->bdev)
		place_put(&(struct place){ .bdev = inj->bdev, .dev = inj->dev, .target = inj->target });
	kfree(inj);
	bf_filter_put(f);
	module_put(THIS_MODULE);
}

/* Under the lock: those that there is room for. Returns what the caller is to free, outside. */
static void post(struct bf_queue *q, struct list_head *posted)
{
	struct bf_inject *inj;

	while (!list_empty(&q->injected) && (q->filter->dead || bf_ring_room(q))) {
		inj = list_first_entry(&q->injected, struct bf_inject, node);
		list_move_tail(&inj->node, posted);
		q->nr_injects--;
		if (q->filter->dead)
			continue;
		bf_ring_publish(q, &(struct bfuse_request){
			.kind = BFUSE_INJECTED,
			.tag = inj->cookie,
			.time = ktime_get_ns(),
			.status = blk_status_to_errno(inj->status),
		});
	}
}

/* Process context. */
void bf_inject_post(struct bf_queue *q)
{
	struct bf_inject *inj, *next;
	LIST_HEAD(posted);

	spin_lock_irq(&q->lock);
	post(q, &posted);
	spin_unlock_irq(&q->lock);
	if (list_empty(&posted))
		return;
	bf_queue_wake(q);
	list_for_each_entry_safe(inj, next, &posted, node)
		inject_free(inj);
}

static void finish(struct work_struct *work)
{
	struct bf_inject *inj = container_of(work, struct bf_inject, work);
	struct bf_queue *q = inj->queue;
	struct bf_filter *f = q->filter;
	struct visit *visit = inj->visit;

	unpin(inj);
	place_leave(inj->dev);
	kref_get(&f->ref);
	spin_lock_irq(&q->lock);
	list_add_tail(&inj->node, &q->injected);
	spin_unlock_irq(&q->lock);
	/* Pairs with wait(): who has made room meanwhile sees it, or the room is seen now. */
	smp_mb();
	bf_inject_post(q);
	if (visit)
		queue_work(visit->dev->visits, &visit->work);
	bf_filter_put(f);
}

/* bi_end_io. Any context; pages can't be unpinned in all of them. */
void bf_inject_endio(struct bio *bio)
{
	struct bf_inject *inj = container_of(bio, struct bf_inject, bio);

	inj->status = bio->bi_status;
	queue_work(bf_wq, &inj->work);
}

/*
 * The size of @att's device. NVMe sets it to 0 before it removes a disk whose filters still want to finish, and serves requests
 * all the same. Under bf_lock.
 */
static u64 capacity_of(struct bf_attachment *att)
{
	u64 sectors = bdev_nr_sectors(att->bdev);

	if (sectors || !att->departing)
		att->sectors = sectors;
	return att->sectors;
}

/* The driver is not told of I/O past the end. On a whole disk the flag that this is for means nothing else. Under bf_lock. */
static bool is_past_end(const struct bf_attachment *att)
{
	return att->departing && !bdev_nr_sectors(att->bdev) && !att->is_part && !att->bdev->bd_disk->fops->submit_bio;
}

static int find_attachment(struct bf_filter *f, u32 attachment, struct place *place)
{
	struct bf_attachment *att;
	unsigned int noio = bf_lock();

	list_for_each_entry(att, &f->attachments, of_filter) {
		if (att->id != attachment || att->state == BFUSE_STATE_LEAVING)
			continue;
		get_device(&att->bdev->bd_device);
		kref_get(&att->dev->ref);
		att->dev->holders++;
		atomic_inc(&att->dev->nr_injects);
		*place = (struct place){
			.bdev = att->bdev, .dev = att->dev, .rank = att->rank, .capacity = capacity_of(att),
			.open = att->dev->visits && !att->departing && !bf_disk_is_leaving(att->dev->disk),
			.past_end = is_past_end(att) };
		bf_count(att, injected);
	}
	bf_unlock(noio);
	return place->bdev ? 0 : -ENOENT;
}

static int find_target(struct bf_filter *f, const struct bfuse_inject *arg, struct place *place)
{
	struct bf_target *t = bf_target_get(f, arg->target);
	int err = 0;

	if (!t)
		return -ENOENT;
	if (!t->bdev)
		err = -ENOTBLK;
	else if (t->read_only && arg->op != BFUSE_OP_READ && arg->op != BFUSE_OP_FLUSH)
		err = -EROFS;
	if (err)
		bf_target_put(t);
	else
		*place = (struct place){ .bdev = t->bdev, .target = t, .capacity = bdev_nr_sectors(t->bdev) };
	return err;
}

static int find(struct bf_filter *f, const struct bfuse_inject *arg, struct place *place)
{
	int err = arg->target ? find_target(f, arg, place) : find_attachment(f, arg->attachment, place);

	if (err)
		return err;
	err = check_range(arg, place->bdev, place->capacity);
	if (err) {
		place_leave(place->dev);
		place_put(place);
	}
	return err;
}

static bool admit(struct bf_queue *q)
{
	bool ok;

	spin_lock_irq(&q->lock);
	ok = q->nr_injects < q->filter->depth;
	q->nr_injects += ok;
	spin_unlock_irq(&q->lock);
	return ok;
}

static void retract(struct bf_queue *q)
{
	spin_lock_irq(&q->lock);
	q->nr_injects--;
	spin_unlock_irq(&q->lock);
}

static void send(struct bf_inject *inj)
{
	struct bf_origin origin = inj->mark.origin;
	struct bf_device *dev = inj->dev;
	struct bf_batch batch = {};

	if (inj->target) {
		bf_target_submit(inj->target, &inj->bio);
		return;
	}
	/* Until here there was a reference; from here on the bio may be done at any moment. */
	kref_get(&dev->ref);
	bf_send_below(dev, inj->rank, &inj->bio, &origin, &batch);
	bf_batch_kick(&batch);
	bf_device_put(dev);
}

/*
 * To open and to close may wait for who reads the partition table, or read it, or write what is in the page cache: for the filter. So
 * neither its own threads do it nor what others wait for, but the device's visitor, in the order in which they came.
 */
static void open_and_send(struct work_struct *work)
{
	struct bf_inject *inj = container_of(work, struct bf_inject, work);
	unsigned int noio = memalloc_noio_save();
	void *opened = bf_bdev_open(inj->bdev);

	memalloc_noio_restore(noio);
	__module_get(THIS_MODULE);
	INIT_WORK(&inj->work, finish);
	inj->visit->opened = opened;
	if (IS_ERR(opened))
		bf_fail(&inj->bio, errno_to_blk_status(PTR_ERR(opened)));
	else
		send(inj);
	/* The inject's own reference is gone by now. */
	module_put(THIS_MODULE);
}

/* The device's end waits for the rest of this function. */
static void close_visited(struct work_struct *work)
{
	struct visit *visit = container_of(work, struct visit, work);
	unsigned int noio = memalloc_noio_save();

	if (!IS_ERR_OR_NULL(visit->opened))
		bf_bdev_close(visit->bdev, visit->opened);
	memalloc_noio_restore(noio);
	put_device(&visit->bdev->bd_device);
	bf_device_put(visit->dev);
	kfree(visit);
	module_put(THIS_MODULE);
}

static struct visit *visit_begin(const struct place *place)
{
	struct visit *visit = kzalloc(sizeof(*visit), GFP_NOIO);

	if (!visit)
		return NULL;
	__module_get(THIS_MODULE);
	INIT_WORK(&visit->work, close_visited);
	kref_get(&place->dev->ref);
	visit->dev = place->dev;
	get_device(&place->bdev->bd_device);
	visit->bdev = place->bdev;
	return visit;
}

/* With its pages, which may take any time to come; so there is no place yet. */
static struct bf_inject *prepare(struct bf_queue *q, const struct bfuse_inject *arg, blk_opf_t opf)
{
	struct bf_inject *inj = kzalloc(struct_size(inj, vecs, nr_pages(arg)), GFP_NOIO | __GFP_NOWARN);
	int err;

	if (!inj)
		return ERR_PTR(-ENOMEM);
	__module_get(THIS_MODULE);
	kref_get(&q->filter->ref);
	inj->queue = q;
	inj->cookie = arg->cookie;
	inj->dirty = arg->op == BFUSE_OP_READ;
	INIT_WORK(&inj->work, finish);
	bio_init(&inj->bio, NULL, inj->vecs, nr_pages(arg), opf);
	inj->bio.bi_iter.bi_sector = arg->sector;
	err = pin(inj, arg);
	if (!err)
		return inj;
	inject_free(inj);
	return ERR_PTR(err);
}

/* Takes over the references of @place. */
static void settle_in(struct bf_inject *inj, const struct bfuse_inject *arg, const struct place *place)
{
	inj->dev = place->dev;
	inj->target = place->target;
	inj->bdev = place->bdev;
	inj->mark.origin = (struct bf_origin){
		.time = ktime_get_ns(),
		.pid = current->pid,
		/* Of any process that may inject: a target's chain is not to ask the filter itself. */
		.tgid = place->target ? READ_ONCE(inj->queue->filter->server) : current->tgid,
		.injector = inj->queue->filter->id,
		.cpu = raw_smp_processor_id(),
	};
	bio_set_dev(&inj->bio, place->bdev);
	if (!moves_data(arg))
		inj->bio.bi_iter.bi_size = arg->length;
	if (place->past_end)
		bio_set_flag(&inj->bio, BIO_REMAPPED);
	inj->rank = place->rank;
	bf_mark_bio(&inj->bio, &inj->mark, bf_inject_endio);
}

static int start(struct bf_queue *q, const struct bfuse_inject *arg, blk_opf_t opf)
{
	struct bf_inject *inj = prepare(q, arg, opf);
	struct place place = {};
	int err;

	if (IS_ERR(inj))
		return PTR_ERR(inj);
	err = find(q->filter, arg, &place);
	if (err) {
		unpin(inj);
		inject_free(inj);
		return err;
	}
	settle_in(inj, arg, &place);
	if (!place.open) {
		send(inj);
		return 0;
	}
	inj->visit = visit_begin(&place);
	if (!inj->visit) {
		unpin(inj);
		place_leave(inj->dev);
		inject_free(inj);
		return -ENOMEM;
	}
	INIT_WORK(&inj->work, open_and_send);
	queue_work(place.dev->visits, &inj->work);
	return 0;
}

long bf_inject(struct bf_filter *f, const struct bfuse_inject *arg)
{
	struct bf_queue *q;
	blk_opf_t opf;
	int err;

	if (arg->queue >= f->nr_queues || (arg->target && arg->attachment) || arg->__reserved1)
		return -EINVAL;
	err = opf_of(arg, &opf) ?: check_buffer(arg);
	if (err)
		return err;
	if (READ_ONCE(f->dead))
		return -ESHUTDOWN;
	q = &f->queues[arg->queue];
	if (!admit(q))
		return -EAGAIN;
	err = start(q, arg, opf);
	if (err)
		retract(q);
	return err;
}

/*
 * Nobody begins one below @dev any more. Sleeps, as long as they take; but what a suspended device has put off will never be done, and
 * what a driver keeps for when its device goes will be done then only.
 */
void bf_injects_await(struct bf_device *dev)
{
	int left;

	if (wait_event_timeout(dev->idle, !atomic_read(&dev->nr_injects), 10 * HZ))
		return;
	pr_warn("%s: its removal waits for requests of its filters, up to a minute\n", dev->disk->disk_name);
	wait_event_timeout(dev->idle, !atomic_read(&dev->nr_injects), 50 * HZ);
	left = atomic_read(&dev->nr_injects);
	if (left)
		pr_err("%s: removed with %d requests of its filters in it\n", dev->disk->disk_name, left);
}
