// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: the data of large requests, shown to the filter without a copy. Each tag has one in a mapping of its queue, read
 * only; the first touch maps all of the bio's own pages there, and before the bio goes on they are taken away. A filter that does
 * not look pays nothing.
 *
 * What is shown. Whole pages of memory that hold nothing but the payload; a bio with anything else is copied. Neighbours of the
 * data are never seen, nor what the pages hold before or after: they are mapped while the tag waits for a verdict, when they
 * hold what goes to, or came from, the device.
 *
 * Why no page stays mapped. A page gets there in fault() only, which takes the tag, SENT or HELD, as BFUSE_DATA does: BUSY
 * keeps verdict, deadline and death away until all pages are in and @mapped says so (bf_tag_release()). Whoever takes the tag away
 * for good moves it, under queue->lock, out of SENT and HELD first, and then, as the only owner of the bio, calls
 * bf_window_zap() before he does anything with it:
 *
 *	verdict			verdict.c:apply()
 *	deadline, no time left	deadline.c:expire_tag()
 *	death, succession, and who was BUSY meanwhile	bf_settle_tag()
 *
 * From the move on fault() finds nothing to show, and what it put there before is in page tables that unmap_mapping_pages()
 * goes through: those of all mappings of this filter's own inode. Mappings can't be split or moved (a move that is refused is undone
 * by the kernel under the same locks as any other); those that just go (munmap) have been flushed,
 * as their VMA is VM_PFNMAP, before they leave the tree, and when a process exits nobody runs in its mm any more. It returns when neither a
 * processor nor a device has a translation left. A tag of a late
 * request stays STALE until then, so that the next one finds its window empty: see @answered.
 *
 * Why nobody waits for himself. A verdict waits for the first touch of its own tag (bf_window_wait()), which waits for no verdict.
 * bf_window_zap() takes the inode's i_mmap_rwsem and page table locks. Who holds these changes the
 * tree or page tables and neither waits for I/O, nor for user space, nor for memory with I/O. It does not take mmap_lock, which
 * a thread of the filter may hold while it waits for a page on a disk that is filtered. fault() has mmap_lock, or the VMA's, and takes
 * window_mutex and queue->lock inside; who has it takes nothing else. It needs no memory, since the page tables are made by mmap(2).
 *
 * Nobody has a reference to the pages by this: pfns are mapped, pinning them fails (VM_PFNMAP, VM_IO), fork does not copy them,
 * and none of it can be made writable.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>

#include "blkfilter.h"

#define FIRST_OFFSET	(1ull << 39)	/* between the queues and the chunk bitmaps */
#define MAGIC		0x62667573	/* "bfus" */
#define MAP_MIN		65536u		/* measured: see docs/architecture.md */
#define CLEAR_MIN	(8 * PAGE_SIZE)	/* measured: bf_window_zap() */

static struct vfsmount *mount;
static int mounted;

static int init_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, MAGIC) ? 0 : -ENOMEM;
}

static struct file_system_type windows_fs = {
	.name = "blkfilter",
	.owner = THIS_MODULE,
	.init_fs_context = init_fs_context,
	.kill_sb = kill_anon_super,
};

/* For the registration of @f. Its mappings are those of an inode of its own, or a zap would have to look at all filters'. May sleep. */
int bf_window_init(struct bf_filter *f, struct bfuse_register *arg)
{
	struct inode *inode;
	int err;

	if (!(arg->features & BFUSE_F_MAPPED))
		return 0;
	err = simple_pin_fs(&windows_fs, &mount, &mounted);
	if (err)
		return err;
	inode = alloc_anon_inode(mount->mnt_sb);
	if (IS_ERR(inode)) {
		simple_release_fs(&mount, &mounted);
		return PTR_ERR(inode);
	}
	f->windows = inode;
	f->window_size = arg->window_size;
	f->map_min = arg->map_min ?: min(MAP_MIN, f->window_size);
	return 0;
}

u64 bf_window_offset(const struct bf_filter *f)
{
	return f->windows ? FIRST_OFFSET : 0;
}

/* The last reference to @f is gone, and with it the file and its mappings. May sleep. */
void bf_window_exit(struct bf_filter *f)
{
	if (!f->windows)
		return;
	iput(f->windows);
	simple_release_fs(&mount, &mounted);
}

