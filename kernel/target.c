// SPDX-License-Identifier: GPL-2.0
/*
 * Targets: other places for a filter's data, block devices and regular files, that its verdicts name.
 *
 * A target keeps the open file that it was made from, and with that the device or the file system. It is held by its
 * filter's table, until BFUSE_UNTARGET or the filter's death, and by each request from the verdict that names it until
 * its last part there is done; so what is on its way needs no filter any more. What one reference less than the last
 * leaves to be done (the close, the end of the workqueue) sleeps, so a worker does it.
 *
 * A bio for a block device goes to the attachments of that device from the top, and then to the device; with the filter
 * as its origin, so that the filter's own attachments there leave it alone. If it may have to wait there the target's worker
 * does all of this, so that who is attached to that device meanwhile sees it. One for a file is carried out by that worker.
 */
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>

#include "blkfilter.h"

/* @bio is marked, with its origin. */
static void submit(struct bio *bio)
{
	struct bf_origin origin = ((struct bf_mark *)bio->bi_private)->origin;

	if (bf_bio_is_refused(bio) || !bf_present(bio, BF_RANK_TOP, &origin))
		bf_submit(bio);
}

static void work(struct work_struct *work)
{
	struct bf_target *t = container_of(work, struct bf_target, work);
	struct blk_plug plug;
	struct bio_list bios;
	struct bio *bio;

	spin_lock_irq(&t->lock);
	bios = t->bios;
	bio_list_init(&t->bios);
	spin_unlock_irq(&t->lock);

	blk_start_plug(&plug);
	while ((bio = bio_list_pop(&bios))) {
		if (t->bdev)
			submit(bio);
		else
			bf_backing_do(t, bio);
	}
	blk_finish_plug(&plug);
}

/* The end of the last bio may have dropped the last reference: the workqueue lets @work return first. */
static void free_work(struct work_struct *work)
{
	struct bf_target *t = container_of(work, struct bf_target, free);

	if (t->wq)
		destroy_workqueue(t->wq);
	fput(t->file);
	kfree_rcu(t, rcu);
}

static void last_put(struct kref *ref)
{
	struct bf_target *t = container_of(ref, struct bf_target, ref);

	queue_work(bf_wq, &t->free);
}

/* Any context. */
void bf_target_put(struct bf_target *t)
{
	kref_put(&t->ref, last_put);
}

/* With a reference, or NULL. Any context. */
struct bf_target *bf_target_get(struct bf_filter *f, u32 id)
{
	struct bf_target *t;

	rcu_read_lock();
	t = xa_load(&f->targets, id);
	if (t && !kref_get_unless_zero(&t->ref))
		t = NULL;
	rcu_read_unlock();
	return t;
}

/* Is what goes to the one seen by who is attached to the other? */
static bool overlaps(const struct block_device *a, const struct block_device *b)
{
	return a->bd_disk == b->bd_disk && (a == b || !bdev_is_partition((struct block_device *)a) ||
					    !bdev_is_partition((struct block_device *)b));
}

/*
 * A file's I/O is that of its file system, and nobody can tell whose it was. If it came back to the filter it could
 * need the tag that waits for it.
 */
static bool file_loops(const struct bf_target *t, const struct bf_attachment *att)
{
	struct bf_attachment *other;
	struct bf_device *dev;
	bool loops = false;

	rcu_read_lock();
	dev = bf_device_find(t->below->bd_disk);
	if (dev)
		list_for_each_entry_rcu(other, &dev->chain, node)
			loops |= other->filter == att->filter && overlaps(t->below, other->bdev);
	rcu_read_unlock();
	return loops;
}

/* Any context. */
bool bf_target_loops(const struct bf_target *t, const struct bf_attachment *att)
{
	if (t->bdev)
		return overlaps(t->bdev, att->bdev);
	return t->below && (overlaps(t->below, att->bdev) || file_loops(t, att));
}

bool bf_range_is_good(u64 sector, u64 bytes, u64 capacity, u32 block_size)
{
	u64 sectors = bytes >> SECTOR_SHIFT;
	u32 mask = (block_size >> SECTOR_SHIFT) - 1;

	return sectors && !(bytes & (SECTOR_SIZE - 1)) && !((sector | sectors) & mask) && sectors <= capacity &&
	       sector <= capacity - sectors;
}

/*
 * The most that it has had. What is beyond the end of a device that has shrunk, or is gone (NVMe then sets 0), is not the filter's
 * mistake: its I/O fails, and that the verdict has said how to take.
 */
static u64 capacity(struct bf_target *t)
{
	u64 sectors;

	if (!t->bdev)
		return file_inode(t->file)->i_sb->s_maxbytes >> SECTOR_SHIFT;
	sectors = max_t(u64, READ_ONCE(t->sectors), bdev_nr_sectors(t->bdev));
	WRITE_ONCE(t->sectors, sectors);
	return sectors;
}

/* Can it be asked for @op there? Whether it then knows the operation is its own answer. Any context. */
bool bf_target_takes(struct bf_target *t, u8 op, u64 sector, u64 bytes)
{
	if (t->read_only && op != BFUSE_OP_READ && op != BFUSE_OP_FLUSH)
		return false;
	if (op == BFUSE_OP_FLUSH)
		return !sector && !bytes;
	return bf_range_is_good(sector, bytes, capacity(t), t->block_size);
}

