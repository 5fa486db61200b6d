// SPDX-License-Identifier: GPL-2.0
/*
 * A regular file as a device: a bio is done by the file system's own functions, as the loop driver does it. Context:
 * the worker of a target. Memory that the file system needs must not come from I/O that may wait for this.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/sched/mm.h>
#include <linux/uio.h>

#include "blkfilter.h"

static ssize_t move_some(struct file *file, struct iov_iter *iter, loff_t pos, const struct bio *bio)
{
	struct kiocb kiocb;
	ssize_t n;

	init_sync_kiocb(&kiocb, file);
	kiocb.ki_pos = pos;
	kiocb.ki_flags &= ~IOCB_APPEND;
	if (bio->bi_opf & REQ_FUA)
		kiocb.ki_flags |= IOCB_DSYNC;
	if (!op_is_write(bio_op(bio)))
		return file->f_op->read_iter(&kiocb, iter);
	file_start_write(file);
	n = file->f_op->write_iter(&kiocb, iter);
	file_end_write(file);
	return n ?: -EIO;
}

static int move_data(struct file *file, struct bio *bio)
{
	loff_t pos = (loff_t)bio->bi_iter.bi_sector << SECTOR_SHIFT;
	unsigned int segments = 0;
	struct iov_iter iter;
	struct bvec_iter i;
	struct bio_vec bv;
	ssize_t n = 1;

	bio_for_each_bvec(bv, bio, i)
		segments++;
	iov_iter_bvec(&iter, op_is_write(bio_op(bio)) ? ITER_SOURCE : ITER_DEST,
		      __bvec_iter_bvec(bio->bi_io_vec, bio->bi_iter), segments, bio->bi_iter.bi_size);
	iter.iov_offset = bf_iter_offset(bio->bi_iter);
	while (n > 0 && iov_iter_count(&iter)) {
		n = move_some(file, &iter, pos, bio);
		pos += n;
	}
	/* Behind the end of the file. */
	if (!n)
		iov_iter_zero(iov_iter_count(&iter), &iter);
	return n < 0 ? n : 0;
}

/* What is punched reads as zeroes. Who wants the blocks kept gets just that, or an error. */
static int punch(struct file *file, const struct bio *bio)
{
	bool keep = bio_op(bio) == REQ_OP_WRITE_ZEROES && (bio->bi_opf & REQ_NOUNMAP);

	return vfs_fallocate(file, FALLOC_FL_KEEP_SIZE | (keep ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE),
			     (loff_t)bio->bi_iter.bi_sector << SECTOR_SHIFT, bio->bi_iter.bi_size);
}

static int carry_out(struct file *file, struct bio *bio)
{
	int err = bio->bi_opf & REQ_PREFLUSH ? vfs_fsync(file, 0) : 0;

	if (err || !bio->bi_iter.bi_size)
		return err;
	switch (bio_op(bio)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
		return bio->bi_opf & REQ_ATOMIC ? -EOPNOTSUPP : move_data(file, bio);
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		return punch(file, bio);
	default:
		return -EOPNOTSUPP;
	}
}

/* A device can't say it in more words. */
static blk_status_t status_of(int err)
{
	return errno_to_blk_status(err == -EDQUOT || err == -EFBIG ? -ENOSPC : err);
}

void bf_backing_do(struct bf_target *t, struct bio *bio)
{
	unsigned int noio = memalloc_noio_save(), throttle = current->flags & PF_LOCAL_THROTTLE;

	/* Or dirty pages that wait for us would slow us down. */
	current->flags |= PF_LOCAL_THROTTLE;
	bio->bi_status = status_of(carry_out(t->file, bio));
	current->flags = (current->flags & ~PF_LOCAL_THROTTLE) | throttle;
	memalloc_noio_restore(noio);
	bio_endio(bio);
}