int bf_window_check(const struct bfuse_register *arg)
{
	u64 bytes = (u64)arg->window_size * arg->depth * arg->nr_queues;

	if (arg->off_windows)
		return -EINVAL;
	if (!(arg->features & BFUSE_F_MAPPED))
		return arg->window_size || arg->map_min ? -EINVAL : 0;
	if (!is_power_of_2(arg->window_size) || arg->window_size < PAGE_SIZE || arg->window_size > BFUSE_WINDOW_MAX ||
	    arg->map_min > arg->window_size || !arg->slot_size)
		return -EINVAL;
	return bytes > BFUSE_WINDOWS_MAX ? -E2BIG : 0;
}

/* Ordinary memory, which it is now and stays while the bio is under way. Slabs are for the kernel alone, wherever they go. */
static bool may_show(struct folio *folio)
{
	return !folio_test_slab(folio) && !folio_is_zone_device(folio);
}

/* What the pages of a folio are they are together. */
static bool are_good(unsigned long pfn, unsigned long nr)
{
	unsigned long n;

	for (; nr; nr -= n, pfn += n) {
		struct page *page = pfn_to_page(pfn);
		struct folio *folio = page_folio(page);

		if (!may_show(folio))
			return false;
		n = min(nr, folio_nr_pages(folio) - (pfn - folio_pfn(folio)));
	}
	return true;
}

/* The data of a request as runs of pages: the rest of the current one, and where the next begins. */
struct runs {
	unsigned long		pfn, nr;
	const struct bio_vec	*next;
	u32			done;		/* bytes of @next */
	u32			left;		/* bytes, from there on */
	u32			ragged;		/* not 0: the last one was not whole pages */
};

static struct runs runs_of(const struct bf_request *rq)
{
	return (struct runs){
		.next = &rq->bio->bi_io_vec[rq->iter.bi_idx],
		.done = bf_iter_offset(rq->iter),
		.left = rq->length,
	};
}

static void next_run(struct runs *runs)
{
	const struct bio_vec *bv = runs->next++;
	u32 offset = bv->bv_offset + runs->done, bytes = min(bv->bv_len - runs->done, runs->left);

	runs->pfn = page_to_pfn(bv->bv_page) + (offset >> PAGE_SHIFT);
	runs->nr = bytes >> PAGE_SHIFT;
	runs->ragged = (offset | bytes) & ~PAGE_MASK;
	runs->left -= bytes;
	runs->done = 0;
}

/* Are the data of @rq, which its attachment wants to have, to be shown rather than copied? Any context; the bio is the caller's. */
bool bf_window_takes(const struct bf_request *rq)
{
	const struct bf_filter *f = rq->queue->filter;
	struct runs runs;

	if (likely(!f->windows) || rq->length < f->map_min || rq->length > f->window_size)
		return false;
	if (bf_page_tables_are_checked())
		return false;
	for (runs = runs_of(rq); runs.left;) {
		next_run(&runs);
		if (runs.ragged || !are_good(runs.pfn, runs.nr))
			return false;
	}
	return true;
}

static pgoff_t window_pages(const struct bf_filter *f)
{
	return f->window_size >> PAGE_SHIFT;
}

/* Where the window of @rq begins in the file, in pages. */
static pgoff_t window_of(const struct bf_request *rq)
{
	const struct bf_queue *q = rq->queue;
	const struct bf_filter *f = q->filter;
	pgoff_t nr = (pgoff_t)q->number * f->depth + (rq - q->requests);

	return (FIRST_OFFSET >> PAGE_SHIFT) + nr * window_pages(f);
}

/* What is being mapped or taken away: in which mm, from what, and how many entries of one page table. */
struct filling {
	struct mm_struct	*mm;
	pgprot_t		prot;
	struct runs		runs;
	unsigned long		entries;
};

/* These two: under the lock of a page table, of which @pte is one of fill->entries that lie side by side. */
static int put_pages(pte_t *pte, unsigned long address, void *data)
{
	struct filling *fill = data;

	/* Another thread may have been faster. It has put in all of them. */
	bool there = !pte_none(ptep_get(pte));
	unsigned long n;

	for (; fill->entries; fill->entries -= n, pte += n, address += n << PAGE_SHIFT) {
		while (!fill->runs.nr)
			next_run(&fill->runs);
		n = min(fill->entries, fill->runs.nr);
		if (!there)
			bf_set_special_ptes(fill->mm, address, pte, fill->runs.pfn, fill->prot, n);
		fill->runs.pfn += n;
		fill->runs.nr -= n;
	}
	return 0;
}

