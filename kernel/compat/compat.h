/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The newest kernel's names, for older kernels. What a kernel has is found by probe.sh, which compiles a few lines
 * against its headers, rather than by version: vendors backport. This directory is the only one that knows.
 */
#ifndef BLKFILTER_COMPAT_H
#define BLKFILTER_COMPAT_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/device/class.h>
#include <linux/ftrace.h>
#include <linux/mm.h>
#include <linux/workqueue.h>

#include "features.h"

#ifndef HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#ifndef HAVE_FTRACE_REGS_SET_INSTRUCTION_POINTER
#define ftrace_regs_set_instruction_pointer(fregs, ip)	ftrace_instruction_pointer_set(fregs, ip)
#endif

#ifndef HAVE_FTRACE_REGS_GET_ARGUMENT
#define ftrace_regs_get_argument(fregs, n)	regs_get_kernel_argument(&(fregs)->regs, n)
#endif

/*
 * File systems may map what is on a device with DAX; and kernels with rw_page let a driver be asked for one page without a bio.
 */
static inline bool bf_disk_bypasses_bios(const struct gendisk *disk)
{
#ifdef HAVE_RW_PAGE
	if (disk->fops->rw_page)
		return true;
#endif
	return blk_queue_dax(disk->queue);
}

/* What the submitter knows of the lifetime of the data. */
static inline void bf_bio_copy_hints(struct bio *to, const struct bio *from)
{
#ifdef HAVE_BI_WRITE_HINT
	to->bi_write_hint = from->bi_write_hint;
#endif
#ifdef HAVE_BI_WRITE_STREAM
	to->bi_write_stream = from->bi_write_stream;
#endif
}

/* Bytes of its first vector that are done. */
static inline unsigned int bf_iter_offset(struct bvec_iter iter)
{
#ifdef HAVE_BI_OFFSET
	return iter.bi_offset;
#else
	return iter.bi_bvec_done;
#endif
}

static inline struct gendisk *bf_alloc_disk(void)
{
#ifdef HAVE_BLK_ALLOC_DISK_LIMITS
	return blk_alloc_disk(NULL, NUMA_NO_NODE);
#else
	return blk_alloc_disk(NUMA_NO_NODE) ?: ERR_PTR(-ENOMEM);
#endif
}

/* Freezes the file system on @bdev, if there is one: *@has_fs. May sleep. To be undone with bf_thaw_bdev(). */
static inline int bf_freeze_bdev(struct block_device *bdev, bool *has_fs)
{
#ifdef HAVE_BDEV_FREEZE
	int err = bdev_freeze(bdev);
	const struct blk_holder_ops *ops = READ_ONCE(bdev->bd_holder_ops);

	*has_fs = ops && ops->freeze;
	return err;
#else
	int err = freeze_bdev(bdev);

	*has_fs = READ_ONCE(bdev->bd_fsfreeze_sb);
	return err;
#endif
}

static inline void bf_thaw_bdev(struct block_device *bdev)
{
#ifdef HAVE_BDEV_FREEZE
	bdev_thaw(bdev);
#else
	thaw_bdev(bdev);
#endif
}

/*
 * Opens @bdev, to read; what is returned, if it is no error, is for bf_bdev_close(). May sleep, and read a partition table.
 */
static inline void *bf_bdev_open(struct block_device *bdev)
{
#ifdef HAVE_BDEV_FILE_OPEN
	return bdev_file_open_by_dev(bdev->bd_dev, BLK_OPEN_READ, NULL, NULL);
#elif defined(HAVE_BDEV_HANDLE)
	return bdev_open_by_dev(bdev->bd_dev, BLK_OPEN_READ, NULL, NULL);
#elif defined(HAVE_BLK_HOLDER_OPS)
	return blkdev_get_by_dev(bdev->bd_dev, BLK_OPEN_READ, NULL, NULL);
#else
	return blkdev_get_by_dev(bdev->bd_dev, FMODE_READ, NULL);
#endif
}

static inline void bf_bdev_close(struct block_device *bdev, void *opened)
{
#ifdef HAVE_BDEV_FILE_OPEN
	bdev_fput(opened);
#elif defined(HAVE_BDEV_HANDLE)
	bdev_release(opened);
#elif defined(HAVE_BLK_HOLDER_OPS)
	blkdev_put(bdev, NULL);
#else
	blkdev_put(bdev, FMODE_READ);
#endif
}

