/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The newest kernel's names, for older kernels. What a kernel has is found by probe.sh, which compiles a few lines
 * against its headers, rather than by version: vendors backport. This directory is the only one that knows.
 */
#ifndef BLKFILTER_COMPAT_H
#define BLKFILTER_COMPAT_H

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
#endif

#ifndef HAVE_FTRACE_REGS_SET_INSTRUCTION_POINTER
#define ftrace_regs_set_instruction_pointer(fregs, ip)	ftrace_instruction_pointer_set(fregs, ip)
#endif

#ifndef HAVE_FTRACE_REGS_GET_ARGUMENT
#define ftrace_regs_get_argument(fregs, n)	regs_get_kernel_argument(&(fregs)->regs, n)
#endif

/* Kernels with rw_page let a driver be asked for one page without a bio. */
static inline bool bf_disk_bypasses_bios(const struct gendisk *disk)
{
#ifdef HAVE_RW_PAGE
	return disk->fops->rw_page;
#else
	return false;
#endif
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

static inline struct gendisk *bf_alloc_disk(void)
{
#ifdef HAVE_BLK_ALLOC_DISK_LIMITS
	return blk_alloc_disk(NULL, NUMA_NO_NODE);
#else
	return blk_alloc_disk(NUMA_NO_NODE) ?: ERR_PTR(-ENOMEM);
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
#ifndef REQ_POLLED
#define REQ_POLLED		((__force blk_opf_t)(1ULL << __REQ_POLLED))
#endif
#ifndef REQ_SWAP
#define REQ_SWAP		((__force blk_opf_t)(1ULL << __REQ_SWAP))
#endif

#endif