static int take_pages(pte_t *pte, unsigned long address, void *data)
{
	struct filling *fill = data;
	pte_t *end = pte + fill->entries;

	for (; pte != end; pte++, address += PAGE_SIZE)
		ptep_get_and_clear(fill->mm, address, pte);
	return 0;
}

/*
 * @fn is called once for each page table: to be called for each entry costs more than all that it does there. The tables are there
 * since bf_window_mmap(), so this needs no memory.
 */
static int walk(struct filling *fill, unsigned long start, unsigned long bytes, pte_fn_t fn)
{
	unsigned long end = start + bytes, next;
	int err = 0;

	for (; !err && start != end; start = next) {
		next = pmd_addr_end(start, end);
		fill->entries = (next - start) >> PAGE_SHIFT;
		err = apply_to_page_range(fill->mm, start, PAGE_SIZE, fn, fill);
	}
	return err;
}

/* All of @rq at once. The VMA is whole, as it can't be split. */
static int map_all(struct bf_request *rq, struct vm_area_struct *vma)
{
	struct filling fill = { .mm = vma->vm_mm, .prot = vma->vm_page_prot, .runs = runs_of(rq) };
	unsigned long view = vma->vm_start + ((window_of(rq) - vma->vm_pgoff) << PAGE_SHIFT);

	/* Before the first is there, for it must be taken away even if the others fail. */
	rq->scattered = rq->mapped && (rq->scattered || rq->viewer != vma->vm_mm || rq->view != view);
	rq->mapped = true;
	rq->viewer = vma->vm_mm;
	rq->view = view;
	return walk(&fill, rq->view, rq->length, put_pages);
}

/* Takes the tag, if it waits for a verdict, has data to show, and page number @page is one of theirs. */
static vm_fault_t take(struct bf_request *rq, pgoff_t page)
{
	vm_fault_t ret = VM_FAULT_SIGBUS;

	spin_lock_irq(&rq->queue->lock);
	if (rq->state == BF_TAG_BUSY)
		ret = VM_FAULT_RETRY;
	else if (bf_tag_is_owed(rq) && rq->shown && page < rq->length >> PAGE_SHIFT)
		ret = VM_FAULT_NOPAGE;
	if (ret == VM_FAULT_NOPAGE)
		bf_tag_hold(rq);
	spin_unlock_irq(&rq->queue->lock);
	return ret;
}

static vm_fault_t show(struct bf_request *rq, pgoff_t page, struct vm_area_struct *vma)
{
	vm_fault_t ret;

	/* Two threads that come at a time are not to find each other's BUSY. */
	mutex_lock(&rq->queue->window_mutex);
	ret = take(rq, page);
	if (ret == VM_FAULT_NOPAGE) {
		if (map_all(rq, vma))
			ret = VM_FAULT_OOM;
		bf_tag_release(rq);
	}
	mutex_unlock(&rq->queue->window_mutex);
	return ret;
}

/* Does somebody look at data of @q for the first time? His tag is BUSY. */
bool bf_window_is_touched(struct bf_queue *q)
{
	return mutex_is_locked(&q->window_mutex);
}

/* Until he has them. Not from a fault. */
void bf_window_wait(struct bf_queue *q)
{
	mutex_lock(&q->window_mutex);
	mutex_unlock(&q->window_mutex);
}

/* With mmap_lock, or the VMA's lock. Sleeps. */
static vm_fault_t fault(struct vm_fault *vmf)
{
	struct bf_filter *f = vmf->vma->vm_private_data;
	pgoff_t page = vmf->pgoff - (FIRST_OFFSET >> PAGE_SHIFT), nr = page / window_pages(f);
	struct bf_request *rq = &f->queues[nr / f->depth].requests[nr % f->depth];
	vm_fault_t ret = show(rq, page % window_pages(f), vmf->vma);

	if (likely(ret != VM_FAULT_RETRY))
		return ret;
	/* BFUSE_DATA, or the kernel itself, is at it: soon one knows whose it is. */
	schedule_timeout_uninterruptible(1);
	return VM_FAULT_NOPAGE;
}