/*
 * Whose freeze it is matters only to the newer kernels' lock checker, which takes who freezes for one who allocates no memory with
 * I/O meanwhile; he must not.
 */
static inline void bf_freeze_queue_start(struct request_queue *q)
{
#ifdef HAVE_FREEZE_QUEUE_NON_OWNER
	blk_freeze_queue_start_non_owner(q);
#else
	blk_freeze_queue_start(q);
#endif
}

static inline void bf_unfreeze_queue(struct request_queue *q)
{
#ifdef HAVE_FREEZE_QUEUE_NON_OWNER
	blk_mq_unfreeze_queue_non_owner(q);
#else
	blk_mq_unfreeze_queue(q);
#endif
}

/* add_disk() says so where submission does not look at disk->fops; for a disk that is never added somebody has to. */
static inline void bf_bdev_has_submit_bio(struct block_device *bdev)
{
#ifdef HAVE_BD_HAS_SUBMIT_BIO
	atomic_or(BD_HAS_SUBMIT_BIO, &bdev->__bd_flags);
#endif
}

/* It has left a queue of writes to its zone, where the next one waits for its end: so it is not to be kept. dm submits such once more. */
static __always_inline bool bf_bio_is_plugged(struct bio *bio)
{
#ifdef HAVE_ZONE_WRITE_PLUGGING
	return bio_flagged(bio, BIO_ZONE_WRITE_PLUGGING);
#else
	return false;
#endif
}

#ifdef HAVE_CLASS_INTERFACE_ARG
#define BF_CLASS_INTERFACE_ARGS	struct device *dev, struct class_interface *unused
#else
#define BF_CLASS_INTERFACE_ARGS	struct device *dev
#endif

/* Where nobody has to say so a workqueue is per CPU, and where somebody has to it warns. */
#ifndef HAVE_WQ_PERCPU
#define WQ_PERCPU		0
#endif

/* Flags that only newer kernels have are never set on older ones. */
#ifndef REQ_ATOMIC
#define REQ_ATOMIC		((__force blk_opf_t)0)
#endif

/*
 * Under the lock of a page table: neighbouring pages for @nr empty entries. Xen's paravirtualised guests are the only ones where set_pte()
 * does more than to store; elsewhere an entry, if it is present, is the one before and a page: five instructions, where set_pte_at()
 * takes 26. It would also tell who checks page tables, for whom see below.
 */
static inline void bf_set_special_ptes(struct mm_struct *mm, unsigned long address, pte_t *pte, unsigned long pfn, pgprot_t prot,
				       unsigned int nr)
{
#ifdef CONFIG_X86_64
	if (!cpu_feature_enabled(X86_FEATURE_XENPV) && (pgprot_val(prot) & _PAGE_PRESENT)) {
		pteval_t value = native_pte_val(pte_mkspecial(pfn_pte(pfn, prot)));

		for (; nr; nr--, pte++, value += PAGE_SIZE)
			native_set_pte(pte, native_make_pte(value));
		return;
	}
#endif
	for (; nr; nr--, address += PAGE_SIZE, pte++, pfn++)
		set_pte_at(mm, address, pte, pte_mkspecial(pfn_pte(pfn, prot)));
}

/*
 * Does the kernel check who maps which page (page_table_check=on)? Until it was told in 2026 (6.1.192 has it) to leave special entries
 * alone, it took what is shown for a page that its owner shares, and stopped when he mapped it writable. Nothing tells the two apart.
 */
static inline bool bf_page_tables_are_checked(void)
{
#ifdef CONFIG_PAGE_TABLE_CHECK
	return !static_branch_likely(&page_table_check_disabled);
#else
	return false;
#endif
}

static inline bool bf_bdev_has_atomic_writes(struct block_device *bdev)
{
#ifdef HAVE_BDEV_CAN_ATOMIC_WRITE
	return bdev_can_atomic_write(bdev);
#else
	return false;
#endif
}

#ifndef REQ_POLLED
#define REQ_POLLED		((__force blk_opf_t)(1ULL << __REQ_POLLED))
#endif
#ifndef REQ_SWAP
#define REQ_SWAP		((__force blk_opf_t)(1ULL << __REQ_SWAP))
#endif

#endif