static void defer(struct bf_target *t, struct bio *bio)
{
	unsigned long flags;

	kref_get(&t->ref);
	spin_lock_irqsave(&t->lock, flags);
	bio_list_add(&t->bios, bio);
	spin_unlock_irqrestore(&t->lock, flags);
	queue_work(t->wq, &t->work);
	bf_target_put(t);
}

/*
 * @bio, marked with its origin, goes to the target; from then on it may be done at any moment, and the caller's reference with it.
 * Process context; waits only for hardware: see bf_send_below().
 */
void bf_target_submit(struct bf_target *t, struct bio *bio)
{
	if (t->forced && bio_op(bio) == REQ_OP_WRITE && bio->bi_iter.bi_size)
		bio->bi_opf |= REQ_FUA;
	if (t->bdev && t->inline_ok)
		submit(bio);
	else
		defer(t, bio);
}

static void describe_device(struct bf_target *t)
{
	t->bdev = I_BDEV(t->file->f_mapping->host);
	t->sectors = bdev_nr_sectors(t->bdev);
	t->block_size = bdev_logical_block_size(t->bdev);
	t->inline_ok = bf_disk_is_hardware(t->bdev->bd_disk);
}

/* What direct I/O wants of a file system on several devices is not to be known; a page is enough for any. */
static void describe_file(struct bf_target *t)
{
	t->below = d_real_inode(t->file->f_path.dentry)->i_sb->s_bdev;
	t->block_size = SECTOR_SIZE;
	if (t->file->f_flags & O_DIRECT)
		t->block_size = t->below ? bdev_logical_block_size(t->below) : PAGE_SIZE;
}

static int check_file(const struct file *file, u32 flags)
{
	umode_t mode = file_inode(file)->i_mode;
	bool write = !(flags & BFUSE_TARGET_READ_ONLY);

	if (!S_ISBLK(mode) && !S_ISREG(mode))
		return -EINVAL;
	if (S_ISREG(mode) && (!file->f_op->read_iter || (write && !file->f_op->write_iter)))
		return -EINVAL;
	if (!(file->f_mode & FMODE_READ) || (write && !(file->f_mode & FMODE_WRITE)))
		return -EACCES;
	return 0;
}

/* Takes over @file, also when it fails. */
static struct bf_target *target_alloc(struct file *file, u32 flags)
{
	struct bf_target *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (t)
		t->wq = alloc_ordered_workqueue("blkfilter/target", WQ_MEM_RECLAIM | WQ_HIGHPRI);
	if (!t || !t->wq) {
		kfree(t);
		fput(file);
		return NULL;
	}
	kref_init(&t->ref);
	spin_lock_init(&t->lock);
	bio_list_init(&t->bios);
	INIT_WORK(&t->work, work);
	INIT_WORK(&t->free, free_work);
	t->file = file;
	t->read_only = flags & BFUSE_TARGET_READ_ONLY;
	t->forced = file->f_flags & O_DSYNC;
	if (S_ISBLK(file_inode(file)->i_mode))
		describe_device(t);
	else
		describe_file(t);
	return t;
}

/* From then on anybody may let it go. */
static int publish(struct bf_filter *f, struct bf_target *t, u32 *id)
{
	unsigned int noio = bf_lock();
	int err;

	if (f->dead)
		err = -ESHUTDOWN;
	else if (f->nr_targets == BFUSE_TARGETS_MAX)
		err = -ENOSPC;
	else
		err = xa_alloc_cyclic(&f->targets, &t->id, t, XA_LIMIT(1, INT_MAX), &f->last_target, GFP_NOIO);
	if (err >= 0) {
		f->nr_targets++;
		*id = t->id;
	}
	bf_unlock(noio);
	return min(err, 0);
}

long bf_target_add(struct bf_filter *f, struct bfuse_target *arg)
{
	struct bf_target *t;
	struct file *file;
	int err;

	if ((arg->flags & ~BFUSE_TARGET_READ_ONLY) || arg->__reserved)
		return -EINVAL;
	file = fget(arg->fd);
	if (!file)
		return -EBADF;
	err = check_file(file, arg->flags);
	if (err) {
		fput(file);
		return err;
	}
	t = target_alloc(file, arg->flags);
	if (!t)
		return -ENOMEM;
	arg->block_size = t->block_size;
	arg->sectors = capacity(t);
	err = publish(f, t, &arg->target);
	if (err)
		bf_target_put(t);
	return err;
}

/* Who has looked it up has it still, or will find that there is no reference left to be had. */
long bf_target_remove(struct bf_filter *f, const struct bfuse_untarget *arg)
{
	unsigned int noio = bf_lock();
	struct bf_target *t = xa_load(&f->targets, arg->target);
	long err = 0;

	if (!t)
		err = -ENOENT;
	else if (!refcount_dec_if_one(&t->ref.refcount))
		err = -EBUSY;
	if (!err) {
		xa_erase(&f->targets, arg->target);
		f->nr_targets--;
		queue_work(bf_wq, &t->free);
	}
	bf_unlock(noio);
	return err;
}

/* Under bf_lock: the filter is dead. Requests that use them keep them. */
void bf_targets_drop(struct bf_filter *f)
{
	struct bf_target *t;
	unsigned long id;

	lockdep_assert_held(&bf_mutex);
	xa_for_each(&f->targets, id, t) {
		xa_erase(&f->targets, id);
		bf_target_put(t);
	}
	f->nr_targets = 0;
}