static int may_split(struct vm_area_struct *vma, unsigned long address)
{
	return -EINVAL;
}

/* Where they are looked for they are: bf_window_zap(). */
static int may_move(struct vm_area_struct *vma)
{
	return -EINVAL;
}

/* Before fault(), which must sleep, nothing can be done; but only who has this is called with the VMA's lock, and not once more with mmap_lock. */
static vm_fault_t map_pages(struct vm_fault *vmf, pgoff_t first, pgoff_t last)
{
	return 0;
}

static const struct vm_operations_struct vm_ops = {
	.open = bf_vma_open,
	.close = bf_vma_close,
	.may_split = may_split,
	.mremap = may_move,
	.map_pages = map_pages,
	.fault = fault,
};

static bool is_in(const struct bf_request *rq, const struct vm_area_struct *vma)
{
	return vma && vma->vm_ops == &vm_ops && vma->vm_private_data == rq->queue->filter &&
	       rq->view == vma->vm_start + ((window_of(rq) - vma->vm_pgoff) << PAGE_SHIFT);
}

/*
 * If it is the caller himself who has looked, and nothing is in the way: his mm, with mmap_lock. Else NULL. It does not wait: what
 * holds the lock may wait for us.
 */
static struct mm_struct *lock_viewer(const struct bf_request *rq)
{
	struct mm_struct *mm = current->mm;

	if (!mm || mm != rq->viewer || rq->length < CLEAR_MIN || !mmap_read_trylock(mm))
		return NULL;
	if (is_in(rq, vma_lookup(mm, rq->view)))
		return mm;
	mmap_read_unlock(mm);
	return NULL;
}

/*
 * Takes away what was shown of @rq, which is in nobody's reach. That it is gone is for the caller to note. Sleeps.
 *
 * unmap_mapping_pages() does all of it, but at five times the instructions for each page. So the page tables of the thread that
 * answers are cleared before. That a flush is pending for its mm makes the end of unmap_mapping_pages() flush all of the mm
 * (mm_tlb_flush_nested()), though it found the entries empty; the VMA, which mmap_lock keeps where it is, makes it come there. If they
 * were nowhere else then one page is enough to make it come; unless somebody else has translations of this mm (KVM, an IOMMU), who must
 * be told of all. Who comes to have some takes mmap_lock for writing first.
 */
void bf_window_zap(struct bf_request *rq)
{
	struct mm_struct *mm = lock_viewer(rq);
	struct filling fill = { .mm = mm };
	pgoff_t pages = rq->length >> PAGE_SHIFT;

	if (mm) {
		inc_tlb_flush_pending(mm);
		if (!walk(&fill, rq->view, rq->length, take_pages) && !rq->scattered && !mm_has_notifiers(mm))
			pages = 1;
	}
	unmap_mapping_pages(rq->queue->filter->windows->i_mapping, window_of(rq), pages, true);
	if (mm) {
		dec_tlb_flush_pending(mm);
		mmap_read_unlock(mm);
	}
}

bool bf_window_is_offset(const struct bf_filter *f, u64 offset)
{
	return f->windows && offset >= FIRST_OFFSET && !bf_chunks_is_offset(offset);
}

/* Under mmap_lock: all windows of a queue. Not more mappings than one could need, as a zap goes through all of them. */
int bf_window_mmap(struct bf_filter *f, struct vm_area_struct *vma)
{
	u64 bytes = (u64)f->window_size * f->depth;
	u64 offset = ((u64)vma->vm_pgoff << PAGE_SHIFT) - FIRST_OFFSET;
	int err;

	if (offset % bytes || offset / bytes >= f->nr_queues || vma->vm_end - vma->vm_start != bytes)
		return -EINVAL;
	if (vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EACCES;
	if (!bf_filter_may_map(f))
		return -EMFILE;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vm_flags_clear(vma, VM_MAYWRITE | VM_MAYEXEC);
	err = apply_to_page_range(vma->vm_mm, vma->vm_start, bytes, NULL, NULL);
	if (!err)
		vma->vm_ops = &vm_ops;
	return err;
}
